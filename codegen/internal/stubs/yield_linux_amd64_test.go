package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/cpu"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// TestCollection has four goroutines in native loops without checks while
// another one forces collections and a third makes garbage.
func TestCollection(t *testing.T) {
	if !native.SignalsAvailable() {
		t.Skip("no preemption signal")
	}
	l := sumProgram().load(t)
	defer l.code.Release()
	defer debug.SetGCPercent(debug.SetGCPercent(1))
	var stop atomic.Bool
	var wg, loops sync.WaitGroup
	var yields atomic.Int64
	for range 4 {
		loops.Go(func() {
			s := newStack(t)
			defer s.Release()
			h := &host{}
			for range 4 {
				if got, err := l.call(s, "spin", h, 100_000_000); err != nil || got[0] != 42 {
					t.Error(got, err)
				}
			}
			yields.Add(int64(h.yields))
		})
	}
	collections := 0
	wg.Go(func() {
		for !stop.Load() {
			runtime.GC()
			collections++
		}
	})
	wg.Go(func() {
		var keep [][]byte
		for !stop.Load() {
			if keep = append(keep, make([]byte, 1000)); len(keep) > 100 {
				keep = nil
			}
			runtime.Gosched()
		}
	})
	loops.Wait()
	stop.Store(true)
	wg.Wait()
	t.Logf("%d collections, %d yields", collections, yields.Load())
	if collections < 2 || yields.Load() == 0 {
		t.Error("native loops have kept the collector waiting")
	}
}

// TestGiveUp ends an endless loop from Yield.
func TestGiveUp(t *testing.T) {
	if !native.SignalsAvailable() {
		t.Skip("no preemption signal")
	}
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	late := errors.New("late")
	for range 5 {
		deadline := time.Now().Add(5 * time.Millisecond)
		pcs := 0
		h := &host{yield: func(s *native.Stack) error {
			if time.Now().After(deadline) {
				for pc := range s.YieldCallers() {
					if c, _ := native.FindCode(pc); c != l.code {
						t.Errorf("%#x is in %v", pc, c)
					}
					pcs++
				}
				return late
			}
			return nil
		}}
		if _, err := l.call(s, "forever", h); err != late {
			t.Fatal(err)
		}
		if pcs != 2 {
			t.Errorf("%d callers", pcs)
		}
	}
	if got, err := l.call(s, "add", nop{}, 1, 2); err != nil || got[0] != 3 {
		t.Fatal(got, err)
	}
}

// stateProgram has a function that keeps values in all registers through a long
// loop and returns a sum that depends on each of them.
func stateProgram() *program {
	p := newProgram()
	gprs := []Reg{RAX, RCX, RDX, RBX, RDI, R8, R9, R10, R11, R12, R13, R14, R15}
	p.function("state", func() {
		p.Push(RSI)
		p.RM(MOV, S64, RSI, At(RSI, 0))
		for i, r := range gprs {
			p.MovRI(S64, r, int64(i+1))
		}
		for x := X0; x <= X15; x++ {
			p.MovRI(S64, RAX, int64(x)+1)
			p.SSE(MOVQ, x, RAX)
			p.SSEI(PSHUFD, x, x, 0x44)
		}
		p.MovRI(S64, RAX, 1)
		p.label("state.loop")
		// Each register gets itself once per turn, through the flags of an addition.
		for _, r := range gprs {
			p.RI(ADD, S64, r, 1)
		}
		for x := X0; x <= X15; x++ {
			p.SSE(PADDQ, x, (x+1)&15)
			p.SSE(PSUBQ, x, (x+1)&15)
		}
		p.RI(SUB, S64, RSI, 1)
		p.jcc(NE, "state.loop")
		for _, r := range gprs[1:] {
			p.RR(ADD, S64, RAX, r)
		}
		for x := X0; x <= X15; x++ {
			p.SSE(MOVQ_ST, x, RCX)
			p.RR(ADD, S64, RAX, RCX)
			p.SSEI(PSHUFD, x, x, 0xEE)
			p.SSE(MOVQ_ST, x, RCX)
			p.RR(ADD, S64, RAX, RCX)
		}
		p.Pop(RSI)
		p.MR(MOV, S64, At(RSI, 0), RAX)
	})
	return p
}

