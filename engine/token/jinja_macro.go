package token

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

type (
	// macroNode defines a macro.
	macroNode struct {
		name   string
		params []macroParam
		body   []statement
	}
	macroParam struct {
		name      string
		otherwise expr // nil: undefined
	}
	// macro is a defined macro, a value of a template.
	macro struct{ node macroNode }
)

// macroBlock parses a macro, whose head is name(a, b=1).
func (p *jinjaParser) macroBlock(head string) (statement, error) {
	l, err := newExprParser(head)
	if err != nil {
		return nil, err
	}
	name := l.l[l.at]
	if name.kind != 'n' {
		return nil, fmt.Errorf("a macro without a name: %q", head)
	}
	l.at++
	n := macroNode{name: name.s}
	if err := l.need("("); err != nil {
		return nil, err
	}
	for {
		if _, ok := l.op(")"); ok {
			break
		}
		x := l.l[l.at]
		if x.kind != 'n' {
			return nil, fmt.Errorf("macro %s: a parameter is missing at %q", n.name, x.s)
		}
		l.at++
		param := macroParam{name: x.s}
		if _, ok := l.op("="); ok {
			if param.otherwise, err = l.ternary(); err != nil {
				return nil, err
			}
		}
		n.params = append(n.params, param)
		if _, ok := l.op(","); !ok && l.l[l.at].s != ")" {
			return nil, l.need(")")
		}
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	var end string
	if n.body, end, err = p.block(); err != nil {
		return nil, err
	}
	if end != "endmacro" {
		return nil, fmt.Errorf("a macro ends with %q", end)
	}
	return n, nil
}

func (n macroNode) run(r *render) error {
	r.vars[n.name] = &macro{n}
	return nil
}

// call renders the macro with its own variables and those of the template outside of loops, and returns what it wrote.
func (m *macro) call(r *render, args []any, kw map[string]expr) (any, error) {
	if r.depth++; r.depth > maxNesting {
		return nil, fmt.Errorf("macro %s calls itself more than %d deep", m.node.name, maxNesting)
	}
	defer func() { r.depth-- }()
	if len(args) > len(m.node.params) {
		return nil, fmt.Errorf("macro %s: %d arguments, want at most %d", m.node.name, len(args), len(m.node.params))
	}
	if err := r.spend(1 + len(r.top)); err != nil {
		return nil, err
	}
	own := maps.Clone(r.top)
	known := map[string]bool{}
	for i, p := range m.node.params {
		var v any = undefined{}
		var err error
		switch x, named := kw[p.name]; {
		case i < len(args):
			v = args[i]
		case named:
			v, err = r.eval(x)
		case p.otherwise != nil:
			v, err = r.eval(p.otherwise)
		}
		if err != nil {
			return nil, err
		}
		own[p.name], known[p.name] = v, true
	}
	for name := range kw {
		if !known[name] {
			return nil, fmt.Errorf("macro %s has no parameter %s", m.node.name, name)
		}
	}
	vars, out := r.vars, r.out
	r.vars, r.out = own, &strings.Builder{}
	defer func() { r.vars, r.out = vars, out }()
	err := r.all(m.node.body)
	return r.out.String(), err
}

// mapped applies the filter that args name to every item of v.
func mapped(v any, args []any) (any, error) {
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	if len(args) == 0 {
		return nil, errors.New("map without a filter")
	}
	f := filters[str(args[0])]
	if f == nil {
		return nil, fmt.Errorf("map: filter %q is unknown", str(args[0]))
	}
	out := make([]any, len(items))
	for i, x := range items {
		if out[i], err = f(x, args[1:]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dictSort lists the entries of a mapping by their keys, whatever the case of their letters.
func dictSort(v any, _ []any) (any, error) {
	d, ok := v.(*dict)
	if !ok {
		return nil, fmt.Errorf("dictsort of %s", str(v))
	}
	keys := slices.Clone(d.keys)
	slices.SortStableFunc(keys, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	out := make([]any, len(keys))
	for i, k := range keys {
		out[i] = []any{k, d.values[k]}
	}
	return out, nil
}
