package interp

import (
	"fmt"

	"encoding/binary"

	"github.com/davit-wasm/davit/codegen/ir"
)

// memory is the program's memory: the stack, and what the user has mapped.
type memory struct {
	stack   []byte
	base    uint64 // address of the stack's lowest byte
	regions []region
}

type region struct {
	addr uint64
	data []byte
}

// StackBase is the lowest address of the stack, which has DefaultStack bytes. It is
// a multiple of that size, and within 32 bits, for programs with addresses of that
// size.
const StackBase = 0x5000_0000

func (m *memory) init() {
	if m.stack == nil {
		m.stack = make([]byte, DefaultStack)
		m.base = StackBase
	}
}

func (m *memory) top() uint64 { return m.base + uint64(len(m.stack)) }

// Map makes data the program's memory at an address, in place of what may have been
// mapped at that same address before.
func (m *Machine) Map(addr uint64, data []byte) {
	for i := range m.memory.regions {
		if r := &m.memory.regions[i]; r.addr == addr {
			r.data = data
			return
		}
	}
	m.memory.regions = append(m.memory.regions, region{addr, data})
}

// Bytes is the program's memory of n bytes at an address, to read and write; nil if
// they are not all memory. The stack is memory, too.
func (m *Machine) Bytes(addr uint64, n int) []byte {
	m.memory.init()
	return m.memory.bytes(addr, n)
}

// bytes is the n bytes at addr; nil if they are not all memory.
func (m *memory) bytes(addr uint64, n int) []byte {
	if off := addr - m.base; off < uint64(len(m.stack)) && uint64(n) <= uint64(len(m.stack))-off {
		return m.stack[off : off+uint64(n)]
	}
	for _, r := range m.regions {
		if off := addr - r.addr; off < uint64(len(r.data)) && uint64(n) <= uint64(len(r.data))-off {
			return r.data[off : off+uint64(n)]
		}
	}
	return nil
}

// load reads a value of type t.
func load(b []byte, t ir.Type, flags ir.MemFlags) Value {
	n := t.LaneBits() / 8
	return each(t, func(i int) Value {
		lane := b[i*n : i*n+n]
		var v Value
		for k := range n {
			at := k
			if flags.BigEndian(false) {
				at = n - 1 - k
			}
			x := uint64(lane[at])
			if k < 8 {
				v.Lo |= x << (8 * k)
			} else {
				v.Hi |= x << (8 * (k - 8))
			}
		}
		return v
	})
}

// store writes a value of type t.
func store(b []byte, t ir.Type, flags ir.MemFlags, v Value) {
	n := t.LaneBits() / 8
	var raw [16]byte
	for i := range t.Lanes() {
		x := v.lane(i, 8*n)
		binary.LittleEndian.PutUint64(raw[:], x.Lo)
		binary.LittleEndian.PutUint64(raw[8:], x.Hi)
		for k := range n {
			at := k
			if flags.BigEndian(false) {
				at = n - 1 - k
			}
			b[i*n+at] = raw[k]
		}
	}
}

// access is the bytes of a memory access of n bytes, or the trap.
func (m *Machine) access(inst ir.Inst, d *ir.InstData, addr Value, off int64, n int, aligned bool) ([]byte, error) {
	a := addr.Lo + uint64(off)
	if aligned && a%uint64(n) != 0 {
		return nil, m.trap(inst, ir.TrapHeapOutOfBounds)
	}
	if b := m.memory.bytes(a, n); b != nil {
		return b, nil
	}
	if a >= codeBase-16 && a < codeBase+16*uint64(len(m.funcs)) {
		return nil, m.fail(inst, fmt.Errorf("access to code: %w", ErrUnsupported))
	}
	code, ok := d.Flags.TrapCode()
	if !ok {
		code = ir.TrapHeapOutOfBounds
	}
	return nil, m.trap(inst, code)
}