func wantState(n uintptr) uintptr { return 13*14/2 + 13*n + 2*16*17/2 }

// TestYieldKeepsState interrupts a function with live values everywhere.
func TestYieldKeepsState(t *testing.T) {
	if !native.SignalsAvailable() {
		t.Skip("no preemption signal")
	}
	l := stateProgram().load(t)
	defer l.code.Release()
	var stop atomic.Bool
	var collector, loops sync.WaitGroup
	collector.Go(func() {
		for !stop.Load() {
			runtime.GC()
		}
	})
	var yields atomic.Int64
	for range 4 {
		loops.Go(func() {
			s := newStack(t)
			defer s.Release()
			h := &host{}
			const n = 3_000_000
			if got, err := l.call(s, "state", h, n); err != nil || got[0] != wantState(n) {
				t.Errorf("%d, want %d; %v", got[0], wantState(n), err)
			}
			yields.Add(int64(h.yields))
		})
	}
	loops.Wait()
	stop.Store(true)
	collector.Wait()
	if yields.Load() == 0 {
		t.Error("no yield")
	}
	t.Logf("%d yields", yields.Load())
}

// TestYieldKeepsWideVectors interrupts loops that keep values in the upper
// parts of ymm and zmm registers, and in mask registers.
func TestYieldKeepsWideVectors(t *testing.T) {
	if !native.SignalsAvailable() {
		t.Skip("no preemption signal")
	}
	p := newProgram()
	// Each adds one to all lanes as often as buffer[0] says and returns the
	// topmost lane.
	p.function("ymm", func() {
		p.RM(MOV, S64, RCX, At(RSI, 0))
		p.VEX(PXOR, 1, X9, X9, X9)
		p.MovRI(S64, RAX, 1)
		p.VEX(MOVQ, 0, X10, NoReg, RAX)
		p.VEX(VPBROADCASTQ, 1, X10, NoReg, X10)
		p.label("ymm.loop")
		p.VEX(PADDQ, 1, X9, X9, X10)
		p.RI(SUB, S64, RCX, 1)
		p.jcc(NE, "ymm.loop")
		p.VEXI(VEXTRACTI128, 1, X9, NoReg, X9, 1)
		p.VEXI(PEXTRQ, 0, X9, NoReg, RCX, 1)
		p.MR(MOV, S64, At(RSI, 0), RCX)
	})
	p.function("zmm", func() {
		p.RM(MOV, S64, RCX, At(RSI, 0))
		p.MovRI(S64, RAX, 0x80)
		p.VEX(KMOVW_G, 0, 5, NoReg, RAX) // only the topmost lane counts
		p.EVEX(VPXORQ, EVEX{L: 2}, 25, 25, 25)
		p.MovRI(S64, RAX, 1)
		p.EVEX(VPBROADCASTQ_R, EVEX{L: 2}, 26, NoReg, RAX)
		p.label("zmm.loop")
		p.EVEX(PADDQ, EVEX{L: 2, Mask: 5}, 25, 25, 26)
		p.RI(SUB, S64, RCX, 1)
		p.jcc(NE, "zmm.loop")
		p.RR(MOV, S64, RDX, RSP)
		p.RI(SUB, S64, RSP, 128)
		p.RI(AND, S64, RSP, -64)
		p.EVEXM(VMOVDQA64_ST, EVEX{L: 2}, 25, NoReg, At(RSP, 0))
		p.RM(MOV, S64, RCX, At(RSP, 56))
		p.RM(ADD, S64, RCX, At(RSP, 48)) // 0
		p.RR(MOV, S64, RSP, RDX)
		p.MR(MOV, S64, At(RSI, 0), RCX)
	})
	l := p.load(t)
	defer l.code.Release()
	for function, have := range map[string]bool{"ymm": cpu.X86.HasAVX2, "zmm": cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ} {
		if !have {
			t.Logf("no %s registers", function)
			continue
		}
		var stop atomic.Bool
		var collector, loops sync.WaitGroup
		collector.Go(func() {
			for !stop.Load() {
				runtime.GC()
			}
		})
		for range 4 {
			loops.Go(func() {
				s := newStack(t)
				defer s.Release()
				// Until a yield has come, so that the test is not about luck.
				for h, n := new(host), uintptr(50_000_000); h.yields == 0; {
					if got, err := l.call(s, function, h, n); err != nil || got[0] != n {
						t.Errorf("%s: %d, want %d; %v", function, got[0], n, err)
						return
					}
				}
			})
		}
		loops.Wait()
		stop.Store(true)
		collector.Wait()
	}
}

