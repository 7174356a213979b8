package main

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
)

// sysTgsigqueueinfo is rt_tgsigqueueinfo.
const sysTgsigqueueinfo = 297

// What rt_sigprocmask does.
const (
	sigBlock   = 0
	sigSetMask = 2
)

// tickStep makes every step a tick of a profile's timer, until the test's end. The
// timer itself waits until then: its signal is blocked.
func tickStep(t *testing.T) {
	supported(t)
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	block := func(how uintptr, set *uint64, old *uint64) {
		_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, how,
			uintptr(unsafe.Pointer(set)), uintptr(unsafe.Pointer(old)), 8, 0, 0)
		if e != 0 {
			t.Fatal(e)
		}
	}
	timer, mask := uint64(1)<<(syscall.SIGPROF-1), uint64(0)
	block(sigBlock, &timer, &mask)
	t.Cleanup(func() { block(sigSetMask, &mask, nil) })
	if err := native.StartProfile(1); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { native.StopProfile() })
	var prof, old kernelAction
	sigaction(t, int(syscall.SIGPROF), nil, &prof)
	state := native.HandlerState()

	p := new(program)
	p.label("step")
	p.MovRI(S64, RAX, int64(state))
	p.RM(MOV, S64, RCX, At(RDX, ucRIP))
	p.RM(SUB, S64, RCX, At(RAX, layout.HandlerCodeBase))
	p.RM(CMP, S64, RCX, At(RAX, layout.HandlerCodeSize))
	p.jcc(B, "step.tick")
	p.MovRI(S64, RCX, int64(state)-layout.StubTextSize)
	p.RM(MOV, S64, R8, At(RDX, ucRIP))
	p.RR(SUB, S64, R8, RCX)
	p.RI(CMP, S64, R8, layout.StubTextSize)
	p.jcc(B, "step.tick")
	p.MI(AND, S64, At(RDX, ucEFlags), ^trapFlag) // in Go; one last tick
	p.label("step.tick")
	p.MI(MOV, S32, At(RSI, siCode), siTimer)
	p.MR(MOV, S64, At(RSI, siValue), RAX)
	p.MI(MOV, S32, At(RSI, siOverrun), 2)
	p.MovRI64(RAX, uint64(prof.handler))
	p.JmpR(RAX)
	l := p.load(t)

	set := prof
	set.handler = l.at("step")
	sigaction(t, sigTrap, &set, &old)
	t.Cleanup(func() { sigaction(t, sigTrap, &old, nil) })
}

// ticker is a host that counts ticks.
type ticker struct {
	host
	ticks int
	tick  func(s *native.Stack)
}

func (h *ticker) Tick(s *native.Stack, n int) {
	h.ticks += n
	if h.tick != nil {
		h.tick(s)
	}
}