// loadStore runs an instruction that accesses memory.
func (m *Machine) loadStore(fr *frame, inst ir.Inst, d *ir.InstData) (Value, error) {
	f := fr.f
	args := f.Args(inst)
	mem, bits := d.Type, 0 // type in memory; lane bits if that is narrower than the value
	signed := false
	switch d.Op {
	case ir.OpUload8, ir.OpSload8, ir.OpIstore8:
		bits = 8
	case ir.OpUload16, ir.OpSload16, ir.OpIstore16:
		bits = 16
	case ir.OpUload32, ir.OpSload32, ir.OpIstore32:
		bits = 32
	}
	if bits != 0 {
		mem = ir.IntType(bits)
	}
	to := resultType(f, inst)
	switch d.Op {
	case ir.OpSload8, ir.OpSload16, ir.OpSload32:
		signed = true
	case ir.OpUload8x8, ir.OpSload8x8, ir.OpUload16x4, ir.OpSload16x4, ir.OpUload32x2, ir.OpSload32x2:
		mem = to.HalfWidth()
		signed = d.Op == ir.OpSload8x8 || d.Op == ir.OpSload16x4 || d.Op == ir.OpSload32x2
	}
	if d.Op.Format() == ir.FormatStore || d.Op.Format() == ir.FormatStoreNoOffset {
		b, err := m.access(inst, d, m.get(fr, args[1]), d.Imm, mem.Bytes(), d.Op == ir.OpAtomicStore)
		if err == nil {
			store(b, mem, d.Flags, m.get(fr, args[0]))
		}
		return Value{}, err
	}
	b, err := m.access(inst, d, m.get(fr, args[0]), d.Imm, mem.Bytes(), d.Op == ir.OpAtomicLoad)
	if err != nil {
		return Value{}, err
	}
	v := load(b, mem, d.Flags)
	if mem == to {
		return v, nil
	}
	n := mem.LaneBits()
	return each(to, func(i int) Value {
		x := v.lane(i, n)
		if signed {
			x = x.sext(n)
		}
		return x
	}), nil
}

// copyBytes copies n bytes as if one by one.
func (m *Machine) copyBytes(inst ir.Inst, d *ir.InstData, to, from, n Value) error {
	if n.Lo == 0 {
		return nil
	}
	dst, err := m.access(inst, d, to, 0, int(n.Lo), false)
	if err != nil {
		return err
	}
	src, err := m.access(inst, d, from, 0, int(n.Lo), false)
	if err != nil {
		return err
	}
	for i := range dst { // unlike copy, where they overlap
		dst[i] = src[i]
	}
	return nil
}

// atomic runs atomic_rmw and atomic_cas. Nothing else runs meanwhile.
func (m *Machine) atomic(fr *frame, inst ir.Inst, d *ir.InstData) (Value, error) {
	args := fr.f.Args(inst)
	n := d.Type.Bits()
	b, err := m.access(inst, d, m.get(fr, args[0]), 0, n/8, true)
	if err != nil {
		return Value{}, err
	}
	old, x := load(b, d.Type, d.Flags), m.get(fr, args[1])
	r := x
	if d.Op == ir.OpAtomicCas {
		if old != x {
			return old, nil
		}
		r = m.get(fr, args[2])
	} else {
		pick := func(a bool) Value {
			if a {
				return old
			}
			return x
		}
		switch d.AtomicOp() {
		case ir.AtomicAdd:
			r = old.add(x)
		case ir.AtomicSub:
			r = old.sub(x)
		case ir.AtomicAnd:
			r = Value{old.Lo & x.Lo, old.Hi & x.Hi}
		case ir.AtomicNand:
			r = Value{old.Lo & x.Lo, old.Hi & x.Hi}.not()
		case ir.AtomicOr:
			r = Value{old.Lo | x.Lo, old.Hi | x.Hi}
		case ir.AtomicXor:
			r = Value{old.Lo ^ x.Lo, old.Hi ^ x.Hi}
		case ir.AtomicUmin:
			r = pick(old.ult(x))
		case ir.AtomicUmax:
			r = pick(x.ult(old))
		case ir.AtomicSmin:
			r = pick(old.sext(n).slt(x.sext(n)))
		case ir.AtomicSmax:
			r = pick(x.sext(n).slt(old.sext(n)))
		}
	}
	store(b, d.Type, d.Flags, r.mask(n))
	return old, nil
}