// The tests by single-stepping set the processor's trap flag, so that it raises
// SIGTRAP after each instruction. Our own handler of that signal sends what it
// finds in compiled code to the handler of the preemption signal, as if that had
// arrived there. So a yield happens at every instruction of every function body,
// and the handler sees every instruction of stubs and entry trampolines, where
// it must do nothing.

const (
	sigTrap  = 5
	ucEFlags = 176
	trapFlag = 1 << 8
)

type kernelAction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

func sigaction(t *testing.T, sig int, set, old *kernelAction) {
	if _, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0); e != 0 {
		t.Fatal(e)
	}
}

// singleStep installs the SIGTRAP handler until the test's end.
func singleStep(t *testing.T) {
	supported(t)
	var urg, old kernelAction
	sigaction(t, int(syscall.SIGURG), nil, &urg)
	state := native.HandlerState()

	p := new(program)
	p.label("step")
	p.MovRI(S64, RAX, int64(state))
	p.RM(MOV, S64, RCX, At(RDX, ucRIP))
	p.RM(SUB, S64, RCX, At(RAX, layout.HandlerCodeBase))
	p.RM(CMP, S64, RCX, At(RAX, layout.HandlerCodeSize))
	p.jcc(AE, "step.elsewhere")
	p.MovRI64(RAX, uint64(urg.handler))
	p.JmpR(RAX) // chains to "step.done" afterwards
	p.label("step.elsewhere")
	p.MovRI(S64, RCX, int64(state)-layout.StubTextSize)
	p.RM(MOV, S64, RAX, At(RDX, ucRIP))
	p.RR(SUB, S64, RAX, RCX)
	p.RI(CMP, S64, RAX, layout.StubTextSize)
	p.jcc(B, "step.done") // stubs are stepped through
	p.MI(AND, S64, At(RDX, ucEFlags), ^trapFlag)
	p.label("step.done")
	p.Ret(0)
	l := p.load(t)

	// The preemption handler chains by signal number.
	chain := (*uintptr)(unsafe.Add(unsafe.Pointer(nil), state+layout.HandlerOld+sigTrap*8))
	*chain = l.at("step.done")
	set := urg
	set.handler = l.at("step")
	sigaction(t, sigTrap, &set, &old)
	t.Cleanup(func() { sigaction(t, sigTrap, &old, nil) })
}

// stepFlag sets the trap flag.
func (p *program) stepFlag() {
	p.Emit(PUSHF)
	p.MI(OR, S32, At(RSP, 0), trapFlag)
	p.Emit(POPF)
}

// stepProgram is a program of calls, an exit and a check of the state, under the trap flag.
func stepProgram() *program {
	p := stateProgram()
	p.function("leaf", func() { p.MI(ADD, S64, At(RSI, 0), 1) })
	p.function("step", func() {
		p.stepFlag()
		p.Push(RSI)
		p.Push(RSI)
		p.Call32()
		p.ref("leaf")
		p.RM(MOV, S64, RSI, At(RSP, 0))
		p.MovRI(S64, RDX, 77)
		p.leave(layout.ExitHost, RDX, RSI)
		p.stepFlag()
		p.RM(MOV, S64, RSI, At(RSP, 0))
		p.Call32()
		p.ref("leaf")
		p.Pop(RSI)
		p.Pop(RSI)
	})
	p.function("stepstate", func() {
		p.stepFlag()
		p.Call32()
		p.ref("state")
	})
	return p
}