// TestTickEverywhere has a tick at every instruction of calls, exits, resumes and
// nested calls: each is told of where it was, or counted.
func TestTickEverywhere(t *testing.T) {
	tickStep(t)
	p := stepProgram()
	l, s := p.load(t), newStack(t)
	defer s.Release()
	var h *ticker
	depth, at, outside := 0, map[uintptr]bool{}, 0
	h = &ticker{tick: func(s *native.Stack) {
		pc, sp, fp, words := s.Interrupted()
		at[pc] = true
		if c, off := native.FindCode(pc); c != l.code || off < p.bodies[0].Start {
			t.Errorf("tick at %#x", pc)
		}
		if words[0] != *(*uintptr)(unsafe.Add(unsafe.Pointer(nil), sp)) || fp < sp {
			t.Errorf("stack pointer %#x, frame pointer %#x, words %#x", sp, fp, words)
		}
		n := 0
		for pc := range s.InterruptedCallers() {
			if c, _ := native.FindCode(pc); c != l.code {
				outside++
			}
			n++
		}
		if n > 3 {
			t.Errorf("%d callers", n)
		}
	}}
	h.exit = func(s *native.Stack, e native.Exit) error {
		if depth++; depth < 3 {
			got, err := l.call(s, "step", h, uintptr(depth)*100)
			if err == nil && got[0] != uintptr(depth)*100+12 {
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
	}
	for range 20 {
		if got, err := l.call(s, "step", h, 7); err != nil || got[0] != 7+12 {
			t.Fatal(got, err)
		}
	}
	for range 3 {
		if got, err := l.call(s, "stepstate", h, 10); err != nil || got[0] != wantState(10) {
			t.Fatal(got, wantState(10), err)
		}
	}
	between := native.StopProfile()
	t.Logf("%d ticks at %d instructions, %d between", h.ticks, len(at), between)
	if len(at) < 200 || h.ticks < 3*len(at) || h.ticks%3 != 0 || between < 3*100 {
		t.Error("too few, or not all of each")
	}
	if outside > 0 {
		t.Errorf("%d callers are outside of the code", outside)
	}
}

// TestTicksStop: after the profile, a late tick does nothing; a host that does not
// care for ticks need not.
func TestTicksStop(t *testing.T) {
	tickStep(t)
	p := sumProgram()
	p.function("stepadd", func() {
		p.stepFlag()
		p.RM(MOV, S64, RAX, At(RSI, 8))
		p.MR(ADD, S64, At(RSI, 0), RAX)
	})
	l, s := p.load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	plain, h := &host{}, &ticker{}
	if got, err := l.call(s, "stepadd", plain, 3, 4); err != nil || got[0] != 7 || plain.yields == 0 {
		t.Error(got, err, plain.yields)
	}
	if got, err := l.call(s, "stepadd", h, 3, 4); err != nil || got[0] != 7 || h.ticks == 0 {
		t.Error(got, err, h.ticks)
	}
	native.StopProfile()
	h = &ticker{}
	if got, err := l.call(s, "stepadd", h, 3, 4); err != nil || got[0] != 7 || h.ticks != 0 || h.yields != 0 {
		t.Error(got, err, h.ticks, h.yields)
	}
	if err := native.StartProfile(0); err == nil {
		t.Error("a profile without ticks")
	}
	if err := native.StartProfile(10); err != nil {
		t.Error(err)
	}
	if err := native.StartProfile(10); !errors.Is(err, native.ErrProfiling) {
		t.Error(err)
	}
}

// lock runs f on one thread.
func lock(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f()
}

// TestWatch: of goroutines that are watched, ticks of their levels are told once.
func TestWatch(t *testing.T) {
	supported(t)
	if err := native.StartProfile(1); err != nil {
		t.Skip(err)
	}
	defer native.StopProfile()
	if native.Watched() != nil {
		t.Fatal("a goroutine is watched from the start")
	}
	w := native.NewWatch()
	if w == nil || native.Watched() != w {
		t.Fatal(w, native.Watched())
	}
	defer w.End()
	w.SetLevel(1)
	var tid int
	var info [128]byte
	*(*int32)(unsafe.Pointer(&info[0])) = int32(syscall.SIGPROF)
	*(*int32)(unsafe.Pointer(&info[siCode])) = siTimer
	*(*uintptr)(unsafe.Pointer(&info[siValue])) = native.HandlerState()
	send := func() {
		for range 40 { // more than there are records
			if _, _, e := syscall.RawSyscall6(sysTgsigqueueinfo, uintptr(syscall.Getpid()), uintptr(tid), uintptr(syscall.SIGPROF), uintptr(unsafe.Pointer(&info)), 0, 0); e != 0 {
				t.Fatal(e)
			}
		}
	}
	lock(func() { tid = syscall.Gettid(); send(); w.SetLevel(2); send() })
	if !w.Pending() {
		t.Fatal("no ticks")
	}
	count := func(level int) (ticks int) {
		w.Ticks(level, func(pcs []uintptr, n int) {
			if ticks += n; len(pcs) < 3 || len(pcs) > layout.TickMaxPCs {
				t.Errorf("%d program counters", len(pcs))
			}
		})
		return ticks
	}
	if n := count(2); n != 0 {
		t.Errorf("%d ticks of level 2, for which there was no room", n)
	}
	if n := count(1); n < 80 || n > 90 { // the thread's own timer may tick, too
		t.Errorf("%d ticks of level 1", n)
	}
	if w.Pending() || count(1) != 0 {
		t.Error("ticks are left")
	}
	lock(func() { tid = syscall.Gettid(); send() })
	w.SetLevel(1)
	if w.Pending() {
		t.Error("ticks of a level that has ended are left")
	}
	ended := make(chan *native.Watch)
	go func() { ended <- native.Watched() }()
	if <-ended != nil {
		t.Error("another goroutine is watched")
	}
}
