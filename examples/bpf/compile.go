package main

import (
	"context"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/net/bpf"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/module"
)

// Compiler compiles filters into one module. It is for one goroutine at a time.
type Compiler struct {
	module  *jit.Module
	builder frontend.Builder
	fn      *ir.Function
	next    uint32
	batch   func(ctx context.Context, filter uintptr, packets unsafe.Pointer, n int64, out unsafe.Pointer) (struct{}, error)
}

// NewCompiler fails where compiled code cannot run. Settings are those of
// package isa, such as opt_level=none.
func NewCompiler(settings ...string) (*Compiler, error) {
	m, err := jit.NewHost(jit.Config{}, settings...)
	if err != nil {
		return nil, err
	}
	c := &Compiler{module: m, fn: ir.NewFunction(ir.Name{}, ir.Signature{})}
	if err := c.buildBatch(); err != nil {
		return nil, err
	}
	id, err := c.module.Define(c.fn)
	if err != nil {
		return nil, err
	}
	if err := c.module.Finalize(); err != nil {
		return nil, err
	}
	c.batch, err = jit.Func4[uintptr, unsafe.Pointer, int64, unsafe.Pointer, struct{}](c.module, id)
	return c, err
}

// Close frees all filters.
func (c *Compiler) Close() { c.module.Close() }

// Filter is a compiled program. It is for any number of goroutines.
type Filter struct {
	c    *Compiler
	id   module.ID
	call func(context.Context, unsafe.Pointer, int64) (uint32, error)
}

// Run runs the filter on a packet and returns how many bytes of it are
// accepted: 0 if it is to be dropped.
func (f *Filter) Run(ctx context.Context, packet []byte) (int, error) {
	n, err := f.call(ctx, unsafe.Pointer(unsafe.SliceData(packet)), int64(len(packet)))
	return int(n), err
}

// RunAll runs the filter on many packets, and stores the results of Run in out.
// It enters compiled code once, which saves most of the time that Run takes.
func (f *Filter) RunAll(ctx context.Context, packets [][]byte, out []uint32) error {
	if len(out) < len(packets) {
		return fmt.Errorf("room for %d results of %d packets", len(out), len(packets))
	}
	if len(packets) == 0 {
		return nil
	}
	_, err := f.c.batch(ctx, f.c.module.Address(f.id), unsafe.Pointer(&packets[0]), int64(len(packets)), unsafe.Pointer(&out[0]))
	return err
}

// Size is the size of the machine code in bytes.
func (f *Filter) Size() int { return f.c.module.Size(f.id) }

// Close frees the filter, which must not be used afterwards.
func (f *Filter) Close() error { return f.c.module.Free(f.id) }

// Compile compiles a program. Its error names the instruction.
func (c *Compiler) Compile(program []bpf.Instruction) (*Filter, error) {
	if err := c.build(program); err != nil {
		return nil, err
	}
	id, err := c.module.Define(c.fn)
	if err != nil {
		return nil, err
	}
	if err := c.module.Finalize(); err != nil {
		return nil, err
	}
	call, err := jit.Func2[unsafe.Pointer, int64, uint32](c.module, id)
	if err != nil {
		return nil, err
	}
	return &Filter{c, id, call}, nil
}

// signature is that of filters.
func signature() ir.Signature {
	return ir.Signature{
		Params:  []ir.Param{{Type: ir.I64}, {Type: ir.I64}},
		Returns: []ir.Param{{Type: ir.I32}},
	}
}

