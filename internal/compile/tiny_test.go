package compile

import (
	"runtime"
	"testing"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

// tinyModule is a module of ten functions that do next to nothing.
func tinyModule() []byte {
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true}},
		RecGroups: []wasm.RecGroup{{Len: 1}},
		Funcs:     make([]wasm.Func, 10),
		Code:      make([]wasm.Code, 10),
	}
	for i := range m.Code {
		m.Code[i].Body = []byte{0x41, byte(i), 0x1a, 0x0b} // i32.const, drop, end
	}
	return wasm.Encode(m)
}

// TestTinyModule: a small module does not ask for the memory of a large one.
func TestTinyModule(t *testing.T) {
	data, o := tinyModule(), options(t, 1, image.Settings{})
	const runs = 10
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range runs {
		if _, err := Module(data, o); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / runs; n > 200<<10 {
		t.Errorf("%d bytes are allocated for a module of %d", n, len(data))
	}
}

// BenchmarkTinyModule is what any module costs.
func BenchmarkTinyModule(b *testing.B) {
	data, o := tinyModule(), &Options{Workers: 1}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Module(data, o); err != nil {
			b.Fatal(err)
		}
	}
}
