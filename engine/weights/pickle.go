package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Limits of a pickle. A file needs far fewer.
const (
	maxMemo  = 1 << 21
	maxStack = 1 << 21
)

// Values of a pickle are nil, bool, int64, float64, string and the types below. Nothing is ever imported or called: a call
// of anything but the few functions that make tensors and dictionaries stays an opaque pkCall.
type (
	pkTuple  []any
	pkList   struct{ items []any }
	pkDict   struct{ keys, values []any }
	pkGlobal struct{ module, name string }
	pkRef    struct{ id any } // a persistent id: a storage of torch
	pkCall   struct {
		callee any
		args   pkTuple
		state  any
	}
)

type pkMark struct{}

// pickle is the machine that runs the opcodes of protocols 0 to 5 that torch writes.
type pickle struct {
	data  []byte
	at    int
	stack []any
	memo  map[uint64]any
	refs  []pkRef // in the order in which they come
}

var errPickleShort = errors.New("the pickle is cut off")

// unpickle runs a pickle and returns what it builds.
func unpickle(data []byte) (any, error) {
	return (&pickle{data: data, memo: map[uint64]any{}}).run()
}

// run runs the opcodes up to the end of one pickle; p.at is behind it then.
func (p *pickle) run() (any, error) {
	for {
		op, err := p.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' {
			return p.pop()
		}
		if err := p.do(op); err != nil {
			return nil, fmt.Errorf("byte %d, opcode %#02x: %w", p.at-1, op, err)
		}
		if len(p.stack) > maxStack || len(p.memo) > maxMemo {
			return nil, fmt.Errorf("byte %d: over %d values on the stack or %d in the memo", p.at, maxStack, maxMemo)
		}
	}
}

func (p *pickle) byte() (byte, error) {
	if p.at >= len(p.data) {
		return 0, errPickleShort
	}
	p.at++
	return p.data[p.at-1], nil
}

// take returns the next n bytes.
func (p *pickle) take(n uint64) ([]byte, error) {
	if n > uint64(len(p.data)-p.at) {
		return nil, errPickleShort
	}
	p.at += int(n)
	return p.data[p.at-int(n) : p.at], nil
}

// uint reads n bytes as a little-endian number.
func (p *pickle) uint(n int) (uint64, error) {
	b, err := p.take(uint64(n))
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v, err
}

func (p *pickle) line() (string, error) {
	for i := p.at; i < len(p.data); i++ {
		if p.data[i] == '\n' {
			s := string(p.data[p.at:i])
			p.at = i + 1
			return s, nil
		}
	}
	return "", errPickleShort
}

func (p *pickle) push(v any) { p.stack = append(p.stack, v) }

func (p *pickle) pop() (any, error) {
	if len(p.stack) == 0 {
		return nil, errors.New("the stack is empty")
	}
	v := p.stack[len(p.stack)-1]
	p.stack = p.stack[:len(p.stack)-1]
	return v, nil
}

func (p *pickle) top() (any, error) {
	if len(p.stack) == 0 {
		return nil, errors.New("the stack is empty")
	}
	return p.stack[len(p.stack)-1], nil
}

// marked pops everything down to the last mark.
func (p *pickle) marked() ([]any, error) {
	for i := len(p.stack) - 1; i >= 0; i-- {
		if _, ok := p.stack[i].(pkMark); ok {
			items := append([]any(nil), p.stack[i+1:]...)
			p.stack = p.stack[:i]
			return items, nil
		}
	}
	return nil, errors.New("no mark on the stack")
}

// tuple pops n values.
func (p *pickle) tuple(n int) error {
	if len(p.stack) < n {
		return fmt.Errorf("%d values on the stack, want %d", len(p.stack), n)
	}
	t := append(pkTuple(nil), p.stack[len(p.stack)-n:]...)
	p.stack = append(p.stack[:len(p.stack)-n], t)
	return nil
}

// do runs one opcode.
//
// size: a case an opcode.
func (p *pickle) do(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := p.byte()
		if err == nil && v > 5 {
			return fmt.Errorf("protocol %d, want at most 5", v)
		}
		return err
	case 0x95: // FRAME
		_, err := p.uint(8)
		return err
	case 'N':
		p.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		p.push(op == 0x88)
	case '}':
		p.push(&pkDict{})
	case ']', 0x8f: // EMPTY_LIST, EMPTY_SET
		p.push(&pkList{})
	case ')':
		p.push(pkTuple{})
	case '(':
		p.push(pkMark{})
	case '0': // POP
		_, err := p.pop()
		return err
	case '1': // POP_MARK
		_, err := p.marked()
		return err
	case '2': // DUP
		v, err := p.top()
		p.push(v)
		return err
	case 'K', 'M', 'J': // BININT1, BININT2, BININT
		n := map[byte]int{'K': 1, 'M': 2, 'J': 4}[op]
		v, err := p.uint(n)
		if op == 'J' {
			v = uint64(int64(int32(uint32(v))))
		}
		p.push(int64(v))
		return err
	case 0x8a: // LONG1
		return p.long()
	case 'G': // BINFLOAT
		b, err := p.take(8)
		if err == nil {
			p.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		}
		return err
	case 'X', 'U', 'T', 'B', 'C', 0x8c, 0x8d, 0x8e: // strings and bytes
		return p.text(op)
	case 'c': // GLOBAL
		module, err := p.line()
		if err != nil {
			return err
		}
		name, err := p.line()
		p.push(pkGlobal{module, name})
		return err
	case 0x93: // STACK_GLOBAL
		if err := p.tuple(2); err != nil {
			return err
		}
		v, _ := p.pop()
		t := v.(pkTuple)
		module, ok1 := t[0].(string)
		name, ok2 := t[1].(string)
		if !ok1 || !ok2 {
			return errors.New("the name of a global is no string")
		}
		p.push(pkGlobal{module, name})
	case 'Q': // BINPERSID
		v, err := p.pop()
		p.push(pkRef{v})
		p.refs = append(p.refs, pkRef{v})
		return err
	case 't', 'l', 0x91: // TUPLE, LIST, FROZENSET
		items, err := p.marked()
		if op == 't' {
			p.push(pkTuple(items))
		} else {
			p.push(&pkList{items})
		}
		return err
	case 'd': // DICT
		return p.dict()
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		return p.tuple(int(op) - 0x84)
	case 'q', 'r', 'h', 'j', 0x94: // BINPUT, LONG_BINPUT, BINGET, LONG_BINGET, MEMOIZE
		return p.remember(op)
	case 'a', 'e', 0x90: // APPEND, APPENDS, ADDITEMS
		return p.appendItems(op)
	case 's', 'u': // SETITEM, SETITEMS
		return p.setItems(op)
	case 'R', 0x81, 'b': // REDUCE, NEWOBJ, BUILD
		return p.call(op)
	default:
		return errors.New("is not among those that checkpoints use")
	}
	return nil
}

