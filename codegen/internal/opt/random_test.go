package opt_test

import (
	"math/rand/v2"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// program writes a random function of integers with branches, joins and loops that end.
// Operands are chosen such that much can be known of them: constants, masks,
// extensions, comparisons with constants, and block parameters that are the same
// constant on some ways.
type program struct {
	rng    *rand.Rand
	f      *ir.Function
	block  ir.Block
	values []ir.Value // that dominate the block
	left   int        // how many statements
}

func newProgram(rng *rand.Rand, statements int) *ir.Function {
	p := &program{rng: rng, f: ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.Fast}), left: statements}
	p.block = p.f.AddBlock()
	p.f.AppendBlock(p.block)
	for _, t := range []ir.Type{ir.I8, ir.I32, ir.I32, ir.I64} {
		p.f.Sig.Params = append(p.f.Sig.Params, ir.Param{Type: t})
		p.values = append(p.values, p.f.AddParam(p.block, t))
	}
	p.statements(0)
	p.f.Sig.Returns = []ir.Param{{Type: ir.I64}, {Type: ir.I32}}
	p.add(ir.InstData{Op: ir.OpReturn}, p.value(ir.I64), p.value(ir.I32))
	return p.f
}

func (p *program) add(d ir.InstData, args ...ir.Value) ir.Inst {
	i := p.f.AddInst(d, args...)
	p.f.AppendInst(i, p.block)
	p.f.AddResults(i)
	return i
}

func (p *program) inst(d ir.InstData, args ...ir.Value) ir.Value {
	v := p.f.Result(p.add(d, args...))
	p.values = append(p.values, v)
	return v
}

func (p *program) constant(t ir.Type) ir.Value {
	k := pick(p.rng, []uint64{0, 1, 2, 3, 7, 8, 10, 31, 100, 255, 256, 0x7f, 0x80, 0xffff, 1 << 31, ^uint64(0), p.rng.Uint64()})
	if t != ir.I64 {
		k &= 1<<t.Bits() - 1
	}
	return p.inst(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(k)})
}

// value is a value of type t, new or not; mostly of those that came last.
func (p *program) value(t ir.Type) ir.Value {
	for range 6 {
		n := len(p.values)
		if v := p.values[n-1-p.rng.IntN(min(n, 8))]; p.f.ValueType(v) == t {
			return v
		}
	}
	for i := len(p.values) - 1; i >= 0; i-- {
		v := p.values[i]
		switch from := p.f.ValueType(v); {
		case from == t:
			return v
		case p.rng.IntN(3) == 0 && from.Bits() > t.Bits():
			return p.inst(ir.InstData{Op: ir.OpIreduce, Type: t}, v)
		case p.rng.IntN(3) == 0 && from.Bits() < t.Bits():
			return p.inst(ir.InstData{Op: pick(p.rng, []ir.Opcode{ir.OpUextend, ir.OpSextend, ir.OpUextend}), Type: t}, v)
		}
	}
	return p.constant(t)
}

var binaries = []ir.Opcode{ir.OpIadd, ir.OpIsub, ir.OpBand, ir.OpBor, ir.OpBxor, ir.OpIshl, ir.OpUshr, ir.OpSshr, ir.OpRotl, ir.OpImul, ir.OpSmin, ir.OpSmax, ir.OpUmin, ir.OpUmax}
var unaries = []ir.Opcode{ir.OpBnot, ir.OpIneg, ir.OpClz, ir.OpCtz, ir.OpPopcnt, ir.OpBswap, ir.OpBitrev, ir.OpIabs}

func (p *program) compute() {
	t := pick(p.rng, []ir.Type{ir.I8, ir.I16, ir.I32, ir.I32, ir.I64})
	switch p.rng.IntN(12) {
	case 0:
		op := pick(p.rng, unaries)
		if op == ir.OpBswap && t == ir.I8 {
			t = ir.I16
		}
		p.inst(ir.InstData{Op: op, Type: t}, p.value(t))
	case 1:
		c := p.condition()
		p.inst(ir.InstData{Op: ir.OpSelect, Type: t}, c, p.value(t), p.value(t))
	case 2:
		p.inst(ir.InstData{Op: pick(p.rng, []ir.Opcode{ir.OpUdiv, ir.OpUrem, ir.OpSrem}), Type: t}, p.value(t), p.inst(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(1 + p.rng.IntN(100))}))
	case 3:
		p.condition()
	default:
		op := pick(p.rng, binaries)
		x := p.value(t)
		y := x
		if p.rng.IntN(2) == 0 {
			y = p.constant(t)
		} else {
			y = p.value(t)
		}
		p.inst(ir.InstData{Op: op, Type: t}, x, y)
	}
}

