package token

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The part of Jinja that chat templates of released checkpoints use, as transformers runs it: trim_blocks and
// lstrip_blocks are on. What is not understood is an error when the template is parsed or run.

// Limits of a template.
const (
	maxTemplate = 256 << 10 // bytes of source
	maxNesting  = 64        // of blocks and expressions
	maxWork     = 1 << 20   // nodes evaluated in one rendering
	maxOutput   = 16 << 20  // bytes rendered
)

// statement is a statement of a template.
type statement interface {
	run(r *render) error
}

type (
	textNode   struct{ s string }
	outputNode struct{ e expr }
	setNode    struct {
		name, attr string // attr is "" but for namespaces
		value      expr
	}
	ifNode struct {
		conditions []expr // one less than bodies when there is an else
		bodies     [][]statement
	}
	forNode struct {
		names      []string
		list       expr
		filter     expr // may be nil
		body, none []statement
	}
)

// jinjaTag is a piece of the source: text, {{ }} or {% %}.
type jinjaTag struct {
	kind byte // 't', '{' or '%'
	s    string
}

// tags cuts the source into pieces and applies white space control.
func tags(src string) ([]jinjaTag, error) {
	src = strings.TrimSuffix(src, "\n")
	var out []jinjaTag
	trimNext, afterBlock := false, false
	for {
		i := strings.Index(src, "{")
		for i >= 0 && (i+1 >= len(src) || !strings.ContainsRune("{%#", rune(src[i+1]))) {
			j := strings.Index(src[i+1:], "{")
			if j < 0 {
				i = -1
				break
			}
			i += 1 + j
		}
		text := src
		if i >= 0 {
			text = src[:i]
		}
		lineStart := len(out) == 0 || strings.Contains(text, "\n") // of the source, whatever is trimmed
		if afterBlock {
			text = strings.TrimPrefix(text, "\n")
		}
		if trimNext {
			text = strings.TrimLeft(text, " \t\r\n")
		}
		if i < 0 {
			return append(out, jinjaTag{'t', text}), nil
		}
		kind := src[i+1]
		end := map[byte]string{'{': "}}", '%': "%}", '#': "#}"}[kind]
		n := tagEnd(src[i+2:], end, kind != '#')
		if n < 0 {
			return nil, fmt.Errorf("%q is not closed", src[i:min(i+20, len(src))])
		}
		inner := src[i+2 : i+2+n]
		src = src[i+2+n+2:]
		switch {
		case strings.HasPrefix(inner, "-"):
			text, inner = strings.TrimRight(text, " \t\r\n"), inner[1:]
		case strings.HasPrefix(inner, "+"):
			inner = inner[1:]
		case kind != '{': // lstrip_blocks
			line := text[strings.LastIndexByte(text, '\n')+1:]
			if strings.Trim(line, " \t") == "" && lineStart {
				text = text[:len(text)-len(line)]
			}
		}
		trimNext = strings.HasSuffix(inner, "-")
		inner = strings.TrimSuffix(inner, "-")
		afterBlock = kind != '{'
		out = append(out, jinjaTag{'t', text})
		if kind != '#' {
			out = append(out, jinjaTag{kind, inner})
		}
	}
}

// tagEnd is where end stands in s, outside of strings.
func tagEnd(s, end string, quoted bool) int {
	var quote byte
	for i := 0; i < len(s); i++ {
		switch {
		case quote != 0:
			if s[i] == '\\' {
				i++
			} else if s[i] == quote {
				quote = 0
			}
		case quoted && (s[i] == '\'' || s[i] == '"'):
			quote = s[i]
		case strings.HasPrefix(s[i:], end):
			return i
		}
	}
	return -1
}

// jinjaParser builds statements.
type jinjaParser struct {
	tags  []jinjaTag
	at    int
	depth int
}

// parseJinja parses a template.
func parseJinja(src string) ([]statement, error) {
	if len(src) > maxTemplate {
		return nil, fmt.Errorf("%d bytes long, at most %d are read", len(src), maxTemplate)
	}
	t, err := tags(src)
	if err != nil {
		return nil, err
	}
	p := &jinjaParser{tags: t}
	nodes, end, err := p.block()
	if err == nil && end != "" {
		err = fmt.Errorf("{%% %s %%} closes nothing", end)
	}
	return nodes, err
}