// long reads LONG1, of at most 8 bytes.
func (p *pickle) long() error {
	n, err := p.byte()
	if err != nil {
		return err
	}
	if n > 8 {
		return fmt.Errorf("an integer of %d bytes, at most 8 are read", n)
	}
	v, err := p.uint(int(n))
	if n > 0 && n < 8 && v>>(8*n-1) != 0 {
		v |= ^uint64(0) << (8 * n)
	}
	p.push(int64(v))
	return err
}

func (p *pickle) text(op byte) error {
	size := map[byte]int{'X': 4, 'T': 4, 'B': 4, 'U': 1, 'C': 1, 0x8c: 1, 0x8d: 8, 0x8e: 8}[op]
	n, err := p.uint(size)
	if err != nil {
		return err
	}
	b, err := p.take(n)
	p.push(string(b))
	return err
}

func (p *pickle) dict() error {
	items, err := p.marked()
	if err != nil {
		return err
	}
	d := &pkDict{}
	p.push(d)
	return d.set(items)
}

func (p *pickle) remember(op byte) error {
	key := uint64(len(p.memo))
	var err error
	switch op {
	case 'q', 'h':
		key, err = p.uint(1)
	case 'r', 'j':
		key, err = p.uint(4)
	}
	if err != nil {
		return err
	}
	if op == 'h' || op == 'j' {
		v, ok := p.memo[key]
		if !ok {
			return fmt.Errorf("nothing is remembered as %d", key)
		}
		p.push(v)
		return nil
	}
	v, err := p.top()
	p.memo[key] = v
	return err
}

func (p *pickle) appendItems(op byte) error {
	var items []any
	var err error
	if op == 'a' {
		items = make([]any, 1)
		items[0], err = p.pop()
	} else {
		items, err = p.marked()
	}
	if err != nil {
		return err
	}
	v, err := p.top()
	if err != nil {
		return err
	}
	if list, ok := v.(*pkList); ok {
		list.items = append(list.items, items...)
		return nil
	}
	if _, ok := v.(*pkCall); ok {
		return nil // items of an object that is not understood
	}
	return fmt.Errorf("items for %T", v)
}

func (p *pickle) setItems(op byte) error {
	var items []any
	var err error
	if op == 's' {
		if err := p.tuple(2); err != nil {
			return err
		}
		v, _ := p.pop()
		items = v.(pkTuple)
	} else if items, err = p.marked(); err != nil {
		return err
	}
	v, err := p.top()
	if err != nil {
		return err
	}
	if d, ok := v.(*pkDict); ok {
		return d.set(items)
	}
	if _, ok := v.(*pkCall); ok {
		return nil
	}
	return fmt.Errorf("entries for %T", v)
}

func (d *pkDict) set(items []any) error {
	if len(items)%2 != 0 {
		return fmt.Errorf("%d keys and values, want as many of each", len(items))
	}
	for i := 0; i < len(items); i += 2 {
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return nil
}

// call runs REDUCE, NEWOBJ and BUILD without calling anything: an OrderedDict is a dictionary, everything else a pkCall.
func (p *pickle) call(op byte) error {
	arg, err := p.pop()
	if err != nil {
		return err
	}
	v, err := p.pop()
	if err != nil {
		return err
	}
	if op == 'b' {
		if c, ok := v.(*pkCall); ok {
			c.state = arg
		}
		p.push(v) // the attributes of a dictionary are its metadata
		return nil
	}
	args, ok := arg.(pkTuple)
	if !ok {
		return fmt.Errorf("arguments are %T, want a tuple", arg)
	}
	if g, ok := v.(pkGlobal); ok && g == (pkGlobal{"collections", "OrderedDict"}) && len(args) == 0 {
		p.push(&pkDict{})
		return nil
	}
	if g, ok := v.(pkGlobal); ok && g.acts() {
		return fmt.Errorf("the file asks for a call of %s.%s, which is refused: it is no part of a checkpoint", g.module, g.name)
	}
	p.push(&pkCall{callee: v, args: args})
	return nil
}

// acts reports whether g is one of the functions that do something outside of the file that is read. Nothing in a pickle is
// called here, so this protects nobody; it names a file that was made to do harm elsewhere.
func (g pkGlobal) acts() bool {
	switch g.module {
	case "os", "posix", "nt", "subprocess", "pty", "sys", "shutil", "socket", "runpy", "importlib", "ctypes", "webbrowser", "code", "commands":
		return true
	case "builtins", "__builtin__":
		return slices.Contains([]string{"eval", "exec", "execfile", "compile", "open", "__import__", "input", "breakpoint"}, g.name)
	}
	return false
}
