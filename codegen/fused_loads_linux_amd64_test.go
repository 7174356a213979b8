package codegen_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// loader is a way in which a value comes from memory: an instruction, and
// perhaps a cast of what it loads.
type loader struct {
	op   ir.Opcode
	typ  ir.Type // controlling type
	cast ir.Type // Invalid for none
	size int     // bytes read
}

// loaders are the ways to load a value of type t.
func loaders(t ir.Type) []loader {
	list := []loader{{ir.OpLoad, t, ir.Invalid, t.Bytes()}}
	switch t {
	case ir.I16, ir.I32, ir.I64:
		list = append(list, loader{ir.OpUload8, t, ir.Invalid, 1}, loader{ir.OpSload8, t, ir.Invalid, 1})
		if t != ir.I16 {
			list = append(list, loader{ir.OpUload16, t, ir.Invalid, 2}, loader{ir.OpSload16, t, ir.Invalid, 2})
		}
		if t == ir.I64 {
			list = append(list, loader{ir.OpUload32, ir.I64, ir.Invalid, 4}, loader{ir.OpSload32, ir.I64, ir.Invalid, 4}, loader{ir.OpLoad, ir.F64, ir.I64, 8})
		}
		if t == ir.I32 {
			list = append(list, loader{ir.OpLoad, ir.F32, ir.I32, 4})
		}
	case ir.F32:
		list = append(list, loader{ir.OpLoad, ir.I32, ir.F32, 4})
	case ir.F64:
		list = append(list, loader{ir.OpLoad, ir.I64, ir.F64, 8})
	case ir.I16X8:
		list = append(list, loader{ir.OpUload8x8, ir.I64, ir.Invalid, 8}, loader{ir.OpSload8x8, ir.I64, ir.Invalid, 8})
	case ir.I32X4:
		list = append(list, loader{ir.OpUload16x4, ir.I64, ir.Invalid, 8}, loader{ir.OpSload16x4, ir.I64, ir.Invalid, 8})
	case ir.I64X2:
		list = append(list, loader{ir.OpUload32x2, ir.I64, ir.Invalid, 8}, loader{ir.OpSload32x2, ir.I64, ir.Invalid, 8})
	}
	if t.IsVector() && t.Bits() == 128 {
		other := ir.I8X16
		if t == other {
			other = ir.F64X2
		}
		list = append(list, loader{ir.OpLoad, other, t, 16})
	}
	return list
}

// fusedCase is a function of an instruction with one operand loaded right
// before it: (addresses of the operands…, address for the result).
type fusedCase struct {
	name  string
	fn    *ir.Function
	sizes []int // bytes read at each address
	write int   // bytes written
}

// TestFusedLoads runs every instruction with every operand loaded right before
// it, in every way, from the last bytes before a page that is not mapped: what
// takes the load in must not read more than it. What is written is the last
// bytes before such a page as well. Results must be those of operands that lie
// in the midst of memory.
func TestFusedLoads(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	const avx2 = "has_avx has_avx2 has_fma has_f16c has_bmi1 has_bmi2 has_lzcnt "
	for _, level := range [][2]string{
		{"sse42", ""}, {"avx", "has_avx"}, {"avx2", avx2},
		{"avx512", avx2 + "has_avx512f has_avx512vl has_avx512dq has_avx512bw has_avx512vbmi has_avx512bitalg"},
	} {
		for _, opt := range []string{"none", "speed"} {
			t.Run(level[0]+"/"+opt, func(t *testing.T) {
				runFused(t, fusedCases(), append(strings.Fields(level[1]), "opt_level="+opt))
			})
		}
	}
}

