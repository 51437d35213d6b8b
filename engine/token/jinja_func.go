package token

import (
	"errors"
	"fmt"
	"strings"
)

func (e binaryExpr) eval(r *render) (any, error) {
	a, err := r.eval(e.a)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "and":
		if !truth(a) {
			return a, nil
		}
		return r.eval(e.b)
	case "or":
		if truth(a) {
			return a, nil
		}
		return r.eval(e.b)
	}
	b, err := r.eval(e.b)
	if err != nil {
		return nil, err
	}
	switch e.op {
	case "==":
		return same(a, b), nil
	case "!=":
		return !same(a, b), nil
	case "~":
		return str(a) + str(b), nil
	case "in", "not in":
		found, err := contains(b, a)
		return found == (e.op == "in"), err
	}
	if x, ok := a.(string); ok {
		y, ok := b.(string)
		if ok && e.op == "+" {
			return x + y, nil
		}
		if ok {
			return order(e.op, strings.Compare(x, y))
		}
	}
	if x, ok := a.([]any); ok && e.op == "+" {
		if y, ok := b.([]any); ok {
			return append(append([]any(nil), x...), y...), r.spend(len(x) + len(y))
		}
	}
	return arithmetic(e.op, a, b)
}

func order(op string, c int) (any, error) {
	switch op {
	case "<":
		return c < 0, nil
	case ">":
		return c > 0, nil
	case "<=":
		return c <= 0, nil
	case ">=":
		return c >= 0, nil
	}
	return nil, fmt.Errorf("operator %s between strings", op)
}

func arithmetic(op string, a, b any) (any, error) {
	x, ok1 := a.(int64)
	y, ok2 := b.(int64)
	if ok1 && ok2 {
		switch op {
		case "+":
			return x + y, nil
		case "-":
			return x - y, nil
		case "*":
			return x * y, nil
		case "//", "%":
			if y == 0 {
				return nil, errors.New("division by 0")
			}
			q := x / y
			if x%y != 0 && (x < 0) != (y < 0) {
				q--
			}
			if op == "//" {
				return q, nil
			}
			return x - q*y, nil
		}
	}
	f, ok1 := number(a)
	g, ok2 := number(b)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("operator %s between %s and %s", op, str(a), str(b))
	}
	switch op {
	case "+":
		return f + g, nil
	case "-":
		return f - g, nil
	case "*":
		return f * g, nil
	case "/":
		if g == 0 {
			return nil, errors.New("division by 0")
		}
		return f / g, nil
	}
	c := 0
	if f < g {
		c = -1
	} else if f > g {
		c = 1
	}
	return order(op, c)
}

const spaces = " \t\n\r\v\f"

// filters by name.
var filters = map[string]func(v any, args []any) (any, error){
	"trim":   func(v any, _ []any) (any, error) { return strings.Trim(str(v), spaces), nil },
	"upper":  func(v any, _ []any) (any, error) { return strings.ToUpper(str(v)), nil },
	"lower":  func(v any, _ []any) (any, error) { return strings.ToLower(str(v)), nil },
	"string": func(v any, _ []any) (any, error) { return str(v), nil },
	"safe":   func(v any, _ []any) (any, error) { return v, nil },
	"list":   func(v any, _ []any) (any, error) { return iterate(v) },
	"length": length,
	"count":  length,
	"tojson": func(v any, _ []any) (any, error) { return toJSON(v, 0) },
	"items":  func(v any, _ []any) (any, error) { return method(v, "items", nil) },
	"first": func(v any, _ []any) (any, error) {
		items, err := iterate(v)
		if len(items) == 0 {
			return undefined{}, err
		}
		return items[0], err
	},
	"last": func(v any, _ []any) (any, error) {
		items, err := iterate(v)
		if len(items) == 0 {
			return undefined{}, err
		}
		return items[len(items)-1], err
	},
	"join": func(v any, args []any) (any, error) {
		items, err := iterate(v)
		parts := make([]string, len(items))
		for i, x := range items {
			parts[i] = str(x)
		}
		sep := ""
		if len(args) > 0 {
			sep = str(args[0])
		}
		return strings.Join(parts, sep), err
	},
	"dictsort": dictSort,
	"map":      nil, // see mapped
	"default":  fallback,
	"d":        fallback,
	"replace":  func(v any, args []any) (any, error) { return method(str(v), "replace", args) },
}

func length(v any, _ []any) (any, error) {
	items, err := iterate(v)
	return int64(len(items)), err
}

func fallback(v any, args []any) (any, error) {
	if _, ok := v.(undefined); !ok && !(len(args) > 1 && truth(args[1]) && !truth(v)) {
		return v, nil
	}
	if len(args) == 0 {
		return "", nil
	}
	return args[0], nil
}

