package token

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expr is an expression of a template.
type expr interface {
	eval(r *render) (any, error)
}

type (
	literalExpr struct{ v any }
	nameExpr    struct{ name string }
	listExpr    struct{ items []expr }
	dictExpr    struct{ keys, values []expr }
	binaryExpr  struct {
		op   string
		a, b expr
	}
	notExpr  struct{ e expr }
	negExpr  struct{ e expr }
	condExpr struct{ then, condition, otherwise expr }
	testExpr struct {
		e    expr
		name string
		not  bool
	}
	attrExpr struct {
		e    expr
		name string
	}
	indexExpr struct{ e, index expr }
	sliceExpr struct {
		e     expr
		parts [3]expr // from, to, step; nil where left out
	}
	callExpr struct {
		e    expr // a name or an attribute
		args []expr
		kw   map[string]expr
	}
	filterExpr struct {
		e    expr
		name string
		args []expr
		kw   map[string]expr
	}
)

// Values of a template: nil, bool, int64, float64, string, []any, *dict, *namespace, *macro and undefined.
type (
	undefined struct{}
	dict      struct {
		keys   []string
		values map[string]any
	}
	namespace struct{ values map[string]any }
)

func newDict(pairs ...any) *dict {
	d := &dict{values: map[string]any{}}
	for i := 0; i < len(pairs); i += 2 {
		d.set(pairs[i].(string), pairs[i+1])
	}
	return d
}

func (d *dict) set(k string, v any) {
	if _, ok := d.values[k]; !ok {
		d.keys = append(d.keys, k)
	}
	d.values[k] = v
}

// str is Python's str of a value; undefined is empty.
func str(v any) string {
	switch v := v.(type) {
	case undefined:
		return ""
	case nil:
		return "None"
	case string:
		return v
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".en") {
			s += ".0"
		}
		return s
	}
	s, err := toJSON(v, 0)
	if err != nil {
		return "?"
	}
	return s
}

// toJSON is json.dumps with ensure_ascii off: ", " and ": " between items.
func toJSON(v any, depth int) (string, error) {
	if depth > maxNesting {
		return "", fmt.Errorf("a value is nested more than %d deep", maxNesting)
	}
	switch v := v.(type) {
	case nil, bool, int64, float64:
		b, err := json.Marshal(v)
		return string(b), err
	case string:
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		err := enc.Encode(v)
		return strings.TrimSuffix(b.String(), "\n"), err
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			s, err := toJSON(x, depth+1)
			if err != nil {
				return "", err
			}
			parts[i] = s
		}
		return "[" + strings.Join(parts, ", ") + "]", nil
	case *dict:
		parts := make([]string, len(v.keys))
		for i, k := range v.keys {
			s, err := toJSON(v.values[k], depth+1)
			if err != nil {
				return "", err
			}
			parts[i] = strconv.Quote(k) + ": " + s
		}
		return "{" + strings.Join(parts, ", ") + "}", nil
	}
	return "", fmt.Errorf("%T is no JSON", v)
}

// iterate lists the items of a value: of a string its characters, of a mapping its keys.
func iterate(v any) ([]any, error) {
	switch v := v.(type) {
	case []any:
		return v, nil
	case string:
		out := make([]any, 0, len(v))
		for _, c := range v {
			out = append(out, string(c))
		}
		return out, nil
	case *dict:
		out := make([]any, len(v.keys))
		for i, k := range v.keys {
			out[i] = k
		}
		return out, nil
	case undefined:
		return nil, nil
	}
	return nil, fmt.Errorf("%s has no items", str(v))
}

// truth is Python's.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// same is Python's ==.
func same(a, b any) bool {
	switch x := a.(type) {
	case int64:
		if y, ok := b.(float64); ok {
			return float64(x) == y
		}
	case float64:
		if y, ok := b.(int64); ok {
			return x == float64(y)
		}
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, same)
	case *dict:
		y, ok := b.(*dict)
		return ok && maps.EqualFunc(x.values, y.values, same)
	}
	switch b.(type) {
	case []any, *dict:
		return false
	}
	return a == b
}

func contains(list, x any) (bool, error) {
	if s, ok := list.(string); ok {
		part, ok := x.(string)
		return ok && strings.Contains(s, part), nil
	}
	items, err := iterate(list)
	for _, it := range items {
		if same(it, x) {
			return true, nil
		}
	}
	return false, err
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