// TestYieldEverywhere yields at every instruction of calls, exits, a libcall
// loop, nested calls and returns.
func TestYieldEverywhere(t *testing.T) {
	singleStep(t)
	p := stepProgram()
	l, s := p.load(t), newStack(t)
	defer s.Release()
	var h *host
	depth, at := 0, map[uintptr]bool{}
	h = &host{
		exit: func(s *native.Stack, e native.Exit) error {
			if e.Data != 77 {
				t.Errorf("%+v", e)
			}
			if depth++; depth < 3 {
				got, err := l.call(s, "step", h, uintptr(depth)*100)
				if err == nil && got[0] != uintptr(depth)*100+12 {
					// +2 by leaf, +10 by the host
					t.Errorf("nested: %d", got[0])
				}
				depth--
				if err != nil {
					return err
				}
			} else {
				depth--
			}
			*(*uintptr)(unsafe.Pointer(unsafe.SliceData(native.Bytes(e.Buffer, 8)))) += 10
			return nil
		},
		yield: func(s *native.Stack) error {
			for pc := range s.YieldCallers() {
				at[pc] = true
				break
			}
			return nil
		},
	}
	// An iteration of stepped code takes a good many signals; some suffice.
	for range 20 {
		got, err := l.call(s, "step", h, 7)
		if err != nil || got[0] != 7+12 {
			t.Fatal(got, err)
		}
	}
	for range 3 {
		if got, err := l.call(s, "stepstate", h, 10); err != nil || got[0] != wantState(10) {
			t.Fatal(got, wantState(10), err)
		}
	}
	t.Logf("%d yields at %d instructions", h.yields, len(at))
	// Every instruction of step and leaf, but those before the flag is set.
	if len(at) < 200 {
		t.Errorf("yields at %d instructions only", len(at))
	}
	for pc := range at {
		off := int(pc - l.code.Base())
		if off < int(p.bodies[0].Start) {
			t.Errorf("yield in the entry trampoline at %#x", off)
		}
	}
}

// TestStepEntryAndResume single-steps from Go's stack: through the entry
// trampoline, the function, an exit, and the resume stub.
func TestStepEntryAndResume(t *testing.T) {
	singleStep(t)
	p := sumProgram()
	p.label("stepped entry")
	p.stepFlag()
	p.jmp("entry")
	p.label("stepped resume")
	p.stepFlag()
	p.Push(RAX)
	p.MovRI(S64, RAX, int64(native.HandlerState())-layout.StubTextSize+int64(linuxAMD64().labels["resume"]))
	p.MR(XCHG, S64, At(RSP, 0), RAX)
	p.Ret(0)
	l, s := p.load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	enter := native.Func[native.Entry](l.at("stepped entry"))
	resume := native.Func[func(unsafe.Pointer) uintptr](l.at("stepped resume"))
	exits := 0
	h := &host{exit: func(s *native.Stack, e native.Exit) error { exits++; return nil }}
	buffer, err := s.Push(16)
	if err != nil {
		t.Fatal(err)
	}
	word := (*uintptr)(unsafe.Pointer(unsafe.SliceData(native.Bytes(buffer, 8))))
	for range 30 {
		*word = 5
		for status := enter(s.Exec(), l.at("ask"), 1, buffer); status != layout.ExitDone; status = resume(s.Exec()) {
			if err := s.Serve(status, h); err != nil {
				t.Fatal(err)
			}
		}
		if *word != 6 {
			t.Fatal(*word)
		}
	}
	s.Pop(16)
	if exits != 30 || h.yields < 30*15 {
		t.Errorf("%d exits, %d yields", exits, h.yields)
	}
}