// block parses up to a tag that ends or continues a block, which it returns.
func (p *jinjaParser) block() (nodes []statement, end string, err error) {
	if p.depth++; p.depth > maxNesting {
		return nil, "", fmt.Errorf("nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	for p.at < len(p.tags) {
		t := p.tags[p.at]
		p.at++
		switch t.kind {
		case 't':
			if t.s != "" {
				nodes = append(nodes, textNode{t.s})
			}
		case '{':
			e, err := parseExpr(t.s)
			if err != nil {
				return nil, "", err
			}
			nodes = append(nodes, outputNode{e})
		default:
			word, rest, _ := strings.Cut(strings.TrimSpace(t.s), " ")
			switch word {
			case "if":
				n, err := p.ifBlock(rest)
				if err != nil {
					return nil, "", err
				}
				nodes = append(nodes, n)
			case "for":
				n, err := p.forBlock(rest)
				if err != nil {
					return nil, "", err
				}
				nodes = append(nodes, n)
			case "set":
				n, err := parseSet(rest)
				if err != nil {
					return nil, "", err
				}
				nodes = append(nodes, n)
			case "macro":
				n, err := p.macroBlock(rest)
				if err != nil {
					return nil, "", err
				}
				nodes = append(nodes, n)
			case "generation", "endgeneration": // marks of training; nothing is rendered
			case "elif", "else", "endif", "endfor", "endmacro":
				return nodes, strings.TrimSpace(t.s), nil
			default:
				return nil, "", fmt.Errorf("statement %q is unknown; have if, for, set, macro", word)
			}
		}
	}
	return nodes, "", nil
}

func (p *jinjaParser) ifBlock(condition string) (statement, error) {
	n := ifNode{}
	for {
		e, err := parseExpr(condition)
		if err != nil {
			return nil, err
		}
		body, end, err := p.block()
		if err != nil {
			return nil, err
		}
		n.conditions, n.bodies = append(n.conditions, e), append(n.bodies, body)
		if next, ok := strings.CutPrefix(end, "elif "); ok {
			condition = next
			continue
		}
		if end == "else" {
			if body, end, err = p.block(); err != nil {
				return nil, err
			}
			n.bodies = append(n.bodies, body)
		}
		if end != "endif" {
			return nil, fmt.Errorf("an if ends with %q", end)
		}
		return n, nil
	}
}

func (p *jinjaParser) forBlock(head string) (statement, error) {
	names, rest, ok := strings.Cut(head, " in ")
	if !ok {
		return nil, fmt.Errorf("for %q has no in", head)
	}
	n := forNode{}
	for name := range strings.SplitSeq(names, ",") {
		n.names = append(n.names, strings.TrimSpace(name))
	}
	l, err := newExprParser(rest)
	if err != nil {
		return nil, err
	}
	if n.list, err = l.or(); err != nil {
		return nil, err
	}
	if l.word("if") {
		if n.filter, err = l.or(); err != nil {
			return nil, err
		}
	}
	if err := l.end(); err != nil {
		return nil, err
	}
	var end string
	if n.body, end, err = p.block(); err != nil {
		return nil, err
	}
	if end == "else" {
		if n.none, end, err = p.block(); err != nil {
			return nil, err
		}
	}
	if end != "endfor" {
		return nil, fmt.Errorf("a for ends with %q", end)
	}
	return n, nil
}

func parseSet(s string) (statement, error) {
	target, value, ok := strings.Cut(s, "=")
	if !ok {
		return nil, errors.New("a set without =")
	}
	name, attr, _ := strings.Cut(strings.TrimSpace(target), ".")
	if !isName(name) || attr != "" && !isName(attr) {
		return nil, fmt.Errorf("set of %q", target)
	}
	e, err := parseExpr(value)
	return setNode{name, attr, e}, err
}

func isName(s string) bool {
	for i, c := range s {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}

// lexeme is a word of an expression.
type lexeme struct {
	kind byte // 'n' name, 's' string, 'i' integer, 'f' float, 'o' operator, 0 end
	s    string
}

var operators = []string{"==", "!=", "<=", ">=", "//", "**", "(", ")", "[", "]", "{", "}", ".", ",", ":", "|", "+", "-", "*", "/", "%", "<", ">", "=", "~"}

// lexemes cuts an expression into words.
func lexemes(s string) ([]lexeme, error) {
	var out []lexeme
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '\'' || c == '"':
			text, n, err := quoted(s[i:])
			if err != nil {
				return nil, err
			}
			out = append(out, lexeme{'s', text})
			i += n
		case c >= '0' && c <= '9':
			j := i
			for j < len(s) && (s[j] >= '0' && s[j] <= '9') {
				j++
			}
			kind := byte('i')
			if j+1 < len(s) && s[j] == '.' && s[j+1] >= '0' && s[j+1] <= '9' {
				kind = 'f'
				for j++; j < len(s) && s[j] >= '0' && s[j] <= '9'; j++ {
				}
			}
			out = append(out, lexeme{kind, s[i:j]})
			i = j
		case c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z':
			j := i
			for j < len(s) && isName("a"+s[i:j+1]) {
				j++
			}
			out = append(out, lexeme{'n', s[i:j]})
			i = j
		default:
			found := ""
			for _, o := range operators {
				if strings.HasPrefix(s[i:], o) {
					found = o
					break
				}
			}
			if found == "" {
				return nil, fmt.Errorf("character %q in %q", c, s)
			}
			out = append(out, lexeme{'o', found})
			i += len(found)
		}
	}
	return append(out, lexeme{}), nil
}

// quoted reads a string literal and returns its length in the source.
func quoted(s string) (string, int, error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == s[0]:
			return b.String(), i + 1, nil
		case c == '\\' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			case '\\', '\'', '"':
				b.WriteByte(s[i])
			case 'u':
				if i+5 > len(s) {
					return "", 0, errors.New("a cut \\u escape")
				}
				v, err := strconv.ParseUint(s[i+1:i+5], 16, 32)
				if err != nil {
					return "", 0, fmt.Errorf("escape %q", s[i-1:i+5])
				}
				b.WriteRune(rune(v))
				i += 4
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("string %.20q is not closed", s)
}
