package wasip1

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestFailingCalls runs programs again and again, in each run of which another call
// of WASI fails: with an error for the program to handle, with one that ends it, by a
// panic, or by the end of the context. Whatever becomes of the program, nothing that
// it had stays behind, and the next one runs as ever.
func TestFailingCalls(t *testing.T) {
	dir := testdata.Real(t)
	engine, err := davit.NewEngine(nil)
	if err != nil {
		t.Skip(err)
	}
	failure := errors.New("injected")
	const (
		errno = iota
		fails
		panics
		cancels
		kinds
	)
	for _, p := range []struct {
		file  string
		args  []string
		mount bool
	}{
		{"hello-c.wasm", []string{"a", "b"}, false},
		{"rust-calc.wasm", []string{"a", "b"}, false},
		{"sqlite3.wasm", []string{"-vfs", "unix-none", "/x.db", "create table z(a); insert into z values(42); select a from z;"}, true},
	} {
		t.Run(p.file, func(t *testing.T) {
			code, err := os.ReadFile(filepath.Join(dir, p.file))
			if err != nil {
				t.Fatal(err)
			}
			module, err := engine.Compile(context.Background(), code)
			if err != nil {
				t.Fatal(err)
			}
			defer module.Close()
			// run runs the program; its at-th call fails.
			run := func(kind, at int) (stdout string, exit error, calls int) {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var out, log bytes.Buffer
				c := &Config{Args: append([]string{p.file}, p.args...), Stdout: &out, Stderr: &log}
				if p.mount {
					c.Mounts = []Mount{{Host: t.TempDir(), Guest: "/"}}
				}
				process, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer process.Close()
				hook := func(_ context.Context, t davit.Transition) error {
					if t != davit.EnterHost {
						return nil
					}
					if calls++; calls != at {
						return nil
					}
					switch kind {
					case fails:
						return failure
					case panics:
						panic(failure)
					case cancels:
						cancel()
					}
					return nil
				}
				store, err := davit.NewStore(engine, &davit.StoreConfig{CallHook: hook})
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := store.Close(); err != nil {
						t.Errorf("fault %d at call %d: closing the store: %v", kind, at, err)
					}
				}()
				l := davit.NewLinker(engine)
				for i := range functions {
					f := functions[i]
					f.call = func(c *call, a []uint64) Errno {
						if kind == errno && calls == at && f.hasResult {
							return ErrnoIO
						}
						return functions[i].call(c, a)
					}
					if err := process.define(l, ModuleName, &f, &preview1); err != nil {
						t.Fatal(err)
					}
				}
				in, err := l.Instantiate(ctx, store, module)
				if err != nil {
					t.Fatal(err)
				}
				func() {
					defer func() {
						if r := recover(); r != nil {
							exit = r.(error)
						}
					}()
					_, exit = in.Func("_start").Call(ctx)
				}()
				return out.String(), exit, calls
			}
			want, wantExit, n := run(kinds, 0)
			if want == "" || n < 4 {
				t.Fatalf("%d calls, output %q, %v", n, want, wantExit)
			}
			var before testdata.Held
			for at := 1; at <= n; at++ {
				for kind := range kinds {
					_, exit, calls := run(kind, at)
					var trap *davit.Trap
					var code *davit.ExitError
					isTrap := errors.As(exit, &trap)
					ok := false
					switch kind {
					case errno:
						ok = exit == nil || errors.As(exit, &code) || isTrap && trap.Code != davit.TrapInterrupt
					case fails, panics:
						ok = errors.Is(exit, failure) && calls == at
					case cancels: // but a program that exits has done so
						ok = isTrap && trap.Code == davit.TrapInterrupt && errors.Is(exit, context.Canceled) || errors.As(exit, &code) && at == n
					}
					if !ok {
						t.Errorf("fault %d at call %d of %d: %v after %d calls", kind, at, n, exit, calls)
					}
				}
				if at == min(10, n/2) {
					before = testdata.Holds(t) // pools are full
				}
			}
			after := testdata.Holds(t)
			if after.Mappings > before.Mappings+20 || after.Descriptors > before.Descriptors || after.Goroutines > before.Goroutines || after.Resident > before.Resident+16<<20 {
				t.Errorf("before: %+v, after: %+v", before, after)
			}
			t.Logf("%d calls; before: %+v, after: %+v", n, before, after)
			if got, exit, _ := run(kinds, 0); got != want || exit != nil && exit.Error() != wantExit.Error() {
				t.Errorf("in the end: %q, %v; want %q, %v", got, exit, want, wantExit)
			}
		})
	}
}
