package compile

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(testdata.Real(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func options(t testing.TB, workers int, s image.Settings) *Options {
	t.Helper()
	target, err := Target("enable_verifier=true", "regalloc_checker=true")
	if err != nil {
		t.Skipf("no code generator: %v", err)
	}
	return &Options{Target: target, Workers: workers, Settings: s}
}

// TestDeterministic: the number of workers changes nothing.
func TestDeterministic(t *testing.T) {
	for _, name := range []string{"hello-c.wasm", "w3-mandel.wasm", "rust-calc.wasm"} {
		data := read(t, name)
		want, err := Module(data, options(t, 1, image.Settings{}))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, workers := range []int{2, 7} {
			have, err := Module(data, options(t, workers, image.Settings{}))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if d := cmp.Diff(want, have, cmpopts.IgnoreFields(image.Image{}, "Module"), cmpopts.IgnoreUnexported(image.Image{}, image.InitialMemory{})); d != "" {
				t.Errorf("%s: the image differs with %d workers:\n%s", name, workers, d)
			}
		}
	}
}

// TestImages compiles real programs in every setting and checks that their
// images are well-formed.
func TestImages(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testdata.Real(t), "*.wasm"))
	compiled := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if len(data) > 1<<20 || data[6] == 1 { // big ones take long with the checker on
			continue
		}
		for _, s := range []image.Settings{{}, {ExplicitBounds: true}, {Epoch: true}, {Fuel: true}} {
			im, err := Module(data, options(t, 0, s))
			if err != nil {
				var u *UnsupportedError
				var e *wasm.Error
				if errors.As(err, &u) || errors.As(err, &e) && e.Kind == wasm.Unsupported {
					t.Logf("%s: %v", name, err)
				} else {
					t.Errorf("%s, %+v: %v", name, s, err)
				}
				break
			}
			checkImage(t, name, im)
			compiled++
		}
	}
	if compiled < 18 {
		t.Errorf("only %d images", compiled)
	}
}

func checkImage(t *testing.T, name string, im *image.Image) {
	t.Helper()
	m := im.Module
	routines := 0
	if len(m.Memories) > 0 {
		routines = 2
	}
	for _, asks := range []bool{im.Settings.Fuel, im.Settings.Epoch} {
		if asks && len(m.Code) > 0 {
			routines++
		}
	}
	direct := 0
	for i := range im.Signatures {
		if im.Signatures[i].Direct != image.NoDirect {
			direct++
		}
	}
	if len(im.Code) != len(m.Code) || len(im.Functions) != len(m.Code)+2*len(im.Signatures)+direct+routines {
		t.Errorf("%s: %d functions, %d trampolines and routines for %d bodies", name, len(im.Code), len(im.Functions)-len(im.Code), len(m.Code))
	}
	end := uint32(0)
	for i := range im.Functions {
		f := &im.Functions[i]
		if f.Offset < end || f.Size == 0 || f.Offset%16 != 0 {
			t.Fatalf("%s: function %d at %#x, %d bytes, after %#x", name, i, f.Offset, f.Size, end)
		}
		end = f.Offset + f.Size
		var place uint32
		switch f.Kind {
		case image.FunctionWasm:
			place = im.Code[int(f.Index)-m.NumImportedFuncs]
		case image.FunctionEntry:
			place = im.Signatures[f.Index].Entry
		case image.FunctionExit:
			place = im.Signatures[f.Index].Exit
		case image.FunctionDirect:
			place = im.Signatures[f.Index].Direct
		case image.FunctionRoutine:
			place = f.Offset
		}
		if place != f.Offset {
			t.Errorf("%s: function %d lies at %#x and is found at %#x", name, i, f.Offset, place)
		}
		if got, ok := im.FunctionAt(end - 1); !ok || got != f {
			t.Errorf("%s: FunctionAt(%#x) does not find function %d", name, end-1, i)
		}
	}
	if int(end) != len(im.Text) {
		t.Errorf("%s: functions end at %#x, text at %#x", name, end, len(im.Text))
	}
	ordered := func(what string, n int, at func(i int) uint32) {
		if !sort.SliceIsSorted(make([]struct{}, n), func(i, j int) bool { return at(i) < at(j) }) {
			t.Errorf("%s: %s are not in order", name, what)
		}
		for i := range n {
			if i > 0 && at(i) == at(i-1) {
				t.Errorf("%s: two %s at %#x", name, what, at(i))
			}
			if _, ok := im.FunctionAt(at(i)); !ok {
				t.Errorf("%s: one of %s at %#x is in no function", name, what, at(i))
			}
		}
	}
	ordered("traps", len(im.Traps), func(i int) uint32 { return im.Traps[i].Offset })
	ordered("addresses", len(im.AddrMap), func(i int) uint32 { return im.AddrMap[i].Offset })
	ordered("unwind rows", len(im.Unwind), func(i int) uint32 { return im.Unwind[i].Offset })
	for _, tr := range im.Traps {
		if tr.Code == image.TrapNone || strings.HasPrefix(tr.Code.String(), "trap ") {
			t.Errorf("%s: trap %d at %#x", name, tr.Code, tr.Offset)
		}
	}
	// Code comes from within the body of its own function, or of one that has been inlined.
	for _, a := range im.AddrMap {
		f, _ := im.FunctionAt(a.Offset)
		if a.Wasm == image.NoAddress || f == nil {
			continue
		}
		if f.Kind != image.FunctionWasm {
			t.Errorf("%s: trampoline code at %#x comes from offset %#x", name, a.Offset, a.Wasm)
			continue
		}
		for i, p := range im.PositionsAt(nil, f, a.Offset) {
			if b := m.Body(p.Func); int(p.Wasm) < b.Offset || int(p.Wasm) >= b.Offset+len(b.Body) {
				t.Errorf("%s: code at %#x of function %d comes from offset %#x, outside of the body of function %d, which is %d away", name, a.Offset, f.Index, p.Wasm, p.Func, i)
			}
		}
	}
	ordered("inlined ranges", len(im.Inlined), func(i int) uint32 { return im.Inlined[i].Offset })
	for i, s := range im.InlineSites {
		if s.Outer < image.Replaced && s.Outer >= uint32(i) {
			t.Errorf("%s: inline site %d is within site %d", name, i, s.Outer)
		}
	}
	for i, s := range im.TypeSignatures {
		if isFunc := m.Types[i].Kind == wasm.CompositeFunc; isFunc != (s != image.NoSignature) {
			t.Errorf("%s: signature %d for type %d", name, int32(s), i)
		} else if isFunc && len(im.Signatures[s].Params) != len(m.Types[i].Func.Params) {
			t.Errorf("%s: signature of type %d has %d parameters", name, i, len(im.Signatures[s].Params))
		}
	}
}