func (p *program) condition() ir.Value {
	t := pick(p.rng, []ir.Type{ir.I8, ir.I32, ir.I32, ir.I64})
	x := p.value(t)
	y := x
	if p.rng.IntN(3) > 0 {
		y = p.constant(t)
	} else {
		y = p.value(t)
	}
	c := p.inst(ir.InstData{Op: ir.OpIcmp, Type: t, Cond: uint8(p.rng.IntN(10))}, x, y)
	if p.rng.IntN(4) == 0 {
		c = p.inst(ir.InstData{Op: pick(p.rng, []ir.Opcode{ir.OpBand, ir.OpBor, ir.OpBxor}), Type: ir.I8}, c, p.value(ir.I8))
	}
	return c
}

// branch ends the block with a branch that leads to to and other, with args for both.
func (p *program) branch(c ir.Value, to, other ir.Block, args, otherArgs []ir.Value) {
	i := p.add(ir.InstData{Op: ir.OpBrif}, c)
	p.f.Inst(i).Type = p.f.ValueType(c)
	p.f.AddDest(i, to, args...)
	p.f.AddDest(i, other, otherArgs...)
}

func (p *program) jump(to ir.Block, args ...ir.Value) {
	p.f.AddDest(p.add(ir.InstData{Op: ir.OpJump}), to, args...)
}

func (p *program) begin(b ir.Block) {
	p.f.AppendBlock(b)
	p.block = b
}

// param adds a parameter to a block.
func (p *program) param(b ir.Block, t ir.Type) ir.Value { return p.f.AddParam(b, t) }

// argument is what a parameter may be: a constant, often.
func (p *program) argument(t ir.Type) ir.Value {
	if p.rng.IntN(2) == 0 {
		return p.inst(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(p.rng.IntN(3))})
	}
	return p.value(t)
}

func (p *program) statements(depth int) {
	for n := 1 + p.rng.IntN(8); n > 0 && p.left > 0; n-- {
		p.left--
		k := p.rng.IntN(11)
		if depth > 3 {
			k = 0
		}
		t := pick(p.rng, []ir.Type{ir.I8, ir.I32, ir.I64})
		switch k {
		case 7: // if, with or without else
			c := p.condition()
			yes, no, join := p.f.AddBlock(), p.f.AddBlock(), p.f.AddBlock()
			v := p.param(join, t)
			w := p.param(join, ir.I32)
			if p.rng.IntN(2) == 0 {
				p.branch(c, yes, join, nil, []ir.Value{p.argument(t), p.argument(ir.I32)})
			} else {
				p.branch(c, yes, no, nil, nil)
				n := len(p.values)
				p.begin(no)
				p.statements(depth + 1)
				p.jump(join, p.argument(t), p.argument(ir.I32))
				p.values = p.values[:n]
			}
			n := len(p.values)
			p.begin(yes)
			p.statements(depth + 1)
			p.jump(join, p.argument(t), p.argument(ir.I32))
			p.values = p.values[:n]
			p.begin(join)
			p.values = append(p.values, v, w)
			if p.rng.IntN(3) == 0 { // a branch on what has been joined
				next, other := p.f.AddBlock(), p.f.AddBlock()
				u := p.param(next, ir.I32)
				p.branch(v, next, other, []ir.Value{w}, nil)
				n := len(p.values)
				p.begin(other)
				p.jump(next, p.argument(ir.I32))
				p.values = p.values[:n]
				p.begin(next)
				p.values = append(p.values, u)
			}
		case 8: // a loop of a few rounds
			head, body, exit := p.f.AddBlock(), p.f.AddBlock(), p.f.AddBlock()
			i, v := p.param(head, ir.I32), p.param(head, t)
			w := p.param(exit, t)
			p.jump(head, p.inst(ir.InstData{Op: ir.OpIconst, Type: ir.I32}), p.argument(t))
			p.begin(head)
			p.values = append(p.values, i, v)
			limit := p.inst(ir.InstData{Op: ir.OpIconst, Type: ir.I32, Imm: int64(1 + p.rng.IntN(5))})
			c := p.inst(ir.InstData{Op: ir.OpIcmp, Type: ir.I32, Cond: uint8(ir.UnsignedLessThan)}, i, limit)
			p.branch(c, body, exit, nil, []ir.Value{p.argument(t)})
			n := len(p.values)
			p.begin(body)
			p.statements(depth + 1)
			one := p.inst(ir.InstData{Op: ir.OpIconst, Type: ir.I32, Imm: 1})
			next := p.inst(ir.InstData{Op: ir.OpIadd, Type: ir.I32}, i, one)
			p.jump(head, next, p.argument(t))
			p.values = p.values[:n]
			p.begin(exit)
			p.values = append(p.values, w)
		case 9: // a table
			x := p.value(ir.I32)
			join := p.f.AddBlock()
			v := p.param(join, t)
			blocks := []ir.Block{p.f.AddBlock(), p.f.AddBlock(), p.f.AddBlock()}
			i := p.add(ir.InstData{Op: ir.OpBrTable}, x)
			for _, b := range blocks {
				p.f.AddDest(i, b)
			}
			n := len(p.values)
			for _, b := range blocks {
				p.begin(b)
				p.statements(depth + 1)
				p.jump(join, p.argument(t))
				p.values = p.values[:n]
			}
			p.begin(join)
			p.values = append(p.values, v)
		case 10:
			p.machine(depth, t)
		case 6:
			c := p.condition()
			i := p.add(ir.InstData{Op: pick(p.rng, []ir.Opcode{ir.OpTrapz, ir.OpTrapnz}), Trap: 1}, c)
			p.f.Inst(i).Type = p.f.ValueType(c)
		default:
			p.compute()
		}
	}
}

