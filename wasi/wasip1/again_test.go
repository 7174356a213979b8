package wasip1

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wat"
)

// TestMemoryIsUsedAgain: what programs show to WASI does not keep their memory from
// being the next program's.
func TestMemoryIsUsedAgain(t *testing.T) {
	run := command(t, filepath.Join(testdata.Root(), "examples", "hello", "hello.wat"))
	last := run()
	for range 10 {
		next := run()
		if next == last {
			return
		}
		last = next
	}
	t.Error("each program has another memory")
}

// BenchmarkCommand makes a store, runs a program in it, and closes it.
func BenchmarkCommand(b *testing.B) {
	files := []string{filepath.Join(testdata.Root(), "examples", "hello", "hello.wat")}
	files = append(files, filepath.Join(testdata.Real(b), "hello-c.wasm"))
	for _, file := range files {
		b.Run(filepath.Base(file), func(b *testing.B) {
			run := command(b, file)
			for b.Loop() {
				run()
			}
		})
	}
}

// command compiles a program and gives a function that runs it, in a store of its own,
// and tells where it had what it wrote.
func command(t testing.TB, file string) func() *byte {
	ctx := context.Background()
	engine, err := davit.NewEngine(nil)
	if err != nil {
		t.Skip(err)
	}
	code, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) == ".wat" {
		if code, err = wat.Compile(code, nil); err != nil {
			t.Fatal(err)
		}
	}
	module, err := engine.Compile(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { module.Close() })
	return func() *byte {
		store, err := davit.NewStore(engine, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}()
		var out whereWriter
		p, err := New(&Config{Args: []string{"program"}, Stdout: &out})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		l := davit.NewLinker(engine)
		if err := p.Define(l); err != nil {
			t.Fatal(err)
		}
		in, err := l.Instantiate(ctx, store, module)
		if err != nil {
			t.Fatal(err)
		}
		var exit *davit.ExitError
		if _, err := in.Func("_start").Call(ctx); err != nil && (!errors.As(err, &exit) || exit.Code != 0) {
			t.Fatal(err)
		}
		if out.last == nil {
			t.Fatal("the program wrote nothing")
		}
		return out.last
	}
}

// whereWriter knows where what was written last was.
type whereWriter struct{ last *byte }

func (w *whereWriter) Write(b []byte) (int, error) {
	if len(b) > 0 {
		w.last = &b[0]
	}
	return len(b), nil
}
