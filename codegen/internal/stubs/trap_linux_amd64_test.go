package main

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/native"
)

func TestTraps(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	m, err := native.ReserveMemory(1<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if err := m.Commit(0, 4096); err != nil {
		t.Fatal(err)
	}
	m.Bytes(0, 8)[0] = 99
	if got, err := l.call(s, "load", nop{}, m.Base()); err != nil || got[0] != 99 {
		t.Fatal(got, err)
	}
	before := native.Stats().Traps
	tests := []struct {
		function string
		args     []uintptr
		code     uint16
		signal   syscall.Signal
		addr     uintptr
	}{
		{"load", []uintptr{m.Base() + 4096}, 1, syscall.SIGSEGV, m.Base() + 4096},
		{"load", []uintptr{m.Base() + 1<<20 - 8}, 1, syscall.SIGSEGV, m.Base() + 1<<20 - 8},
		{"loadnull", []uintptr{0}, 2, syscall.SIGSEGV, 8},
		{"divide", []uintptr{1, 0}, 3, syscall.SIGFPE, 0},
		{"divide", []uintptr{1 << 63, ^uintptr(0)}, 3, syscall.SIGFPE, 0},
		{"unreachable", nil, 4, syscall.SIGILL, 0},
	}
	for _, test := range tests {
		for range 100 {
			_, err := l.call(s, test.function, nop{}, test.args...)
			var trap *native.Trap
			if !errors.As(err, &trap) {
				t.Fatalf("%s: %v", test.function, err)
			}
			if trap.Code != test.code || trap.Signal != int(test.signal) || trap.Object != l.code {
				t.Fatalf("%s: %+v", test.function, trap)
			}
			if test.addr != 0 && trap.Addr != test.addr {
				t.Fatalf("%s: address %#x, want %#x", test.function, trap.Addr, test.addr)
			}
			if at := l.at(test.function); trap.PC < at || trap.PC > at+32 {
				t.Fatalf("%s: pc %#x of %#x", test.function, trap.PC, at)
			}
			if len(trap.Callers) != 1 || trap.Callers[0] <= l.code.Base() || trap.Callers[0] >= l.at("add") {
				t.Fatalf("%s: callers %#x", test.function, trap.Callers)
			}
		}
	}
	if n := native.Stats().Traps - before; n != uint64(len(tests)*100) {
		t.Errorf("%d traps counted", n)
	}
	// The stack is as good as new.
	if got, err := l.call(s, "add", nop{}, 1, 2); err != nil || got[0] != 3 {
		t.Fatal(got, err)
	}
}

// TestBusTrap maps a file that is too short, whose missing pages raise SIGBUS.
func TestBusTrap(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	m, err := native.ReserveMemory(1<<16, true)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, _, e := syscall.Syscall6(syscall.SYS_MMAP, m.Base(), 1<<16, syscall.PROT_READ, syscall.MAP_SHARED|syscall.MAP_FIXED, f.Fd(), 0); e != 0 {
		t.Fatal(e)
	}
	_, err = l.call(s, "load", nop{}, m.Base())
	var trap *native.Trap
	if !errors.As(err, &trap) || trap.Signal != int(syscall.SIGBUS) || trap.Code != 1 {
		t.Fatal(err)
	}
	m.Free()
}

// TestGoFaults checks that faults in Go code are Go's business.
func TestGoFaults(t *testing.T) {
	supported(t)
	for range 100 {
		func() {
			defer func() {
				err, ok := recover().(runtime.Error)
				if !ok || !strings.Contains(err.Error(), "nil pointer") {
					t.Errorf("recovered %v", err)
				}
			}()
			var p *int
			*p = 1
		}()
		func() {
			defer func() {
				if err, ok := recover().(runtime.Error); !ok || !strings.Contains(err.Error(), "divide") {
					t.Errorf("recovered %v", err)
				}
			}()
			var zero int
			_ = 1 / zero
		}()
	}
}

// TestWildAccess checks that a fault that is no trap ends the process loudly.
func TestWildAccess(t *testing.T) {
	supported(t)
	if how := os.Getenv("STUBS_TEST_WILD"); how != "" {
		l, s := sumProgram().load(t), newStack(t)
		switch how {
		case "address": // a trap site, but not in known memory
			_, _ = l.call(s, "load", nop{}, 1<<40)
		case "null": // a trap site that does not allow for null
			_, _ = l.call(s, "load", nop{}, 0)
		case "noncanonical":
			_, _ = l.call(s, "load", nop{}, 1<<63)
		case "site": // not a trap site
			p := newProgram()
			p.function("bad", func() { p.RM(MOV, S64, RAX, At(RSI, 0)); p.RM(MOV, S64, RAX, At(RAX, 0)) })
			m, _ := native.ReserveMemory(1<<16, true)
			_, _ = p.load(t).call(s, "bad", nop{}, m.Base())
		}
		os.Exit(0) // wrong
	}
	for _, how := range []string{"address", "null", "noncanonical", "site"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWildAccess$")
		cmd.Env = append(os.Environ(), "STUBS_TEST_WILD="+how)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "SIGSEGV") && !strings.Contains(string(out), "fatal error") {
			t.Errorf("%s: %v\n%s", how, err, out)
		}
	}
}