// buildBatch makes the function
//
//	batch(filter: i64, packets: i64, n: i64, out: i64)
//
// which calls a filter for n slices, of three words each, and stores the
// results. n is at least 1.
func (c *Compiler) buildBatch() error {
	i64 := ir.Param{Type: ir.I64}
	c.fn.Name = ir.TestName("batch")
	c.fn.Sig = ir.Signature{Params: []ir.Param{i64, i64, i64, i64}}
	sig := c.fn.AddSig(signature())
	b := &c.builder
	b.Begin(c.fn)
	entry, loop, done := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()
	b.AppendFunctionParams(entry)
	b.SwitchTo(entry)
	b.Seal(entry)
	params := c.fn.Params(entry)
	packet, left, out := b.DeclareVar(ir.I64), b.DeclareVar(ir.I64), b.DeclareVar(ir.I64)
	b.DefVar(packet, params[1])
	b.DefVar(left, params[2])
	b.DefVar(out, params[3])
	b.Jump(loop)

	b.SwitchTo(loop)
	slice := b.UseVar(packet)
	data := b.Load(ir.I64, ir.MemTrusted, slice, 0)
	length := b.Load(ir.I64, ir.MemTrusted, slice, 8)
	call := b.CallIndirect(sig, params[0], data, length)
	b.Store(ir.MemTrusted, c.fn.Result(call), b.UseVar(out), 0)
	advance := func(v frontend.Variable, by int64) {
		b.DefVar(v, b.Iadd(b.UseVar(v), b.Iconst(ir.I64, by)))
	}
	advance(packet, 24)
	advance(out, 4)
	advance(left, -1)
	b.Brif(b.UseVar(left), loop, nil, done, nil)
	b.Seal(loop)
	b.Seal(done)
	b.SwitchTo(done)
	b.Return()
	return b.Finish()
}

// build makes the function
//
//	filter(packet: i64, length: i64) -> i32
//
// A BPF program is easy to translate. It has two registers and 16 words of
// memory that only constants can index: all of them become variables, which
// begin as zero in both worlds. Jumps go forward only, so that when an
// instruction is reached, all that lead to it have been seen.
func (c *Compiler) build(program []bpf.Instruction) error {
	if err := check(program); err != nil {
		return err
	}
	c.fn.Clear()
	c.fn.Name = ir.UserName(0, c.next)
	c.next++
	c.fn.Sig = signature()
	b := &c.builder
	b.Begin(c.fn)
	t := &translator{b: b, program: program, at: make([]ir.Block, len(program)), known: make([]int64, len(program))}
	for i := range t.at {
		t.at[i], t.known[i] = ir.NoBlock, math.MaxInt64
	}
	for r := range t.regs {
		t.regs[r] = b.DeclareVar(ir.I32)
	}
	entry := b.CreateBlock()
	b.AppendFunctionParams(entry)
	b.SwitchTo(entry)
	b.Seal(entry)
	params := c.fn.Params(entry)
	t.packet, t.length = params[0], params[1]

	t.reject = b.CreateBlock()
	reachable := true // the end of the instruction before
	for i, ins := range program {
		if blk := t.at[i]; blk != ir.NoBlock {
			if reachable {
				t.known[i] = min(t.known[i], t.length0)
				b.Jump(blk)
			}
			b.Seal(blk)
			b.SwitchTo(blk)
			t.length0 = t.known[i]
		} else if !reachable {
			continue
		}
		reachable = t.instruction(i, ins)
	}
	b.Seal(t.reject)
	b.SwitchTo(t.reject)
	b.Return(b.Iconst(ir.I32, 0))
	return b.Finish()
}

const (
	regA = iota
	regX
	scratch // the first of 16
	numRegs = scratch + 16
)

type translator struct {
	b              *frontend.Builder
	program        []bpf.Instruction
	packet, length ir.Value
	reject         ir.Block // returns 0
	regs           [numRegs]frontend.Variable
	at             []ir.Block // the block of an instruction that is jumped to
	// How long the packet is at least, as the checks on the way have shown: at an
	// instruction that is jumped to, and here. It saves most checks.
	known   []int64
	length0 int64
}