// TestFirstError: of several faulty functions the first is reported, whoever
// finds it.
func TestFirstError(t *testing.T) {
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true}},
		RecGroups: []wasm.RecGroup{{Start: 0, Len: 1}},
	}
	for i := range 100 {
		body := []byte{byte(wasm.OpNop), byte(wasm.OpEnd)}
		if i >= 50 {
			body[0] = byte(wasm.OpDrop)
		}
		m.Funcs = append(m.Funcs, wasm.Func{})
		m.Code = append(m.Code, wasm.Code{Body: body})
	}
	for range 10 {
		_, err := Module(wasm.Encode(m), options(t, 4, image.Settings{}))
		var e *wasm.Error
		if !errors.As(err, &e) || e.Func != 50 {
			t.Fatalf("error %v, want one in function 50", err)
		}
	}
}

// TestUnsupported: what cannot be compiled is refused by name.
func TestUnsupported(t *testing.T) {
	for name, words := range map[string]string{
		"cppexc-exnref.wasm":  "try_table",
		"cppexc-legacy.wasm":  "legacy exception handling",
		"wasm-tools-p2.wasm":  "component",
		"js-http-p3-qjs.wasm": "component",
	} {
		_, err := Module(read(t, name), options(t, 0, image.Settings{}))
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: error %v does not say %q", name, err, words)
		}
	}
}

// TestMutations compiles truncated and bit-flipped programs, which must be
// refused or compiled, whatever they are.
func TestMutations(t *testing.T) {
	rnd := rand.New(rand.NewSource(1))
	o := options(t, 1, image.Settings{})
	compiled := 0
	for i := range 300 {
		name := []string{"hello-c.wasm", "assemblyscript.wasm", "w3-mandel_dd.wasm"}[i%3]
		data := bytes.Clone(read(t, name))
		for range 1 + rnd.Intn(3) {
			data[rnd.Intn(len(data))] ^= 1 << rnd.Intn(8)
		}
		_, err := Module(data, o)
		var w *wasm.Error
		var u *UnsupportedError
		if err == nil {
			compiled++
		} else if !errors.As(err, &w) && !errors.As(err, &u) {
			t.Fatalf("%s, mutation %d: %v", name, i, err)
		}
	}
	t.Logf("%d of 300 compiled", compiled)
	if compiled == 0 {
		t.Error("every mutation was refused")
	}
}

// TestCancel: compilation ends with its context.
func TestCancel(t *testing.T) {
	o := options(t, 2, image.Settings{})
	ctx, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("enough")
	cancel(cause)
	o.Context = ctx
	if _, err := Module(read(t, "w3-mandel.wasm"), o); !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
}

func BenchmarkModule(b *testing.B) {
	for _, name := range []string{"sqlite3.wasm", "esbuild.wasm"} {
		data := read(b, name)
		target, err := Target()
		if err != nil {
			b.Skip(err)
		}
		for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
			b.Run(name+"/"+string(rune('0'+workers)), func(b *testing.B) {
				b.ReportAllocs()
				var im *image.Image
				for b.Loop() {
					if im, err = Module(data, &Options{Target: target, Workers: workers}); err != nil {
						b.Fatal(err)
					}
				}
				b.SetBytes(int64(im.Module.CodeSize))
				b.ReportMetric(float64(len(im.Text))/float64(im.Module.CodeSize), "text/wasm")
			})
		}
	}
}

// TestProgress checks that progress goes up to the end, one call at a time.
func TestProgress(t *testing.T) {
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true}},
		RecGroups: []wasm.RecGroup{{Len: 1}},
		Funcs:     make([]wasm.Func, 100),
		Code:      make([]wasm.Code, 100),
	}
	for i := range m.Code {
		m.Code[i].Body = []byte{0x0b}
	}
	last, total := 0, 0
	_, err := Module(wasm.Encode(m), &Options{Workers: 4, Progress: func(done, of int) {
		if done <= last || done > of || total != 0 && of != total {
			t.Errorf("%d of %d after %d of %d", done, of, last, total)
		}
		last, total = done, of
	}})
	if err != nil || total < 100 || last != total {
		t.Errorf("ended at %d of %d: %v", last, total, err)
	}
}