// TestNested goes from Go to native code and back, 100 deep, and looks at the
// callers from the innermost.
func TestNested(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	var h *host
	depth := 0
	h = &host{exit: func(s *native.Stack, e native.Exit) error {
		depth++
		defer func() { depth-- }()
		if depth == 100 {
			n := 0
			for range s.Callers() {
				n++
			}
			if n != 2*100 {
				t.Errorf("%d callers", n)
			}
			runtime.GC()
			return nil
		}
		got, err := l.call(s, "ask", h, uintptr(depth))
		if err == nil && got[0] != uintptr(depth)+1 {
			t.Errorf("at %d: %d", depth, got[0])
		}
		return err
	}}
	for range 10 {
		if got, err := l.call(s, "ask", h, 0); err != nil || got[0] != 1 {
			t.Fatal(got, err)
		}
	}
	// Without end: the limit is an error.
	h.exit = func(s *native.Stack, e native.Exit) error {
		depth++
		_, err := l.call(s, "ask", h, 0)
		return err
	}
	depth = 0
	if _, err := l.call(s, "ask", h, 0); err != native.ErrStackExhausted || depth != native.DefaultNesting {
		t.Errorf("depth %d: %v", depth, err)
	}
	// A trap in the innermost native code has all callers.
	depth = 0
	h.exit = func(s *native.Stack, e native.Exit) error {
		if depth++; depth == 10 {
			_, err := l.call(s, "unreachable", h)
			return err
		}
		_, err := l.call(s, "ask", h, 0)
		return err
	}
	_, err := l.call(s, "ask", h, 0)
	var trap *native.Trap
	if !errors.As(err, &trap) || len(trap.Callers) != 1+10*2 {
		t.Errorf("%+v", err)
	}
}

func TestPanicAndGoexit(t *testing.T) {
	l, s := sumProgram().load(t), newStack(t)
	defer s.Release()
	defer l.code.Release()
	var h *host
	depth := 0
	for _, how := range []string{"panic", "goexit", "nil"} {
		h = &host{exit: func(s *native.Stack, e native.Exit) error {
			if depth++; depth < 5 {
				_, err := l.call(s, "ask", h, 0)
				return err
			}
			switch how {
			case "panic":
				panic("host")
			case "goexit":
				runtime.Goexit()
			case "nil":
				var p *int
				*p = 0
			}
			return nil
		}}
		for range 20 {
			depth = 0
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() {
					if r := recover(); (r == nil) != (how == "goexit") {
						t.Errorf("%s: recovered %v", how, r)
					}
				}()
				_, _ = l.call(s, "ask", h, 0)
				t.Errorf("%s: call has returned", how)
			})
			wg.Wait()
			if got, err := l.call(s, "add", nop{}, 1, 2); err != nil || got[0] != 3 {
				t.Fatal(got, err)
			}
			s.Release() // panics if native code were suspended
			s = newStack(t)
		}
	}
}

// TestBlocking has many goroutines sleep in the host at once.
func TestBlocking(t *testing.T) {
	l := sumProgram().load(t)
	defer l.code.Release()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			s := newStack(t)
			defer s.Release()
			h := &host{exit: func(*native.Stack, native.Exit) error { time.Sleep(time.Millisecond); return nil }}
			for range 5 {
				if got, err := l.call(s, "ask", h, uintptr(i)); err != nil || got[0] != uintptr(i)+1 {
					t.Error(got, err)
				}
			}
		})
	}
	wg.Wait()
}