// check looks for what would be an invalid program, and names it.
func check(program []bpf.Instruction) error {
	if len(program) == 0 {
		return fmt.Errorf("the program is empty")
	}
	if len(program) > 1<<16 {
		return fmt.Errorf("%d instructions are too many", len(program))
	}
	for i, ins := range program {
		bad := func(format string, args ...any) error {
			return fmt.Errorf("instruction %d (%v): %s", i, ins, fmt.Sprintf(format, args...))
		}
		left := len(program) - i - 1
		size, slot, skip := 1, 0, 0
		switch ins := ins.(type) {
		case bpf.LoadAbsolute:
			size = ins.Size
		case bpf.LoadIndirect:
			size = ins.Size
		case bpf.LoadScratch:
			slot = ins.N
		case bpf.StoreScratch:
			slot = ins.N
		case bpf.Jump:
			if uint64(ins.Skip) >= uint64(left) {
				return bad("a jump out of the program")
			}
		case bpf.JumpIf:
			skip = int(max(ins.SkipTrue, ins.SkipFalse))
		case bpf.JumpIfX:
			skip = int(max(ins.SkipTrue, ins.SkipFalse))
		case bpf.ALUOpConstant:
			if ins.Val == 0 && (ins.Op == bpf.ALUOpDiv || ins.Op == bpf.ALUOpMod) {
				return bad("division by zero")
			}
		case bpf.LoadExtension:
			if ins.Num != bpf.ExtLen {
				return bad("the extension is not known")
			}
		case bpf.ALUOpX, bpf.LoadConstant, bpf.LoadMemShift, bpf.NegateA, bpf.RetA, bpf.RetConstant, bpf.TAX, bpf.TXA:
		default:
			return bad("the instruction is not known")
		}
		if size != 1 && size != 2 && size != 4 {
			return bad("a load of %d bytes", size)
		}
		if slot < 0 || slot > 15 {
			return bad("there are 16 scratch words")
		}
		if skip > 0 && skip >= left {
			return bad("a jump out of the program")
		}
	}
	switch program[len(program)-1].(type) {
	case bpf.RetA, bpf.RetConstant:
		return nil
	}
	return fmt.Errorf("the last instruction is not a return")
}

func (t *translator) use(r int) ir.Value         { return t.b.UseVar(t.regs[r]) }
func (t *translator) def(r int, v ir.Value)      { t.b.DefVar(t.regs[r], v) }
func (t *translator) constant(v uint32) ir.Value { return t.b.Iconst(ir.I32, int64(v)) }

// register numbers of bpf's are ours.
func register(r bpf.Register) int {
	if r == bpf.RegX {
		return regX
	}
	return regA
}

// instruction translates program[i] and reports whether the next one follows.
func (t *translator) instruction(i int, ins bpf.Instruction) bool {
	b := t.b
	switch ins := ins.(type) {
	case bpf.LoadConstant:
		t.def(register(ins.Dst), t.constant(ins.Val))
	case bpf.LoadScratch:
		t.def(register(ins.Dst), t.use(scratch+ins.N))
	case bpf.StoreScratch:
		t.def(scratch+ins.N, t.use(register(ins.Src)))
	case bpf.TAX:
		t.def(regX, t.use(regA))
	case bpf.TXA:
		t.def(regA, t.use(regX))
	case bpf.LoadExtension:
		t.def(regA, b.Ireduce(ir.I32, t.length))
	case bpf.LoadAbsolute:
		t.def(regA, t.load(t.offset(ins.Off, ins.Size), ins.Size))
	case bpf.LoadIndirect:
		// The sum of two 32-bit numbers fits 64 bits.
		at := b.Iadd(b.Uextend(ir.I64, t.use(regX)), b.Iconst(ir.I64, int64(ins.Off)))
		end := b.Iadd(at, b.Iconst(ir.I64, int64(ins.Size)))
		t.need(b.Icmp(ir.UnsignedLessThanOrEqual, end, t.length))
		t.def(regA, t.load(at, ins.Size))
	case bpf.LoadMemShift:
		v := t.load(t.offset(ins.Off, 1), 1)
		t.def(regX, b.Ishl(b.Band(v, t.constant(15)), t.constant(2)))
	case bpf.NegateA:
		t.def(regA, b.Ineg(t.use(regA)))
	case bpf.ALUOpConstant:
		if (ins.Op == bpf.ALUOpShiftLeft || ins.Op == bpf.ALUOpShiftRight) && ins.Val >= 32 {
			t.def(regA, t.constant(0))
		} else {
			t.def(regA, t.arithmetic(ins.Op, t.use(regA), t.constant(ins.Val)))
		}
	case bpf.ALUOpX:
		x := t.use(regX)
		switch ins.Op {
		case bpf.ALUOpDiv, bpf.ALUOpMod:
			t.need(x) // the packet is dropped if it is zero
		case bpf.ALUOpShiftLeft, bpf.ALUOpShiftRight:
			// The instructions of CLIF shift by x modulo 32.
			v := t.arithmetic(ins.Op, t.use(regA), x)
			small := b.Icmp(ir.UnsignedLessThan, x, t.constant(32))
			t.def(regA, b.Select(small, v, t.constant(0)))
			return true
		}
		t.def(regA, t.arithmetic(ins.Op, t.use(regA), x))
	case bpf.RetA:
		b.Return(t.use(regA))
		return false
	case bpf.RetConstant:
		b.Return(t.constant(ins.Val))
		return false
	case bpf.Jump:
		b.Jump(t.target(i + 1 + int(ins.Skip)))
		return false
	case bpf.JumpIf:
		t.branch(i, ins.Cond, t.constant(ins.Val), ins.SkipTrue, ins.SkipFalse)
		return false
	case bpf.JumpIfX:
		t.branch(i, ins.Cond, t.use(regX), ins.SkipTrue, ins.SkipFalse)
		return false
	}
	return true
}

