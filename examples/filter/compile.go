package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"sync"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/module"
)

// A call from Go into compiled code costs about as much as twenty closure
// calls. So what is compiled is not a function from a record to a bool, but the
// loop over all records, with the condition in its middle:
//
//	select(records, n, out) → count
//
// It writes the indexes of the records that match. The index of every record is
// written, match or not, and the count then advances by 0 or 1: random outcomes
// cost no mispredicted branches.

// Compiler compiles filters, one at a time; any number of goroutines may ask.
type Compiler struct {
	mu      sync.Mutex
	module  *jit.Module
	builder frontend.Builder
	fn      *ir.Function // used again for every filter
	next    uint32
}

// NewCompiler fails where compiled code cannot run. Settings are those of
// package isa, such as opt_level=none.
func NewCompiler(settings ...string) (*Compiler, error) {
	// The verifier finds mistakes in how we use the builder. Our tests have it
	// on; users need not wait for it.
	m, err := jit.NewHost(jit.Config{}, append([]string{"enable_verifier=false"}, settings...)...)
	if err != nil {
		return nil, err
	}
	return &Compiler{module: m, fn: ir.NewFunction(ir.Name{}, ir.Signature{})}, nil
}

// Close frees all filters.
func (c *Compiler) Close() { c.module.Close() }

// Program is a compiled filter. It is for any number of goroutines.
type Program[T any] struct {
	c    *Compiler
	id   module.ID
	call func(context.Context, unsafe.Pointer, int64, unsafe.Pointer) (int64, error)
}

// Compile compiles a filter.
func Compile[T any](c *Compiler, e *Expr[T]) (*Program[T], error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.build(e.root, reflect.TypeFor[T]()); err != nil {
		return nil, err
	}
	id, err := c.module.Define(c.fn)
	if err != nil {
		return nil, err
	}
	if err := c.module.Finalize(); err != nil {
		return nil, err
	}
	call, err := jit.Func3[unsafe.Pointer, int64, unsafe.Pointer, int64](c.module, id)
	if err != nil {
		return nil, err
	}
	return &Program[T]{c, id, call}, nil
}

// Select writes the indexes of the records that match to out, which has room
// for all of them, and returns how many there are.
func (p *Program[T]) Select(ctx context.Context, records []T, out []int32) (int, error) {
	if len(out) < len(records) || len(records) > math.MaxInt32 {
		return 0, fmt.Errorf("room for %d results of %d records", len(out), len(records))
	}
	n, err := p.call(ctx, unsafe.Pointer(unsafe.SliceData(records)), int64(len(records)), unsafe.Pointer(unsafe.SliceData(out)))
	return int(n), err
}

// Size is the size of the machine code in bytes.
func (p *Program[T]) Size() int { return p.c.module.Size(p.id) }

// Close frees the filter, which must not be used afterwards.
func (p *Program[T]) Close() error {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	return p.c.module.Free(p.id)
}

// Fields lie where Go puts them, which is aligned, and are there.
const fieldFlags = ir.MemTrusted

// Bytes of strings are there too, at any address. A constant is compared in
// words, which are made of its bytes in this order.
const textFlags = ir.MemNotrap | ir.MemLittle

func (c *Compiler) build(root *node, record reflect.Type) error {
	c.fn.Clear()
	c.fn.Name = ir.UserName(0, c.next)
	c.next++
	i64 := ir.Param{Type: ir.I64}
	c.fn.Sig = ir.Signature{Params: []ir.Param{i64, i64, i64}, Returns: []ir.Param{i64}}

	g := gen{b: &c.builder}
	b := g.b
	b.Begin(c.fn)
	entry, loop, done := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()
	b.AppendFunctionParams(entry)
	b.SwitchTo(entry)
	b.Seal(entry)
	params := c.fn.Params(entry)
	records, n, out := params[0], params[1], params[2]
	index, count := b.DeclareVar(ir.I64), b.DeclareVar(ir.I64)
	at := b.DeclareVar(ir.I64)
	b.DefVar(index, b.Iconst(ir.I64, 0))
	b.DefVar(count, b.Iconst(ir.I64, 0))
	b.DefVar(at, records)
	b.Brif(n, loop, nil, done, nil)

	b.SwitchTo(loop)
	g.record = b.UseVar(at)
	match := g.bool(root)
	place := b.Iadd(out, b.Ishl(b.UseVar(count), b.Iconst(ir.I64, 2)))
	b.Istore32(fieldFlags, b.UseVar(index), place, 0)
	b.DefVar(count, b.Iadd(b.UseVar(count), b.Uextend(ir.I64, match)))
	b.DefVar(index, b.Iadd(b.UseVar(index), b.Iconst(ir.I64, 1)))
	b.DefVar(at, b.Iadd(b.UseVar(at), b.Iconst(ir.I64, int64(record.Size()))))
	b.Brif(b.Icmp(ir.UnsignedLessThan, b.UseVar(index), n), loop, nil, done, nil)
	b.Seal(loop)

	b.Seal(done)
	b.SwitchTo(done)
	b.Return(b.UseVar(count))
	return b.Finish()
}

