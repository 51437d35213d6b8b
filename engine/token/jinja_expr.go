package token

import (
	"fmt"
	"slices"
	"strconv"
)

type exprParser struct {
	l     []lexeme
	at    int
	depth int
	src   string
}

func newExprParser(s string) (*exprParser, error) {
	l, err := lexemes(s)
	return &exprParser{l: l, src: s}, err
}

// parseExpr parses a whole expression.
func parseExpr(s string) (expr, error) {
	p, err := newExprParser(s)
	if err != nil {
		return nil, err
	}
	e, err := p.ternary()
	if err != nil {
		return nil, err
	}
	return e, p.end()
}

func (p *exprParser) end() error {
	if l := p.l[p.at]; l.kind != 0 {
		return fmt.Errorf("%q is not understood at %q", p.src, l.s)
	}
	return nil
}

// op takes one of the given operators.
func (p *exprParser) op(ops ...string) (string, bool) {
	if l := p.l[p.at]; l.kind == 'o' && slices.Contains(ops, l.s) {
		p.at++
		return l.s, true
	}
	return "", false
}

func (p *exprParser) need(op string) error {
	if _, ok := p.op(op); !ok {
		return fmt.Errorf("%q: %q is missing at %q", p.src, op, p.l[p.at].s)
	}
	return nil
}

// word takes the name w.
func (p *exprParser) word(w string) bool {
	if l := p.l[p.at]; l.kind == 'n' && l.s == w {
		p.at++
		return true
	}
	return false
}