func runFused(t *testing.T, cases []fusedCase, settings []string) {
	b, err := isa.Lookup(isa.HostTriple().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if err := b.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	target, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if m := target.MissingOnHost(); len(m) > 0 {
		t.Skip("this machine does not have ", m)
	}
	edge, middle := newArena(t), newArena(t)
	m := jit.New(target)
	defer m.Close()
	var ctx codegen.Context
	refused := 0
	for i := range cases {
		c := &cases[i]
		code, err := ctx.Compile(c.fn, target, codegen.Options{})
		if err != nil && !errors.Is(err, codegen.ErrUnsupported) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if err != nil || len(code.Relocs) > 0 { // what calls a function of a library has nothing to take a load into
			refused++
			continue
		}
		id, err := m.Define(c.fn)
		if err == nil {
			err = m.Finalize()
		}
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		at, afar := edge.call(t, m, id, c, 0), middle.call(t, m, id, c, 256)
		if !bytes.Equal(at, afar) {
			t.Errorf("%s: %x at the end of memory, %x in its midst", c.name, at, afar)
		}
	}
	t.Logf("%d functions run, %d refused", len(cases)-refused, refused)
	if len(cases)-refused < 3000 {
		t.Errorf("too few")
	}
}

// arena is memory for operands and a result: pages that each have one that is
// not mapped behind them.
type arena struct{ mem []byte }

const arenaPages = 4

func newArena(t *testing.T) *arena {
	page := unix.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 2*arenaPages*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(mem) })
	for i := range arenaPages {
		if err := unix.Mprotect(mem[(2*i+1)*page:(2*i+2)*page], unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return &arena{mem}
}

// call calls a case with operands that end so many bytes before the end of
// their pages, and returns what it writes.
func (a *arena) call(t *testing.T, m *jit.Module, id module.ID, c *fusedCase, before int) []byte {
	page := unix.Getpagesize()
	buffer := make([]byte, arenaPages*jit.SlotSize)
	n := len(c.sizes)
	for i := range n + 1 {
		size := c.write
		if i < n {
			size = c.sizes[i]
		}
		from := (2*i+1)*page - before - size
		for k := range size { // small numbers, and floats that are
			a.mem[from+k] = byte(i + 1 + k%3)
		}
		if i == n {
			clear(a.mem[from : from+size])
		}
		binary.LittleEndian.PutUint64(buffer[i*jit.SlotSize:], uint64(uintptr(unsafe.Pointer(&a.mem[from]))))
	}
	if err := m.Call(context.Background(), id, buffer); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	end := (2*n+1)*page - before
	return bytes.Clone(a.mem[end-c.write : end])
}

// fusedCases makes a function for every instruction without an effect, every
// combination of types that the verifier accepts, every operand and every way
// to load it.
func fusedCases() (cases []fusedCase) {
	types := []ir.Type{ir.I8, ir.I16, ir.I32, ir.I64, ir.I128, ir.F32, ir.F64, ir.I8X16, ir.I16X8, ir.I32X4, ir.I64X2, ir.F32X4, ir.F64X2}
	for op := ir.OpInvalid + 1; op < ir.NumOpcodes; op++ {
		if op.IsTerminator() || op.IsBranch() || op.IsCall() || op.Flags()&(ir.FlagLoad|ir.FlagStore|ir.FlagEffect) != 0 {
			continue
		}
		ctrls := types
		if op.Info().Ctrl == ir.CtrlNone {
			ctrls = []ir.Type{ir.Invalid}
		}
		for _, ctrl := range ctrls {
			if ctrl != ir.Invalid && !op.Info().Set.Contains(ctrl) {
				continue
			}
			n, _ := op.FixedOperands()
			if n == 0 || n > arenaPages-1 {
				continue
			}
			operands := make([]ir.Type, n)
			var try func(i int)
			try = func(i int) {
				if i < n {
					for _, typ := range types {
						if ok, _ := op.OperandOK(i, ctrl, typ); ok {
							operands[i] = typ
							try(i + 1)
						}
					}
					return
				}
				for at := range operands {
					for _, l := range loaders(operands[at]) {
						if c, ok := fusedFunction(op, ctrl, operands, at, l, len(cases)); ok {
							cases = append(cases, c)
						}
					}
				}
			}
			try(0)
		}
	}
	// A lane that is stored.
	for _, typ := range types {
		if !typ.IsVector() {
			continue
		}
		for lane := range typ.Lanes() {
			f, b, addrs := fusedStart(1, len(cases))
			v := appendInst(f, b, ir.InstData{Op: ir.OpLoad, Type: typ}, addrs[0])
			x := appendInst(f, b, ir.InstData{Op: ir.OpExtractlane, Type: typ, Imm: int64(lane)}, v)
			f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpStore, Type: typ.Lane()}, x, addrs[1]), b)
			f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpReturn}), b)
			cases = append(cases, fusedCase{fmt.Sprintf("lane %d of %v", lane, typ), f, []int{typ.Bytes()}, typ.LaneBits() / 8})
		}
	}
	return cases
}