// gen makes the code of an expression.
type gen struct {
	b      *frontend.Builder
	record ir.Value
}

// bool is the code of a condition: an i8 that is 0 or 1.
func (g *gen) bool(n *node) ir.Value {
	b := g.b
	switch n.op {
	case opConst:
		return b.Iconst(ir.I8, n.i)
	case opField:
		return b.Load(ir.I8, fieldFlags, g.record, int32(n.field.offset))
	case opNot:
		return b.Bxor(g.bool(n.a), b.Iconst(ir.I8, 1))
	case opAnd, opOr:
		// Nothing here has effects or can fail, so both sides may be computed.
		// That is faster than a branch unless the right side is much work.
		if n.b.cheap() {
			x, y := g.bool(n.a), g.bool(n.b)
			if n.op == opAnd {
				return b.Band(x, y)
			}
			return b.Bor(x, y)
		}
		if n.op == opAnd {
			return g.unless(g.bool(n.a), 0, func() ir.Value { return g.bool(n.b) })
		}
		not := b.Bxor(g.bool(n.a), b.Iconst(ir.I8, 1))
		return g.unless(not, 1, func() ir.Value { return g.bool(n.b) })
	case opPrefix, opSuffix:
		ptr, length := g.string(n.a)
		want := b.Iconst(ir.I64, int64(len(n.b.s)))
		long := b.Icmp(ir.UnsignedGreaterThanOrEqual, length, want)
		return g.unless(long, 0, func() ir.Value {
			if n.op == opSuffix {
				ptr = b.Iadd(ptr, b.Isub(length, want))
			}
			return g.equalText(ptr, n.b.s)
		})
	}
	switch n.a.typ {
	case tInt:
		cc := [...]ir.IntCC{ir.Equal, ir.NotEqual, ir.SignedLessThan, ir.SignedLessThanOrEqual, ir.SignedGreaterThan, ir.SignedGreaterThanOrEqual}
		return b.Icmp(cc[n.op-opEq], g.int(n.a), g.int(n.b))
	case tFloat:
		cc := [...]ir.FloatCC{ir.FloatEqual, ir.FloatNotEqual, ir.LessThan, ir.LessThanOrEqual, ir.GreaterThan, ir.GreaterThanOrEqual}
		return b.Fcmp(cc[n.op-opEq], g.float(n.a), g.float(n.b))
	}
	var equal ir.Value
	if n.a.typ == tBool {
		equal = b.Icmp(ir.Equal, g.bool(n.a), g.bool(n.b))
	} else {
		equal = g.equalStrings(n.a, n.b)
	}
	if n.op == opNe {
		equal = b.Bxor(equal, b.Iconst(ir.I8, 1))
	}
	return equal
}

// cheap tells whether an expression is computed faster than a branch is
// mispredicted.
func (n *node) cheap() bool {
	switch n.op {
	case opDiv, opRem, opPrefix, opSuffix:
		return false
	case opConst, opField:
		return true
	}
	return n.depth <= 4 && n.a.typ != tString && n.a.cheap() && (n.b == nil || n.b.cheap())
}

