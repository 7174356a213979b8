// Package interp runs functions in CLIF by interpretation. It is slow, simple
// and independent of the code generator, which makes it the oracle that
// compiled code is compared with.
//
// A [Machine] has functions, a memory of its own, and a native-looking stack in
// it for stack slots: addresses in the program are addresses of that memory,
// and an access outside of it traps. Values are of at most 128 bits; vectors
// wider than that, dynamic vectors and arithmetic on f16 and f128 are not
// supported; f16 can be converted from and to f32 and f64.
package interp

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Trap is the error of a program that traps.
type Trap struct {
	Code ir.TrapCode
	Func ir.Name
	Inst ir.Inst
}

func (t *Trap) Error() string { return fmt.Sprintf("trap: %v in %v at %v", t.Code, t.Func, t.Inst) }

var (
	// ErrFuel is the error of a program that has run for too long.
	ErrFuel = errors.New("interp: out of fuel")
	// ErrUnsupported is wrapped by the error of an instruction that is not
	// supported.
	ErrUnsupported = errors.New("not supported by the interpreter")
	// ErrUndefined is wrapped by the error of a call of a function that is not
	// defined.
	ErrUndefined = errors.New("undefined function")
)

// HostFunc is a function that programs call and that is written in Go. An error
// ends the program and is wrapped by what [Machine.Call] returns, but an
// [*Exception] may be handled by the program.
type HostFunc func(args []Value) ([]Value, error)

// Limits of a [Machine], unless it says otherwise.
const (
	DefaultFuel  = 100_000_000
	DefaultStack = 16 << 20
	maxDepth     = 10_000
	maxValues    = 4 << 20 // of all frames; Values take 16 bytes
)

// Machine holds functions and memory. The zero value is ready.
type Machine struct {
	// Fuel is how many instructions a call may run; 0 means DefaultFuel.
	Fuel uint64
	// CallReturnAddress is what get_call_return_address yields, for programs that only
	// note it; with 0 the instruction is not supported, as calls return to no address.
	CallReturnAddress uint64
	// StackRoom is how many bytes at the upper end of the stack frames leave alone.
	StackRoom uint64
	// Resolve finds functions that were not defined; it may be nil.
	Resolve func(ir.Name, *ir.Signature) HostFunc

	funcs  []function
	names  map[ir.Name]int
	memory memory
	pinned Value
	values []Value // of all frames
	frames []frame
	fuel   uint64
	buf    []Value
	exn    [2]Value // payload of the exception that is handled
}

// function is a function that has an address.
type function struct {
	name ir.Name
	f    *ir.Function
	host HostFunc
}

// frame is a function that is being run.
type frame struct {
	f      *ir.Function
	base   int // of its values in Machine.values
	sp     uint64
	at     ir.Inst // in callers: the call
	slots  []uint64
	fn     int
	callee bool
}

// Define adds a function under its name, and returns its address. A function
// of that name defined before is replaced.
func (m *Machine) Define(f *ir.Function) uint64 {
	return m.define(f.Name, function{name: f.Name, f: f})
}

// DefineHost adds a function written in Go.
func (m *Machine) DefineHost(name ir.Name, h HostFunc) uint64 {
	return m.define(name, function{name: name, host: h})
}

func (m *Machine) define(name ir.Name, fn function) uint64 {
	i, ok := m.names[name]
	if !ok {
		if m.names == nil {
			m.names = map[ir.Name]int{}
		}
		i = len(m.funcs)
		m.names[name] = i
		m.funcs = append(m.funcs, fn)
	}
	m.funcs[i] = fn
	return funcAddress(i)
}

// Address is the address of the function of that name, or 0 if there is none.
func (m *Machine) Address(name ir.Name) uint64 {
	if i, ok := m.names[name]; ok {
		return funcAddress(i)
	}
	return 0
}

// Functions have addresses that no memory has.
const codeBase = 0x7c0d_0000_0000

func funcAddress(i int) uint64 { return codeBase + 16*uint64(i) }

// find is the index of the function of a name; one is made by Resolve if need
// be, and otherwise one that fails when it is called.
func (m *Machine) find(name ir.Name, sig *ir.Signature) int {
	if i, ok := m.names[name]; ok {
		return i
	}
	var h HostFunc
	if m.Resolve != nil {
		h = m.Resolve(name, sig)
	}
	if h == nil {
		h = func([]Value) ([]Value, error) { return nil, fmt.Errorf("%v: %w", name, ErrUndefined) }
	}
	m.DefineHost(name, h)
	return m.names[name]
}