// target is the block of program[i], to be jumped to from here.
func (t *translator) target(i int) ir.Block {
	if t.at[i] == ir.NoBlock {
		t.at[i] = t.b.CreateBlock()
	}
	t.known[i] = min(t.known[i], t.length0)
	return t.at[i]
}

func (t *translator) branch(i int, test bpf.JumpTest, v ir.Value, skipTrue, skipFalse uint8) {
	b, a := t.b, t.use(regA)
	var c ir.Value
	switch test {
	case bpf.JumpEqual:
		c = b.Icmp(ir.Equal, a, v)
	case bpf.JumpNotEqual:
		c = b.Icmp(ir.NotEqual, a, v)
	case bpf.JumpGreaterThan:
		c = b.Icmp(ir.UnsignedGreaterThan, a, v)
	case bpf.JumpLessThan:
		c = b.Icmp(ir.UnsignedLessThan, a, v)
	case bpf.JumpGreaterOrEqual:
		c = b.Icmp(ir.UnsignedGreaterThanOrEqual, a, v)
	case bpf.JumpLessOrEqual:
		c = b.Icmp(ir.UnsignedLessThanOrEqual, a, v)
	case bpf.JumpBitsSet:
		c = b.Band(a, v)
	case bpf.JumpBitsNotSet:
		c = b.Icmp(ir.Equal, b.Band(a, v), t.constant(0))
	}
	b.Brif(c, t.target(i+1+int(skipTrue)), nil, t.target(i+1+int(skipFalse)), nil)
}

// need drops the packet if c is zero.
func (t *translator) need(c ir.Value) {
	ok := t.b.CreateBlock()
	t.b.Brif(c, ok, nil, t.reject, nil)
	t.b.Seal(ok)
	t.b.SwitchTo(ok)
}

// offset is a constant offset, at which the packet has size bytes.
func (t *translator) offset(off uint32, size int) ir.Value {
	if end := int64(off) + int64(size); end > t.length0 {
		t.need(t.b.Icmp(ir.UnsignedGreaterThanOrEqual, t.length, t.b.Iconst(ir.I64, end)))
		t.length0 = end
	}
	return t.b.Iconst(ir.I64, int64(off))
}

// load loads a number in network byte order, at an offset that has been checked.
func (t *translator) load(off ir.Value, size int) ir.Value {
	const flags = ir.MemNotrap | ir.MemBig
	b := t.b
	addr := b.Iadd(t.packet, off)
	switch size {
	case 1:
		return b.Uload8(ir.I32, flags, addr, 0)
	case 2:
		return b.Uload16(ir.I32, flags, addr, 0)
	}
	return b.Load(ir.I32, flags, addr, 0)
}

func (t *translator) arithmetic(op bpf.ALUOp, x, y ir.Value) ir.Value {
	b := t.b
	switch op {
	case bpf.ALUOpAdd:
		return b.Iadd(x, y)
	case bpf.ALUOpSub:
		return b.Isub(x, y)
	case bpf.ALUOpMul:
		return b.Imul(x, y)
	case bpf.ALUOpDiv:
		return b.Udiv(x, y)
	case bpf.ALUOpMod:
		return b.Urem(x, y)
	case bpf.ALUOpOr:
		return b.Bor(x, y)
	case bpf.ALUOpAnd:
		return b.Band(x, y)
	case bpf.ALUOpXor:
		return b.Bxor(x, y)
	case bpf.ALUOpShiftLeft:
		return b.Ishl(x, y)
	case bpf.ALUOpShiftRight:
		return b.Ushr(x, y)
	}
	panic(fmt.Sprintf("bpf: operation %d", op))
}