// unless is what then computes if c is not 0, and otherwise the constant.
func (g *gen) unless(c ir.Value, otherwise int64, then func() ir.Value) ir.Value {
	b := g.b
	more, join := b.CreateBlock(), b.CreateBlock()
	result := b.AppendParam(join, ir.I8)
	b.Brif(c, more, nil, join, []ir.Value{b.Iconst(ir.I8, otherwise)})
	b.Seal(more)
	b.SwitchTo(more)
	b.Jump(join, then())
	b.Seal(join)
	b.SwitchTo(join)
	return result
}

func (g *gen) int(n *node) ir.Value {
	b := g.b
	switch n.op {
	case opConst:
		return b.Iconst(ir.I64, n.i)
	case opField:
		at := int32(n.field.offset)
		switch n.field.kind {
		case reflect.Int8:
			return b.Sload8(ir.I64, fieldFlags, g.record, at)
		case reflect.Int16:
			return b.Sload16(ir.I64, fieldFlags, g.record, at)
		case reflect.Int32:
			return b.Sload32(fieldFlags, g.record, at)
		case reflect.Uint8:
			return b.Uload8(ir.I64, fieldFlags, g.record, at)
		case reflect.Uint16:
			return b.Uload16(ir.I64, fieldFlags, g.record, at)
		case reflect.Uint32:
			return b.Uload32(fieldFlags, g.record, at)
		}
		return b.Load(ir.I64, fieldFlags, g.record, at)
	case opNeg:
		return b.Ineg(g.int(n.a))
	}
	x, y := g.int(n.a), g.int(n.b)
	switch n.op {
	case opAdd:
		return b.Iadd(x, y)
	case opSub:
		return b.Isub(x, y)
	case opMul:
		return b.Imul(x, y)
	case opDiv:
		return g.divide(n, x, y)
	case opRem:
		return g.divide(n, x, y)
	}
	panic("filter: not an operation on integers")
}

// divide is x / y or x % y. The instructions sdiv and srem trap for a divisor of 0, and
// sdiv for the least integer divided by -1. So these two divisors are replaced
// by 1, and the result is chosen afterwards.
func (g *gen) divide(n *node, x, y ir.Value) ir.Value {
	b := g.b
	if n.b.op == opConst && n.b.i != 0 && n.b.i != -1 {
		if n.op == opDiv {
			return b.Sdiv(x, y)
		}
		return b.Srem(x, y)
	}
	zero, one := b.Iconst(ir.I64, 0), b.Iconst(ir.I64, 1)
	special := b.Icmp(ir.UnsignedLessThanOrEqual, b.Iadd(y, one), one) // 0 and -1
	y1 := b.Select(special, one, y)
	if n.op == opRem {
		return b.Srem(x, y1) // by 1, it is 0
	}
	q := b.Sdiv(x, y1)
	return b.Select(special, b.Select(y, b.Ineg(x), zero), q)
}

func (g *gen) float(n *node) ir.Value {
	b := g.b
	switch n.op {
	case opConst:
		return b.F64const(math.Float64bits(n.f))
	case opField:
		at := int32(n.field.offset)
		if n.field.kind == reflect.Float32 {
			return b.Fpromote(ir.F64, b.Load(ir.F32, fieldFlags, g.record, at))
		}
		return b.Load(ir.F64, fieldFlags, g.record, at)
	case opToFloat:
		return b.FcvtFromSint(ir.F64, g.int(n.a))
	case opNeg:
		return b.Fneg(g.float(n.a))
	}
	x, y := g.float(n.a), g.float(n.b)
	switch n.op {
	case opAdd:
		return b.Fadd(x, y)
	case opSub:
		return b.Fsub(x, y)
	case opMul:
		return b.Fmul(x, y)
	case opDiv:
		return b.Fdiv(x, y)
	}
	panic("filter: not an operation on floats")
}

// string is the address and the length of a field: a string is these two words.
func (g *gen) string(n *node) (ptr, length ir.Value) {
	at := int32(n.field.offset)
	return g.b.Load(ir.I64, fieldFlags, g.record, at), g.b.Load(ir.I64, fieldFlags, g.record, at+8)
}

