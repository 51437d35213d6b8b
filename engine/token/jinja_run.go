package token

import (
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
)

// render is one rendering of a template.
type render struct {
	out   *strings.Builder
	vars  map[string]any
	top   map[string]any // the variables outside of loops and macros
	work  int
	depth int // of macros that call each other
}

// renderJinja runs a template with the given variables.
func renderJinja(nodes []statement, vars map[string]any) (string, error) {
	r := &render{out: &strings.Builder{}, vars: map[string]any{}}
	maps.Copy(r.vars, vars)
	r.top = r.vars
	if err := r.all(nodes); err != nil {
		return "", err
	}
	return r.out.String(), nil
}

func (r *render) all(nodes []statement) error {
	for _, n := range nodes {
		if err := r.spend(1); err != nil {
			return err
		}
		if err := n.run(r); err != nil {
			return err
		}
	}
	return nil
}

// spend counts work, so that a hostile template ends.
func (r *render) spend(n int) error {
	if r.work += n; r.work > maxWork {
		return fmt.Errorf("over %d steps", maxWork)
	}
	if r.out.Len() > maxOutput {
		return fmt.Errorf("over %d bytes of output", maxOutput)
	}
	return nil
}

func (n textNode) run(r *render) error {
	r.out.WriteString(n.s)
	return nil
}

func (n outputNode) run(r *render) error {
	v, err := r.eval(n.e)
	if err != nil {
		return err
	}
	r.out.WriteString(str(v))
	return nil
}

func (n setNode) run(r *render) error {
	v, err := r.eval(n.value)
	if err != nil {
		return err
	}
	if n.attr == "" {
		r.vars[n.name] = v
		return nil
	}
	ns, ok := r.vars[n.name].(*namespace)
	if !ok {
		return fmt.Errorf("set %s.%s: %s is no namespace", n.name, n.attr, n.name)
	}
	ns.values[n.attr] = v
	return nil
}

func (n ifNode) run(r *render) error {
	for i, c := range n.conditions {
		v, err := r.eval(c)
		if err != nil {
			return err
		}
		if truth(v) {
			return r.all(n.bodies[i])
		}
	}
	if len(n.bodies) > len(n.conditions) {
		return r.all(n.bodies[len(n.bodies)-1])
	}
	return nil
}

// run runs the body for every item. What is set inside is forgotten behind the loop, but for namespaces.
func (n forNode) run(r *render) error {
	v, err := r.eval(n.list)
	if err != nil {
		return err
	}
	items, err := iterate(v)
	if err != nil {
		return err
	}
	outer := r.vars
	defer func() { r.vars = outer }()
	var kept []any
	for _, it := range items {
		if n.filter != nil {
			r.vars = maps.Clone(outer)
			if err := r.bind(n.names, it); err != nil {
				return err
			}
			ok, err := r.eval(n.filter)
			if err != nil {
				return err
			}
			if !truth(ok) {
				continue
			}
		}
		kept = append(kept, it)
	}
	if len(kept) == 0 {
		r.vars = outer
		return r.all(n.none)
	}
	for i, it := range kept {
		if err := r.spend(1 + len(outer)); err != nil {
			return err
		}
		r.vars = maps.Clone(outer)
		if err := r.bind(n.names, it); err != nil {
			return err
		}
		loop := newDict("index", int64(i+1), "index0", int64(i), "first", i == 0, "last", i == len(kept)-1, "length", int64(len(kept)),
			"revindex", int64(len(kept)-i), "revindex0", int64(len(kept)-i-1), "previtem", any(undefined{}), "nextitem", any(undefined{}))
		if i > 0 {
			loop.values["previtem"] = kept[i-1]
		}
		if i+1 < len(kept) {
			loop.values["nextitem"] = kept[i+1]
		}
		r.vars["loop"] = loop
		if err := r.all(n.body); err != nil {
			return err
		}
	}
	return nil
}

func (r *render) bind(names []string, v any) error {
	if len(names) == 1 {
		r.vars[names[0]] = v
		return nil
	}
	items, ok := v.([]any)
	if !ok || len(items) != len(names) {
		return fmt.Errorf("%d names for %s", len(names), str(v))
	}
	for i, name := range names {
		r.vars[name] = items[i]
	}
	return nil
}

func (r *render) eval(e expr) (any, error) {
	if err := r.spend(1); err != nil {
		return nil, err
	}
	v, err := e.eval(r)
	if s, ok := v.(string); ok && err == nil {
		err = r.spend(len(s) / 8)
	}
	return v, err
}