// machine is a loop around a table of jumps to what then says where to go on, and passes a value of
// type t around.
func (p *program) machine(depth int, t ir.Type) {
	head, forward, exit := p.f.AddBlock(), p.f.AddBlock(), p.f.AddBlock()
	state, i, v := p.param(head, ir.I32), p.param(head, ir.I32), p.param(head, t)
	last := p.param(exit, t)
	var states []ir.Block
	for range 2 + p.rng.IntN(3) {
		states = append(states, p.f.AddBlock())
	}
	constant := func(k int) ir.Value {
		return p.inst(ir.InstData{Op: ir.OpIconst, Type: ir.I32, Imm: int64(k)})
	}
	// goes is what a way to the dispatcher passes.
	goes := func(i ir.Value) []ir.Value {
		s := constant(p.rng.IntN(len(states) + 1))
		if p.rng.IntN(40) == 0 {
			s = p.value(ir.I32)
		}
		return []ir.Value{s, i, p.argument(t)}
	}
	zero := constant(0)
	if p.rng.IntN(2) == 0 {
		p.jump(head, goes(zero)...)
	} else {
		p.branch(p.condition(), head, head, goes(zero), goes(zero))
	}
	p.begin(head)
	p.values = append(p.values, i, v)
	if p.rng.IntN(2) == 0 {
		one := constant(1)
		state = p.inst(ir.InstData{Op: pick(p.rng, []ir.Opcode{ir.OpBxor, ir.OpIadd}), Type: ir.I32}, state, one)
	}
	table := p.add(ir.InstData{Op: ir.OpBrTable}, state)
	for _, b := range states {
		p.f.AddDest(table, b)
	}
	p.f.AddDest(table, states[0])
	n := len(p.values)
	forwards := false
	for _, b := range states {
		p.begin(b)
		p.statements(depth + 1)
		count := p.inst(ir.InstData{Op: ir.OpIadd, Type: ir.I32}, i, constant(1))
		c := p.inst(ir.InstData{Op: ir.OpIcmp, Type: ir.I32, Cond: uint8(ir.UnsignedLessThan)}, count, constant(1+p.rng.IntN(8)))
		on := p.f.AddBlock()
		p.branch(c, on, exit, nil, []ir.Value{p.argument(t)})
		p.begin(on)
		switch p.rng.IntN(4) {
		case 0:
			p.branch(p.condition(), head, forward, goes(count), goes(count))
			forwards = true
		case 1:
			p.jump(forward, goes(count)...)
			forwards = true
		default:
			p.jump(head, goes(count)...)
		}
		p.values = p.values[:n]
	}
	if forwards {
		var args []ir.Value
		for _, t := range []ir.Type{ir.I32, ir.I32, t} {
			args = append(args, p.param(forward, t))
		}
		p.begin(forward)
		p.jump(head, args...)
	}
	p.begin(exit)
	p.values = append(p.values, last)
}

// TestRandom optimizes random functions, which must do what they did, by the
// interpreter.
func TestRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	n := 3000
	if testing.Short() {
		n = 300
	}
	var o opt.Optimizer
	machine := interp.Machine{}
	returned, trapped := 0, 0
	for i := range n {
		f := newProgram(rng, 3+rng.IntN(60))
		if err := verifier.Verify(f, verifier.Options{PointerType: ir.I64}); err != nil {
			t.Fatalf("program %d: %v\n%s", i, err, clif.Format(f))
		}
		before := clif.Format(f)
		want, err := clif.ParseFunction(before)
		if err != nil {
			t.Fatal(err)
		}
		o.Run(f, opt.Options{})
		if err := verifier.Verify(f, verifier.Options{PointerType: ir.I64}); err != nil {
			t.Fatalf("program %d: %v\n%s\n%s", i, err, before, clif.Format(f))
		}
		for range 5 {
			var args []interp.Value
			for _, p := range f.Sig.Params {
				args = append(args, randomArg(rng, p.Type))
			}
			x, err1 := run(&machine, want, args)
			y, err2 := run(&machine, f, args)
			if err1 == nil {
				returned++
			} else {
				trapped++
			}
			if (err1 == nil) != (err2 == nil) || err1 == nil && (x[0] != y[0] || x[1] != y[1]) {
				t.Fatalf("program %d of %x: %x, %v became %x, %v\n%s\n%s", i, args, x, err1, y, err2, before, clif.Format(f))
			}
		}
	}
	if returned < n || trapped < n/10 {
		t.Errorf("of the calls only %d returned and %d trapped", returned, trapped)
	}
}