func (g *gen) equalStrings(x, y *node) ir.Value {
	b := g.b
	if x.op == opConst {
		x, y = y, x
	}
	if x.op == opConst {
		return b.Iconst(ir.I8, bit(x.s == y.s))
	}
	ptr, length := g.string(x)
	if y.op == opConst {
		same := b.Icmp(ir.Equal, length, b.Iconst(ir.I64, int64(len(y.s))))
		return g.unless(same, 0, func() ir.Value { return g.equalText(ptr, y.s) })
	}
	ptr2, length2 := g.string(y)
	return g.unless(b.Icmp(ir.Equal, length, length2), 0, func() ir.Value { return g.equalBytes(ptr, ptr2, length) })
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// equalText compares memory with a constant, a word at a time; the last word
// overlaps the one before. Long constants are compared in parts, so that the
// first difference ends it.
func (g *gen) equalText(ptr ir.Value, s string) ir.Value {
	const part = 32
	if len(s) > part+8 {
		return g.unless(g.equalText(ptr, s[:part]), 0, func() ir.Value {
			return g.equalText(g.b.Iadd(ptr, g.b.Iconst(ir.I64, part)), s[part:])
		})
	}
	b := g.b
	diff := ir.NoValue
	for i := 0; i < len(s); {
		var d ir.Value
		switch rest := len(s) - i; {
		case rest >= 8, i > 0:
			i = min(i, len(s)-8)
			word := int64(binary.LittleEndian.Uint64([]byte(s[i:])))
			d = b.Bxor(b.Load(ir.I64, textFlags, ptr, int32(i)), b.Iconst(ir.I64, word))
			i += 8
		default: // fewer than 8 bytes in all: 4, 2 and 1 of them
			d = b.Bxor(g.shortText(ptr, s))
			i = len(s)
		}
		if diff != ir.NoValue {
			d = b.Bor(diff, d)
		}
		diff = d
	}
	if diff == ir.NoValue {
		return b.Iconst(ir.I8, 1)
	}
	return b.Icmp(ir.Equal, diff, b.Iconst(ir.I64, 0))
}

// shortText loads fewer than 8 bytes, as an integer, and is what they should be.
func (g *gen) shortText(ptr ir.Value, s string) (got, want ir.Value) {
	b := g.b
	got = ir.NoValue
	var word int64
	for i, shift := 0, int64(0); i < len(s); {
		var v ir.Value
		var n int
		switch rest := len(s) - i; {
		case rest >= 4:
			n, v = 4, b.Uload32(textFlags, ptr, int32(i))
		case rest >= 2:
			n, v = 2, b.Uload16(ir.I64, textFlags, ptr, int32(i))
		default:
			n, v = 1, b.Uload8(ir.I64, textFlags, ptr, int32(i))
		}
		if got == ir.NoValue {
			got = v
		} else {
			got = b.Bor(got, b.Ishl(v, b.Iconst(ir.I64, shift)))
		}
		for range n {
			word |= int64(s[i]) << shift
			i, shift = i+1, shift+8
		}
	}
	return got, b.Iconst(ir.I64, word)
}

// equalBytes compares two strings of one length: a loop inside of the loop.
func (g *gen) equalBytes(p, q, length ir.Value) ir.Value {
	b := g.b
	head, body, join := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()
	result := b.AppendParam(join, ir.I8)
	index := b.DeclareVar(ir.I64)
	b.DefVar(index, b.Iconst(ir.I64, 0))
	b.Jump(head)

	b.SwitchTo(head)
	i := b.UseVar(index)
	b.Brif(b.Icmp(ir.UnsignedLessThan, i, length), body, nil, join, []ir.Value{b.Iconst(ir.I8, 1)})

	b.Seal(body)
	b.SwitchTo(body)
	x := b.Load(ir.I8, textFlags, b.Iadd(p, i), 0)
	y := b.Load(ir.I8, textFlags, b.Iadd(q, i), 0)
	b.DefVar(index, b.Iadd(i, b.Iconst(ir.I64, 1)))
	b.Brif(b.Icmp(ir.Equal, x, y), head, nil, join, []ir.Value{b.Iconst(ir.I8, 0)})
	b.Seal(head)
	b.Seal(join)
	b.SwitchTo(join)
	return result
}