func (r *render) evalAll(list []expr) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = r.eval(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (e literalExpr) eval(*render) (any, error) { return e.v, nil }

func (e nameExpr) eval(r *render) (any, error) {
	if v, ok := r.vars[e.name]; ok {
		return v, nil
	}
	return undefined{}, nil
}

func (e listExpr) eval(r *render) (any, error) { return r.evalAll(e.items) }

func (e dictExpr) eval(r *render) (any, error) {
	keys, err := r.evalAll(e.keys)
	if err != nil {
		return nil, err
	}
	values, err := r.evalAll(e.values)
	if err != nil {
		return nil, err
	}
	d := newDict()
	for i, k := range keys {
		d.set(str(k), values[i])
	}
	return d, nil
}

func (e notExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	return !truth(v), err
}

func (e negExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	switch v := v.(type) {
	case int64:
		return -v, err
	case float64:
		return -v, err
	}
	return nil, errors.Join(err, fmt.Errorf("minus %s", str(v)))
}

func (e condExpr) eval(r *render) (any, error) {
	c, err := r.eval(e.condition)
	if err != nil {
		return nil, err
	}
	if truth(c) {
		return r.eval(e.then)
	}
	return r.eval(e.otherwise)
}

func (e testExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	var is bool
	switch v := v.(type) {
	case undefined:
		is = e.name == "undefined"
	case nil:
		is = e.name == "none"
	case string:
		is = e.name == "string" || e.name == "iterable" || e.name == "sequence"
	case []any:
		is = e.name == "iterable" || e.name == "sequence"
	case *dict:
		is = e.name == "mapping" || e.name == "iterable" || e.name == "sequence"
	case bool:
		is = e.name == "boolean" || e.name == "number" || e.name == strconv.FormatBool(v)
	case int64, float64:
		is = e.name == "number"
	}
	if _, un := v.(undefined); !un && e.name == "defined" {
		is = true
	}
	return is != e.not, err
}

func (e attrExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	if err != nil {
		return nil, err
	}
	return member(v, e.name)
}

func (e indexExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	if err != nil {
		return nil, err
	}
	k, err := r.eval(e.index)
	if err != nil {
		return nil, err
	}
	if name, ok := k.(string); ok {
		return member(v, name)
	}
	i, ok := k.(int64)
	if !ok {
		return nil, fmt.Errorf("index %s", str(k))
	}
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	if i < 0 {
		i += int64(len(items))
	}
	if i < 0 || i >= int64(len(items)) {
		return undefined{}, nil
	}
	return items[i], nil
}

// member is an entry of a mapping; a missing one is undefined, and one of something undefined an error, as in Jinja.
func member(v any, name string) (any, error) {
	var values map[string]any
	switch v := v.(type) {
	case *dict:
		values = v.values
	case *namespace:
		values = v.values
	case undefined:
		return nil, fmt.Errorf("%q of something undefined", name)
	}
	if x, ok := values[name]; ok {
		return x, nil
	}
	return undefined{}, nil
}

func (e sliceExpr) eval(r *render) (any, error) {
	// size: the cases of omitted, negative and empty bounds for text and lists.
	v, err := r.eval(e.e)
	if err != nil {
		return nil, err
	}
	items, err := iterate(v)
	if err != nil {
		return nil, err
	}
	n := int64(len(items))
	bound := [3]*int64{}
	for i, p := range e.parts {
		if p == nil {
			continue
		}
		x, err := r.eval(p)
		if err != nil {
			return nil, err
		}
		k, ok := x.(int64)
		if !ok {
			return nil, fmt.Errorf("slice %s", str(x))
		}
		bound[i] = &k
	}
	step := int64(1)
	if bound[2] != nil {
		step = *bound[2]
	}
	if step != 1 && step != -1 {
		return nil, fmt.Errorf("slice step %d, want 1 or -1", step)
	}
	at := func(p *int64, otherwise int64) int64 {
		if p == nil {
			return otherwise
		}
		k := *p
		if k < 0 {
			k += n
		}
		return min(max(k, 0), n)
	}
	var out []any
	if step > 0 {
		for i := at(bound[0], 0); i < at(bound[1], n); i++ {
			out = append(out, items[i])
		}
	} else {
		for i := min(at(bound[0], n-1), n-1); i >= 0 && (bound[1] == nil || i > at(bound[1], 0)); i-- {
			out = append(out, items[i])
		}
	}
	if _, ok := v.(string); ok {
		var b strings.Builder
		for _, x := range out {
			b.WriteString(x.(string))
		}
		return b.String(), nil
	}
	return out, r.spend(len(out))
}

func (e filterExpr) eval(r *render) (any, error) {
	v, err := r.eval(e.e)
	if err != nil {
		return nil, err
	}
	args, err := r.evalAll(e.args)
	if err != nil {
		return nil, err
	}
	if e.name == "map" {
		return mapped(v, args)
	}
	return filters[e.name](v, args)
}
