package main

import (
	"encoding/binary"
	"errors"
	"testing"
	"unsafe"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// The tests here run hand-assembled code through internal/native, as the code
// generator's output will be run.

// program is code under construction: an entry trampoline and functions, with
// labels.
type program struct {
	builder
	traps  []native.TrapSite
	bodies []native.Range
}

// supported skips t where native code can't be run.
func supported(t testing.TB) {
	t.Helper()
	if err := native.Supported(); errors.Is(err, native.ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// newProgram begins with the entry trampoline, labelled entry: convention go,
// func(exec, code, vmctx, buffer) status. It calls code with vmctx in rdi and
// buffer in rsi.
func newProgram() *program {
	p := new(program)
	p.label("entry")
	p.Push(RBP)
	p.MR(MOV, S64, At(RAX, layout.ExecGoSP), RSP)
	p.MR(MOV, S64, At(RAX, layout.ExecGoG), R14)
	p.RM(MOV, S64, RSP, At(RAX, layout.ExecEntrySP))
	p.PushI(0)
	p.Zero(RBP)
	p.Push(RBP)
	p.RR(MOV, S64, RBP, RSP)
	p.MR(MOV, S64, At(RAX, layout.ExecEntryFP), RBP)
	p.RR(MOV, S64, RSI, RDI) // buffer
	p.RR(MOV, S64, RDI, RCX) // vmctx
	p.CallR(RBX)
	p.exec(RCX)
	p.RM(MOV, S64, RSP, At(RCX, layout.ExecGoSP))
	p.RM(MOV, S64, R14, At(RCX, layout.ExecGoG))
	p.SSE(XORPS, X15, X15)
	p.Zero(RAX)
	p.Pop(RBP)
	p.Ret(0)
	return p
}

// function adds a function with a frame around body.
func (p *program) function(name string, body func()) {
	start := len(p.Buf)
	p.label(name)
	p.Push(RBP)
	p.RR(MOV, S64, RBP, RSP)
	body()
	p.Pop(RBP)
	p.Ret(0)
	p.bodies = append(p.bodies, native.Range{Start: uint32(start), End: uint32(len(p.Buf))})
}

// trap makes the next instruction a trap site.
func (p *program) trap(code uint16, null bool) {
	p.traps = append(p.traps, native.TrapSite{Offset: uint32(len(p.Buf)), Code: code, Null: null})
}

// leave exits to Go as compiled code does: the registers are lost, but rbp.
func (p *program) leave(kind int32, data, buffer Reg) {
	p.exec(RAX)
	p.MI(MOV, S64, At(RAX, layout.ExecExitKind), kind)
	p.MR(MOV, S64, At(RAX, layout.ExecExitData), data)
	p.MR(MOV, S64, At(RAX, layout.ExecExitArg), buffer)
	p.MR(MOV, S64, At(RAX, layout.ExecExitFP), RBP)
	p.RM(LEA, S64, RCX, RIPRel(0))
	at := p.DispAt
	p.MR(MOV, S64, At(RAX, layout.ExecExitPC), RCX)
	p.CallM(At(RAX, layout.ExecExitStub))
	binary.LittleEndian.PutUint32(p.Buf[at:], uint32(len(p.Buf)-at-4))
}

// loaded is a program in executable memory.
type loaded struct {
	code   *native.Code
	labels map[string]int
	entry  native.Entry
}

func (p *program) load(t testing.TB) *loaded {
	t.Helper()
	supported(t)
	p.finish()
	c, err := native.NewCode(len(p.Buf))
	if err != nil {
		t.Fatal(err)
	}
	copy(c.Writable(), p.Buf)
	c.Owner = p
	if err := c.Publish(native.Tables{Traps: p.traps, Bodies: p.bodies}); err != nil {
		t.Fatal(err)
	}
	return &loaded{c, p.labels, native.Func[native.Entry](c.Base())}
}

func (l *loaded) at(name string) uintptr {
	at, ok := l.labels[name]
	if !ok {
		panic("no label " + name)
	}
	return l.code.Base() + uintptr(at)
}

// host serves exits with a function.
type host struct {
	exit   func(s *native.Stack, e native.Exit) error
	yield  func(s *native.Stack) error
	yields int
}

func (h *host) Exit(s *native.Stack, e native.Exit) error {
	if h.exit == nil {
		return errors.New("unexpected exit")
	}
	return h.exit(s, e)
}

func (h *host) Yield(s *native.Stack) error {
	h.yields++
	if h.yield != nil {
		return h.yield(s)
	}
	return nil
}

func newStack(t testing.TB) *native.Stack {
	t.Helper()
	supported(t)
	s, err := native.AcquireStack(0)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// call runs a function of l with words as arguments; they hold the results
// afterwards.
func (l *loaded) call(s *native.Stack, name string, h native.Host, words ...uintptr) ([]uintptr, error) {
	buffer, err := s.Push(8 * len(words))
	if err != nil {
		return nil, err
	}
	defer s.Pop(8 * len(words))
	slots := unsafe.Slice((*uintptr)(unsafe.Pointer(unsafe.SliceData(native.Bytes(buffer, 8*len(words))))), len(words))
	copy(slots, words)
	err = s.Call(l.entry, l.at(name), 0x1234, buffer, h)
	copy(words, slots)
	return words, err
}

// sumProgram has functions that the tests share.
func sumProgram() *program {
	p := newProgram()
	// add: buffer[0] += buffer[1]; buffer[1] = vmctx
	p.function("add", func() {
		p.RM(MOV, S64, RAX, At(RSI, 8))
		p.MR(ADD, S64, At(RSI, 0), RAX)
		p.MR(MOV, S64, At(RSI, 8), RDI)
	})
	p.function("nothing", func() {})
	// double: asks the host, which sees buffer, and adds one afterwards.
	p.function("ask", func() {
		p.Push(RSI)
		p.Push(RSI)
		p.MovRI(S64, RDX, 77)
		p.leave(layout.ExitHost, RDX, RSI)
		p.Pop(RSI)
		p.Pop(RSI)
		p.MI(ADD, S64, At(RSI, 0), 1)
	})
	// exits: leaves buffer[0] times.
	p.function("exits", func() {
		p.Push(RBX)
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.Push(RAX)
		p.label("exits.loop")
		p.RM(MOV, S64, RDX, At(RSP, 0))
		p.leave(layout.ExitLibcall, RDX, RSP)
		p.MI(SUB, S64, At(RSP, 0), 1)
		p.jcc(NE, "exits.loop")
		p.Pop(RAX)
		p.Pop(RBX)
	})
	// host: an exit trampoline. calls: calls it buffer[0] times.
	p.function("host", func() { p.leave(layout.ExitLibcall, RDX, RSP) })
	p.function("calls", func() {
		p.Push(RBX)
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.Push(RAX)
		p.label("calls.loop")
		p.Call32()
		p.ref("host")
		p.MI(SUB, S64, At(RSP, 0), 1)
		p.jcc(NE, "calls.loop")
		p.Pop(RAX)
		p.Pop(RBX)
	})
	// load: buffer[0] = *buffer[0], a trap site
	p.function("load", func() {
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.trap(1, false)
		p.RM(MOV, S64, RAX, At(RAX, 0))
		p.MR(MOV, S64, At(RSI, 0), RAX)
	})
	p.function("loadnull", func() {
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.trap(2, true)
		p.RM(MOV, S64, RAX, At(RAX, 8))
		p.MR(MOV, S64, At(RSI, 0), RAX)
	})
	p.function("divide", func() {
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.Extend(S64)
		p.trap(3, false)
		p.M(IDIV, S64, At(RSI, 8))
		p.MR(MOV, S64, At(RSI, 0), RAX)
	})
	p.function("unreachable", func() {
		p.trap(4, false)
		p.Emit(UD2)
	})
	// spin: counts buffer[0] down
	p.function("spin", func() {
		p.RM(MOV, S64, RAX, At(RSI, 0))
		p.label("spin.loop")
		p.RI(SUB, S64, RAX, 1)
		p.jcc(NE, "spin.loop")
		p.MI(MOV, S64, At(RSI, 0), 42)
	})
	p.function("forever", func() {
		p.label("forever.loop")
		p.jmp("forever.loop")
	})
	return p
}

func TestEnter(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	for i := range uintptr(1000) {
		got, err := l.call(s, "add", nil, i, 5)
		if err != nil || got[0] != i+5 || got[1] != 0x1234 {
			t.Fatal(got, err)
		}
	}
}

func TestExit(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	h := &host{exit: func(s *native.Stack, e native.Exit) error {
		if e.Kind != layout.ExitHost || e.Data != 77 {
			t.Errorf("%+v", e)
		}
		b := native.Bytes(e.Buffer, 8)
		binary.LittleEndian.PutUint64(b, 2*binary.LittleEndian.Uint64(b))
		n := 0
		for pc := range s.Callers() {
			c, off := native.FindCode(pc)
			if c != l.code {
				t.Errorf("caller %d: %#x is in %v", n, pc, c)
			}
			if n == 0 && (int(off) < l.labels["ask"] || int(off) > l.labels["exits"]) {
				t.Errorf("innermost caller at %#x", off)
			}
			n++
		}
		if n != 2 {
			t.Errorf("%d callers", n)
		}
		return nil
	}}
	got, err := l.call(s, "ask", h, 20)
	if err != nil || got[0] != 41 {
		t.Fatal(got, err)
	}
	want := errors.New("no")
	h.exit = func(*native.Stack, native.Exit) error { return want }
	if _, err := l.call(s, "ask", h, 1); err != want {
		t.Fatal(err)
	}
	var left []uintptr
	h.exit = func(s *native.Stack, e native.Exit) error { left = append(left, e.Data); return nil }
	if _, err := l.call(s, "exits", h, 3); err != nil || len(left) != 3 || left[0] != 3 || left[2] != 1 {
		t.Fatal(left, err)
	}
}

func BenchmarkEnter(b *testing.B) {
	l, s := sumProgram().load(b), newStack(b)
	defer s.Release()
	code := l.at("nothing")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Call(l.entry, code, 0, 0, nop{}); err != nil {
			b.Fatal(err)
		}
	}
}

type nop struct{}

func (nop) Exit(*native.Stack, native.Exit) error { return nil }
func (nop) Yield(*native.Stack) error             { return nil }

func BenchmarkExit(b *testing.B)     { benchmarkExit(b, "exits") }
func BenchmarkHostCall(b *testing.B) { benchmarkExit(b, "calls") }

func benchmarkExit(b *testing.B, function string) {
	l, s := sumProgram().load(b), newStack(b)
	defer s.Release()
	b.ReportAllocs()
	n := uintptr(b.N)
	buffer, _ := s.Push(16)
	*(*uintptr)(unsafe.Pointer(unsafe.SliceData(native.Bytes(buffer, 8)))) = n
	b.ResetTimer()
	if err := s.Call(l.entry, l.at(function), 0, buffer, nop{}); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkEnterAndExit enters, calls the host once and returns.
func BenchmarkEnterAndExit(b *testing.B) {
	l, s := sumProgram().load(b), newStack(b)
	defer s.Release()
	buffer, _ := s.Push(16)
	word := (*uintptr)(unsafe.Pointer(unsafe.SliceData(native.Bytes(buffer, 8))))
	code := l.at("calls")
	b.ReportAllocs()
	for b.Loop() {
		*word = 1
		if err := s.Call(l.entry, code, 0, buffer, nop{}); err != nil {
			b.Fatal(err)
		}
	}
}

// TestHostUsesStack has a host function use the stack in every way, none of
// which may disturb the code that waits for it.
func TestHostUsesStack(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	s.SetStore(111)
	level := 0
	var h *host
	h = &host{exit: func(s *native.Stack, e native.Exit) error {
		level++
		defer func() { level-- }()
		if level == 1 {
			for i := range 3 {
				if old := s.SetStore(222); i == 0 && old != 111 {
					t.Errorf("store %d", old)
				}
				at, err := s.Push(5000)
				if err != nil {
					return err
				}
				b := native.Bytes(at, 5000)
				for i := range b {
					b[i] = 0xEE
				}
				if got, err := l.call(s, "ask", h, 5); err != nil || got[0] != 11 {
					t.Error(got, err)
				}
				s.Pop(5000)
				n := 0
				for range s.Callers() {
					n++
				}
				if n != 2 {
					t.Errorf("%d callers", n)
				}
			}
		}
		b := native.Bytes(e.Buffer, 8)
		binary.LittleEndian.PutUint64(b, 2*binary.LittleEndian.Uint64(b))
		return nil
	}}
	if got, err := l.call(s, "ask", h, 20); err != nil || got[0] != 41 {
		t.Fatal(got, err)
	}
	if old := s.SetStore(0); old != 111 {
		t.Errorf("store %d afterwards", old)
	}
}
