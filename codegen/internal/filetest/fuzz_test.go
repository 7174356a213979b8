package filetest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// seed adds small files of the suite, where it is there, and our own.
func seed(f *testing.F) {
	root := filepath.Join(testdata.Root(), "..", "shared", "conformance")
	if env := os.Getenv("DAVIT_CONFORMANCE"); env != "" {
		root = env
	}
	for _, pattern := range []string{filepath.Join(root, "clif/filetests/*/*.clif"), filepath.Join(root, "clif/filetests/isa/x64/*.clif"),
		filepath.Join(root, "clif/filetests/isa/*/*exception*.clif"), "testdata/*.clif", "../x64/testdata/*.clif"} {
		files, _ := filepath.Glob(pattern)
		for _, path := range files {
			if src, err := os.ReadFile(path); err == nil && len(src) < 4000 {
				f.Add(string(src))
			}
		}
	}
	f.Add("function %f(i32) -> i32 {\nblock0(v0: i32):\n return v0\n}\n")
}

// verified are the functions of a text that the verifier has no objection to.
func verified(src string) (list []*clif.Func) {
	file, err := clif.ParseFile("f", src)
	if err != nil {
		return nil
	}
	for _, fn := range file.Funcs {
		if verifier.Verify(fn.Function, verifier.Options{PointerType: ir.I64}) == nil {
			list = append(list, fn)
		}
	}
	return list
}

// FuzzVerify holds that what verifies can be interpreted: with an error at
// most, and in bounded time.
func FuzzVerify(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src string) {
		funcs := verified(src)
		m := interp.Machine{Fuel: 10_000}
		for _, fn := range funcs {
			m.Define(fn.Function)
		}
		for _, fn := range funcs {
			args := make([]interp.Value, len(fn.Sig.Params))
			for i := range args {
				args[i] = interp.Value{Lo: uint64(i) * 0x0123_4567_89ab_cdef, Hi: uint64(i)}
			}
			_, _ = m.Call(fn.Function.Name, args...) // any error will do
		}
	})
}

// FuzzCompile holds that what verifies compiles, unless the target has no code
// for it, with the register allocator's checker on.
func FuzzCompile(f *testing.F) {
	seed(f)
	b, err := isa.Lookup("x86_64")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"tls_model=elf_gd", "stack_switch_model=basic"} {
		if err := b.Set(s); err != nil {
			f.Fatal(err)
		}
	}
	target, err := b.Finish()
	if err != nil {
		f.Fatal(err)
	}
	var ctx codegen.Context
	f.Fuzz(func(t *testing.T, src string) {
		for _, fn := range verified(src) {
			text := clif.Format(fn.Function)
			if _, err := ctx.Compile(fn.Function, target, codegen.Options{CheckRegalloc: true}); errors.Is(err, codegen.ErrBug) {
				t.Fatalf("%v\n%s", err, text)
			}
		}
	})
}