func (p *exprParser) ternary() (expr, error) {
	if p.depth++; p.depth > maxNesting {
		return nil, fmt.Errorf("an expression is nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	e, err := p.or()
	if err != nil || !p.word("if") {
		return e, err
	}
	c, err := p.or()
	if err != nil {
		return nil, err
	}
	n := condExpr{e, c, literalExpr{undefined{}}}
	if p.word("else") {
		if n.otherwise, err = p.ternary(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (p *exprParser) or() (expr, error) {
	a, err := p.and()
	for err == nil && p.word("or") {
		var b expr
		if b, err = p.and(); err == nil {
			a = binaryExpr{"or", a, b}
		}
	}
	return a, err
}

func (p *exprParser) and() (expr, error) {
	a, err := p.not()
	for err == nil && p.word("and") {
		var b expr
		if b, err = p.not(); err == nil {
			a = binaryExpr{"and", a, b}
		}
	}
	return a, err
}

func (p *exprParser) not() (expr, error) {
	count := 0
	for p.word("not") {
		count++
	}
	e, err := p.compare()
	if count > 0 && err == nil {
		e = notExpr{e}
		if count%2 == 0 {
			e = notExpr{e}
		}
	}
	return e, err
}

func (p *exprParser) compare() (expr, error) {
	a, err := p.sum()
	for err == nil {
		op, ok := p.op("==", "!=", "<", ">", "<=", ">=")
		switch {
		case ok:
		case p.word("in"):
			op = "in"
		case p.l[p.at].s == "not" && p.l[p.at].kind == 'n' && p.l[p.at+1].s == "in":
			p.at += 2
			op = "not in"
		case p.word("is"):
			if a, err = p.test(a); err != nil {
				return nil, err
			}
			continue
		default:
			return a, nil
		}
		var b expr
		if b, err = p.sum(); err == nil {
			a = binaryExpr{op, a, b}
		}
	}
	return a, err
}

func (p *exprParser) test(e expr) (expr, error) {
	not := p.word("not")
	l := p.l[p.at]
	if l.kind != 'n' {
		return nil, fmt.Errorf("%q: a test is missing at %q", p.src, l.s)
	}
	p.at++
	if !slices.Contains([]string{"defined", "undefined", "none", "string", "mapping", "iterable", "sequence", "number", "boolean", "true", "false"}, l.s) {
		return nil, fmt.Errorf("test %q is unknown", l.s)
	}
	return testExpr{e, l.s, not}, nil
}

// sum parses +, - and ~; product *, /, // and %.
func (p *exprParser) sum() (expr, error) {
	return p.chain((*exprParser).product, "+", "-", "~")
}

func (p *exprParser) product() (expr, error) {
	return p.chain((*exprParser).unary, "*", "/", "//", "%")
}

func (p *exprParser) chain(part func(*exprParser) (expr, error), ops ...string) (expr, error) {
	a, err := part(p)
	for err == nil {
		op, ok := p.op(ops...)
		if !ok {
			break
		}
		var b expr
		if b, err = part(p); err == nil {
			a = binaryExpr{op, a, b}
		}
	}
	return a, err
}

func (p *exprParser) unary() (expr, error) {
	if _, ok := p.op("-"); ok {
		e, err := p.postfix()
		return negExpr{e}, err
	}
	return p.postfix()
}

func (p *exprParser) postfix() (expr, error) {
	e, err := p.primary()
	for err == nil {
		switch op, _ := p.op(".", "[", "(", "|"); op {
		case ".":
			name := p.l[p.at]
			if name.kind != 'n' {
				return nil, fmt.Errorf("%q: a name is missing at %q", p.src, name.s)
			}
			p.at++
			e = attrExpr{e, name.s}
		case "[":
			e, err = p.subscript(e)
		case "(":
			c := callExpr{e: e}
			c.args, c.kw, err = p.arguments()
			e = c
		case "|":
			name := p.l[p.at]
			if _, ok := filters[name.s]; name.kind != 'n' || !ok {
				return nil, fmt.Errorf("filter %q is unknown", name.s)
			}
			p.at++
			f := filterExpr{e: e, name: name.s}
			if _, ok := p.op("("); ok {
				f.args, f.kw, err = p.arguments()
			}
			e = f
		default:
			return e, nil
		}
	}
	return e, err
}

func (p *exprParser) subscript(e expr) (expr, error) {
	var parts [3]expr
	n := 0
	for {
		l := p.l[p.at]
		if l.s != ":" && l.s != "]" || l.kind != 'o' {
			var err error
			if parts[n], err = p.ternary(); err != nil {
				return nil, err
			}
		}
		if _, ok := p.op(":"); ok && n < 2 {
			n++
			continue
		}
		if err := p.need("]"); err != nil {
			return nil, err
		}
		if n == 0 {
			if parts[0] == nil {
				return nil, fmt.Errorf("%q: an empty index", p.src)
			}
			return indexExpr{e, parts[0]}, nil
		}
		return sliceExpr{e, parts}, nil
	}
}

// arguments parses what stands between parentheses, the first of which is taken.
func (p *exprParser) arguments() (args []expr, kw map[string]expr, err error) {
	for {
		if _, ok := p.op(")"); ok {
			return args, kw, nil
		}
		if l := p.l[p.at]; l.kind == 'n' && p.l[p.at+1].s == "=" && p.l[p.at+1].kind == 'o' {
			p.at += 2
			e, err := p.ternary()
			if err != nil {
				return nil, nil, err
			}
			if kw == nil {
				kw = map[string]expr{}
			}
			kw[l.s] = e
		} else {
			e, err := p.ternary()
			if err != nil {
				return nil, nil, err
			}
			args = append(args, e)
		}
		if _, ok := p.op(","); !ok && p.l[p.at].s != ")" {
			return nil, nil, fmt.Errorf("%q: %q is missing at %q", p.src, ")", p.l[p.at].s)
		}
	}
}

func (p *exprParser) primary() (expr, error) {
	l := p.l[p.at]
	if l.kind != 0 {
		p.at++
	}
	switch l.kind {
	case 's':
		for p.l[p.at].kind == 's' { // strings beside each other are one
			l.s += p.l[p.at].s
			p.at++
		}
		return literalExpr{l.s}, nil
	case 'i':
		v, err := strconv.ParseInt(l.s, 10, 64)
		return literalExpr{v}, err
	case 'f':
		v, err := strconv.ParseFloat(l.s, 64)
		return literalExpr{v}, err
	case 'n':
		switch l.s {
		case "true", "True":
			return literalExpr{true}, nil
		case "false", "False":
			return literalExpr{false}, nil
		case "none", "None":
			return literalExpr{nil}, nil
		}
		return nameExpr{l.s}, nil
	case 'o':
		switch l.s {
		case "(":
			e, err := p.ternary()
			if err != nil {
				return nil, err
			}
			return e, p.need(")")
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
	}
	return nil, fmt.Errorf("%q is not understood at %q", p.src, l.s)
}

func (p *exprParser) list() (expr, error) {
	var n listExpr
	for {
		if _, ok := p.op("]"); ok {
			return n, nil
		}
		e, err := p.ternary()
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, e)
		if _, ok := p.op(","); !ok && p.l[p.at].s != "]" {
			return nil, p.need("]")
		}
	}
}

func (p *exprParser) dict() (expr, error) {
	var n dictExpr
	for {
		if _, ok := p.op("}"); ok {
			return n, nil
		}
		k, err := p.ternary()
		if err != nil {
			return nil, err
		}
		if err := p.need(":"); err != nil {
			return nil, err
		}
		v, err := p.ternary()
		if err != nil {
			return nil, err
		}
		n.keys, n.values = append(n.keys, k), append(n.values, v)
		if _, ok := p.op(","); !ok && p.l[p.at].s != "}" {
			return nil, p.need("}")
		}
	}
}