// Call runs a function. The arguments must fit its parameters.
func (m *Machine) Call(name ir.Name, args ...Value) (results []Value, err error) {
	i, ok := m.names[name]
	if !ok {
		return nil, fmt.Errorf("%v: %w", name, ErrUndefined)
	}
	if h := m.funcs[i].host; h != nil {
		return h(args)
	}
	if m.fuel = m.Fuel; m.fuel == 0 {
		m.fuel = DefaultFuel
	}
	m.values, m.frames = m.values[:0], m.frames[:0]
	m.memory.init()
	m.buf = append(m.buf[:0], args...)
	if err := m.enter(i); err != nil {
		return nil, err
	}
	for len(m.frames) > 0 {
		if err := m.run(); err != nil {
			return nil, err
		}
	}
	return append([]Value(nil), m.buf...), nil
}

// fail is an error with the place of inst.
func (m *Machine) fail(inst ir.Inst, err error) error {
	fr := &m.frames[len(m.frames)-1]
	return fmt.Errorf("%v: %v (%v): %w", fr.f.Name, inst, fr.f.Inst(inst).Op, err)
}

func (m *Machine) trap(inst ir.Inst, code ir.TrapCode) error {
	return &Trap{code, m.frames[len(m.frames)-1].f.Name, inst}
}

// enter makes a frame for function i, whose arguments are in m.buf.
func (m *Machine) enter(i int) error {
	f := m.funcs[i].f
	sp := m.memory.top() - m.StackRoom
	if n := len(m.frames); n > 0 {
		sp = m.frames[n-1].sp
	}
	if len(m.frames) > 0 && (len(m.frames) >= maxDepth || len(m.values)+f.NumValues() > maxValues) {
		return m.trap(m.frames[len(m.frames)-1].at, ir.TrapStackOverflow)
	}
	fr := frame{f: f, base: len(m.values), fn: i, sp: sp}
	room := func(size, align uint64) bool {
		if size+align > fr.sp-m.memory.base {
			m.frames = append(m.frames, fr)
			return false
		}
		fr.sp = (fr.sp - size) &^ (align - 1)
		return true
	}
	// Structs are passed by value: the callee has a copy.
	for k := range f.Sig.Params {
		p := &f.Sig.Params[k]
		if p.Purpose != ir.StructArg || k >= len(m.buf) {
			continue
		}
		if !room(uint64(p.Size), 16) {
			return m.trap(f.FirstInst(f.Entry()), ir.TrapStackOverflow)
		}
		if from := m.memory.bytes(m.buf[k].Lo, int(p.Size)); from != nil {
			copy(m.memory.bytes(fr.sp, int(p.Size)), from)
			m.buf[k] = Value{Lo: fr.sp}
		}
	}
	for _, s := range f.StackSlots {
		if !room(uint64(s.Size), uint64(1)<<max(s.AlignLog2, 4)) {
			return m.trap(f.FirstInst(f.Entry()), ir.TrapStackOverflow)
		}
		fr.slots = append(fr.slots, fr.sp)
	}
	for range f.NumValues() {
		m.values = append(m.values, Value{})
	}
	m.frames = append(m.frames, fr)
	entry := f.Entry()
	if entry == ir.NoBlock {
		return fmt.Errorf("%v has no body: %w", f.Name, ErrUndefined)
	}
	params := f.Params(entry)
	if len(params) != len(m.buf) {
		return fmt.Errorf("%v takes %d arguments, not %d", f.Name, len(params), len(m.buf))
	}
	for k, p := range params {
		m.set(&fr, p, m.buf[k].mask(f.ValueType(p).Bits()))
	}
	m.frames[len(m.frames)-1].at = f.FirstInst(entry)
	return nil
}

func (m *Machine) set(fr *frame, v ir.Value, x Value) { m.values[fr.base+int(v)] = x }

func (m *Machine) get(fr *frame, v ir.Value) Value { return m.values[fr.base+int(fr.f.Resolve(v))] }