// fusedStart begins a function with n+1 addresses as parameters.
func fusedStart(n, number int) (*ir.Function, ir.Block, []ir.Value) {
	f := ir.NewFunction(ir.TestName(fmt.Sprintf("f%d", number)), ir.Signature{CallConv: ir.Tail})
	b := f.AddBlock()
	f.AppendBlock(b)
	var addrs []ir.Value
	for range n + 1 {
		f.Sig.Params = append(f.Sig.Params, ir.Param{Type: ir.I64})
		addrs = append(addrs, f.AddParam(b, ir.I64))
	}
	return f, b, addrs
}

func appendInst(f *ir.Function, b ir.Block, d ir.InstData, args ...ir.Value) ir.Value {
	inst := f.AddInst(d, args...)
	f.AppendInst(inst, b)
	f.AddResults(inst)
	return f.Result(inst)
}

// fusedFunction loads operand number at by l right before the instruction, and
// the others in a block before, from where they cannot move.
func fusedFunction(op ir.Opcode, ctrl ir.Type, operands []ir.Type, at int, l loader, number int) (c fusedCase, ok bool) {
	f, entry, addrs := fusedStart(len(operands), number)
	body := f.AddBlock()
	args := make([]ir.Value, len(operands))
	c.sizes = make([]int, len(operands))
	for i, typ := range operands {
		if i != at {
			args[i] = appendInst(f, entry, ir.InstData{Op: ir.OpLoad, Type: typ}, addrs[i])
			c.sizes[i] = typ.Bytes()
		}
	}
	jump := f.AddInst(ir.InstData{Op: ir.OpJump})
	f.AppendInst(jump, entry)
	f.AddDest(jump, body)
	f.AppendBlock(body)
	args[at] = appendInst(f, body, ir.InstData{Op: l.op, Type: l.typ}, addrs[at])
	if l.cast != ir.Invalid {
		args[at] = appendInst(f, body, ir.InstData{Op: ir.OpBitcast, Type: l.cast, Flags: ir.MemLittle}, args[at])
	}
	c.sizes[at] = l.size
	d := ir.InstData{Op: op, Type: ctrl}
	switch op.Format() {
	case ir.FormatTrap, ir.FormatCondTrap:
		return c, false
	case ir.FormatIntAddTrap:
		d.Trap = 1
	case ir.FormatShuffle:
		d.Ref = uint32(f.AddConstant([]byte{0, 17, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 31}))
	case ir.FormatBitCast:
		d.Flags = ir.MemLittle
	}
	inst := f.AddInst(d, args...)
	f.AppendInst(inst, body)
	f.AddResults(inst)
	results := f.Results(inst)
	if len(results) == 0 {
		return c, false
	}
	for i, v := range results {
		f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpStore, Type: f.ValueType(v), Imm: int64(c.write)}, v, addrs[len(operands)]), body)
		if typ := f.ValueType(v); typ.IsDynamic() || i > 1 {
			return c, false
		}
		c.write += f.ValueType(v).Bytes()
	}
	f.AppendInst(f.AddInst(ir.InstData{Op: ir.OpReturn}), body)
	c.name = fmt.Sprintf("%v.%v %v, operand %d by %v.%v", op, ctrl, operands, at, l.op, l.typ)
	c.fn = f
	return c, verifier.Verify(f, verifier.Options{PointerType: ir.I64}) == nil
}