func (e callExpr) eval(r *render) (any, error) {
	args, err := r.evalAll(e.args)
	if err != nil {
		return nil, err
	}
	if a, ok := e.e.(attrExpr); ok {
		v, err := r.eval(a.e)
		if err != nil {
			return nil, err
		}
		return method(v, a.name, args)
	}
	f, ok := e.e.(nameExpr)
	if !ok {
		return nil, errors.New("a call of something without a name")
	}
	if m, ok := r.vars[f.name].(*macro); ok {
		return m.call(r, args, e.kw)
	}
	switch f.name {
	case "namespace":
		ns := &namespace{values: map[string]any{}}
		for k, x := range e.kw {
			if ns.values[k], err = r.eval(x); err != nil {
				return nil, err
			}
		}
		return ns, nil
	case "range":
		return r.span(args)
	case "raise_exception":
		if len(args) > 0 {
			return nil, fmt.Errorf("the template refuses: %s", str(args[0]))
		}
		return nil, errors.New("the template refuses")
	}
	return nil, fmt.Errorf("function %q is unknown; have namespace, range, raise_exception", f.name)
}

// span is Python's range of one to three numbers.
func (r *render) span(args []any) (any, error) {
	v := [3]int64{0, 0, 1}
	ok := len(args) >= 1 && len(args) <= 3
	for i, a := range args {
		n, isInt := a.(int64)
		ok = ok && isInt && n >= -maxWork && n <= maxWork
		switch {
		case i > 2:
		case len(args) == 1:
			v[1] = n
		default:
			v[i] = n
		}
	}
	if !ok || v[2] == 0 {
		return nil, fmt.Errorf("range of %d values", len(args))
	}
	var out []any
	for x := v[0]; v[2] > 0 && x < v[1] || v[2] < 0 && x > v[1]; x += v[2] {
		out = append(out, x)
	}
	return out, r.spend(len(out))
}

// method calls a method of a string or a mapping.
func method(v any, name string, args []any) (any, error) {
	arg := func(i int, otherwise string) string {
		if i < len(args) && args[i] != nil {
			return str(args[i])
		}
		return otherwise
	}
	if d, ok := v.(*dict); ok {
		return dictMethod(d, name, args)
	}
	s, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("method %q of %s", name, str(v))
	}
	switch name {
	case "strip":
		return strings.Trim(s, arg(0, spaces)), nil
	case "lstrip":
		return strings.TrimLeft(s, arg(0, spaces)), nil
	case "rstrip":
		return strings.TrimRight(s, arg(0, spaces)), nil
	case "startswith":
		return strings.HasPrefix(s, arg(0, "")), nil
	case "endswith":
		return strings.HasSuffix(s, arg(0, "")), nil
	case "upper":
		return strings.ToUpper(s), nil
	case "lower":
		return strings.ToLower(s), nil
	case "replace":
		if len(args) < 2 || len(s)*len(arg(1, "")) > maxOutput {
			return nil, fmt.Errorf("replace of %d values in %d bytes", len(args), len(s))
		}
		return strings.ReplaceAll(s, arg(0, ""), arg(1, "")), nil
	case "find":
		return int64(strings.Index(s, arg(0, ""))), nil
	case "split":
		var parts []string
		switch {
		case len(args) == 0:
			parts = strings.Fields(s)
		case arg(0, "") == "":
			return nil, errors.New("split at an empty string")
		case len(args) > 1:
			n, ok := args[1].(int64)
			if !ok || n < 0 || n > maxWork {
				return nil, fmt.Errorf("split into %s", str(args[1]))
			}
			parts = strings.SplitN(s, arg(0, ""), int(n)+1)
		default:
			parts = strings.Split(s, arg(0, ""))
		}
		out := make([]any, len(parts))
		for i, p := range parts {
			out[i] = p
		}
		return out, nil
	}
	return nil, fmt.Errorf("method %q of a string is unknown", name)
}

func dictMethod(d *dict, name string, args []any) (any, error) {
	var out []any
	switch name {
	case "get":
		if len(args) == 0 {
			return nil, errors.New("get of nothing")
		}
		if v, ok := d.values[str(args[0])]; ok {
			return v, nil
		}
		if len(args) > 1 {
			return args[1], nil
		}
		return nil, nil
	case "items":
		for _, k := range d.keys {
			out = append(out, []any{k, d.values[k]})
		}
	case "keys":
		for _, k := range d.keys {
			out = append(out, k)
		}
	case "values":
		for _, k := range d.keys {
			out = append(out, d.values[k])
		}
	default:
		return nil, fmt.Errorf("method %q of a mapping is unknown", name)
	}
	return out, nil
}