// run runs the innermost function up to a call or its return.
func (m *Machine) run() error {
	fr := m.frames[len(m.frames)-1]
	if fr.callee { // back from a call, with the results in m.buf
		m.frames[len(m.frames)-1].callee = false
		f := fr.f
		if f.Inst(fr.at).Op.IsTerminator() { // try_call
			fr.at = m.branch(&fr, fr.at, 0)
		} else {
			for i, r := range f.Results(fr.at) {
				if i >= len(m.buf) {
					return m.fail(fr.at, fmt.Errorf("callee returns %d values", len(m.buf)))
				}
				m.set(&fr, r, m.buf[i].mask(f.ValueType(r).Bits()))
			}
			fr.at = f.NextInst(fr.at)
		}
	}
	f := fr.f
	for {
		inst := fr.at
		if inst == ir.NoInst {
			return fmt.Errorf("%v: a block ends without a terminator", f.Name)
		}
		if m.fuel == 0 {
			return m.fail(inst, ErrFuel)
		}
		m.fuel--
		d := f.Inst(inst)
		if !d.Op.IsTerminator() && !(d.Op.IsCall() && d.Op != ir.OpStackSwitch) {
			m.frames[len(m.frames)-1].at = inst
			if err := m.step(&fr, inst, d); err != nil {
				return err
			}
			fr.at = f.NextInst(inst)
			continue
		}
		m.frames[len(m.frames)-1].at = inst
		args := f.Args(inst)
		switch d.Op {
		case ir.OpJump:
			fr.at = m.branch(&fr, inst, 0)
		case ir.OpBrif:
			dest := 1
			if !m.get(&fr, args[0]).zero() {
				dest = 0
			}
			fr.at = m.branch(&fr, inst, dest)
		case ir.OpBrTable:
			dest := 0
			if i := m.get(&fr, args[0]).Lo; i < uint64(len(f.Dests(inst))-1) {
				dest = int(i) + 1
			}
			fr.at = m.branch(&fr, inst, dest)
		case ir.OpTrap:
			return m.trap(inst, d.Trap)
		case ir.OpReturn:
			m.collect(&fr, args)
			m.leave()
			return nil
		default:
			return m.call(&fr, inst, d, args)
		}
	}
}

// collect puts the values of args into m.buf.
func (m *Machine) collect(fr *frame, args []ir.Value) {
	m.buf = m.buf[:0]
	for _, a := range args {
		m.buf = append(m.buf, m.get(fr, a))
	}
}

// leave drops the innermost frame.
func (m *Machine) leave() {
	n := len(m.frames) - 1
	m.values = m.values[:m.frames[n].base]
	m.frames = m.frames[:n]
}

// branch passes the arguments of a block call, and is the first instruction of
// the block. Results of a try_call are in m.buf.
func (m *Machine) branch(fr *frame, inst ir.Inst, dest int) ir.Inst {
	f := fr.f
	b := f.Dests(inst)[dest].Block
	args, params := f.DestArgs(inst, dest), f.Params(b)
	// All arguments are read before any parameter is written.
	start := len(m.values)
	for _, a := range args {
		x := Value{}
		if i, ok := a.IsRetArg(); ok && i < len(m.buf) {
			x = m.buf[i]
		} else if i, ok := a.IsExnArg(); ok && i < len(m.exn) {
			x = m.exn[i]
		} else if a.IsPlain() {
			x = m.get(fr, a)
		}
		m.values = append(m.values, x)
	}
	for i, p := range params {
		m.set(fr, p, m.values[start+i])
	}
	m.values = m.values[:start]
	return f.FirstInst(b)
}

// dropCallerContext takes the caller's context out of the arguments in m.buf if the
// callee has no such parameter: it comes in a register of its own, which most
// functions ignore.
func (m *Machine) dropCallerContext(f *ir.Function, d *ir.InstData, target int) {
	callee := m.funcs[target].f
	if d.Op != ir.OpCallIndirect && d.Op != ir.OpReturnCallIndirect || callee == nil {
		return
	}
	sig := &f.Sigs[d.Ref]
	if len(sig.Params) != len(callee.Sig.Params)+1 {
		return
	}
	for i := range sig.Params {
		if sig.Params[i].Purpose == ir.CallerContext && i < len(m.buf) {
			m.buf = append(m.buf[:i], m.buf[i+1:]...)
			return
		}
	}
}

// call runs a call of any kind: a host function at once, others by a new frame.
func (m *Machine) call(fr *frame, inst ir.Inst, d *ir.InstData, args []ir.Value) error {
	f := fr.f
	var target int
	switch d.Op.Format() {
	case ir.FormatCall, ir.FormatTryCall:
		e := &f.ExtFuncs[d.Ref]
		target = m.find(e.Name, &f.Sigs[e.Sig])
	default:
		addr := m.get(fr, args[0]).Lo
		i := (addr - codeBase) / 16
		if addr < codeBase || (addr-codeBase)%16 != 0 || i >= uint64(len(m.funcs)) {
			return m.fail(inst, fmt.Errorf("call of %#x, where no function is", addr))
		}
		target = int(i)
		args = args[1:]
	}
	m.collect(fr, args)
	m.dropCallerContext(f, d, target)
	top := &m.frames[len(m.frames)-1]
	tail := d.Op == ir.OpReturnCall || d.Op == ir.OpReturnCallIndirect
	if h := m.funcs[target].host; h != nil {
		results, err := h(m.buf)
		if err != nil {
			err = m.fail(inst, err)
			if tail {
				m.leave()
			}
			return m.throw(err)
		}
		m.buf = append(m.buf[:0], results...)
		if tail {
			m.leave()
		} else {
			top.callee = true
		}
		return nil
	}
	if tail {
		m.leave()
	} else {
		top.callee = true
	}
	return m.enter(target)
}