// TestTrapWhileStepping has traps under single-stepping.
func TestTrapWhileStepping(t *testing.T) {
	singleStep(t)
	p := newProgram()
	p.function("step", func() {
		p.stepFlag()
		p.Emit(Fixed(LFENCE))
		p.trap(9, false)
		p.Emit(UD2)
	})
	l, s := p.load(t), newStack(t)
	defer s.Release()
	for range 50 {
		var trap *native.Trap
		if _, err := l.call(s, "step", nop{}, 0); !errors.As(err, &trap) || trap.Code != 9 {
			t.Fatal(err)
		}
	}
}

// TestReuse makes, runs and frees code on several goroutines while signals
// arrive all the time.
func TestReuse(t *testing.T) {
	supported(t)
	var stop atomic.Bool
	var wg, noise sync.WaitGroup
	noise.Go(func() {
		for !stop.Load() {
			runtime.GC()
		}
	})
	for g := range 4 {
		wg.Go(func() {
			s := newStack(t)
			defer s.Release()
			for i := range 150 {
				p := newProgram()
				p.Nop(g*1000 + i)
				p.function("f", func() {
					p.MI(MOV, S64, At(RSI, 0), int32(g*1000+i))
					if i%3 == 0 {
						p.trap(uint16(i), false)
						p.Emit(UD2)
					}
				})
				l := p.load(t)
				got, err := l.call(s, "f", nop{}, 0)
				var trap *native.Trap
				if i%3 == 0 {
					if !errors.As(err, &trap) || trap.Code != uint16(i) || trap.Object != l.code {
						t.Errorf("%v", err)
					}
				} else if err != nil || got[0] != uintptr(g*1000+i) {
					t.Error(got, err)
				}
				base := l.code.Base()
				l.code.Release()
				if c, _ := native.FindCode(base); c == l.code {
					t.Error("freed code is found")
				}
			}
		})
	}
	wg.Wait()
	stop.Store(true)
	noise.Wait()
}

// TestProfileAndTrace runs native code under the profiler and the tracer.
func TestProfileAndTrace(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	var profile, events bytes.Buffer
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Skip(err)
	}
	if err := trace.Start(&events); err != nil {
		t.Skip(err)
	}
	h := &host{exit: func(*native.Stack, native.Exit) error { return nil }}
	for range 3 {
		if got, err := l.call(s, "spin", h, 100_000_000); err != nil || got[0] != 42 {
			t.Error(got, err)
		}
		for range 20000 {
			if _, err := l.call(s, "exits", h, 10); err != nil {
				t.Error(err)
			}
		}
	}
	trace.Stop()
	pprof.StopCPUProfile()
	if profile.Len() == 0 || events.Len() == 0 {
		t.Error("nothing recorded")
	}
}

// TestNoAsyncPreemption checks that the absence of the preemption signal is
// seen.
func TestNoAsyncPreemption(t *testing.T) {
	supported(t)
	if os.Getenv("STUBS_TEST_PREEMPTION") != "" {
		if native.SignalsAvailable() {
			t.Error("signals seem to be available")
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestNoAsyncPreemption$", "-test.v")
	cmd.Env = append(os.Environ(), "STUBS_TEST_PREEMPTION=1", "GODEBUG=asyncpreemptoff=1")
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestNoAsyncPreemption") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCheckHandlers takes SIGURG away and gets it back.
func TestCheckHandlers(t *testing.T) {
	supported(t)
	var ours, now kernelAction
	sigaction(t, int(syscall.SIGURG), nil, &ours)
	ignore := ours
	ignore.handler = 1
	sigaction(t, int(syscall.SIGURG), &ignore, nil)
	if err := native.CheckHandlers(); err != nil {
		t.Fatal(err)
	}
	sigaction(t, int(syscall.SIGURG), nil, &now)
	if now != ours {
		t.Errorf("%+v, want %+v", now, ours)
	}
}
