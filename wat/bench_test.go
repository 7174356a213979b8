package wat_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// sqlite is a module of 1.5 MB that a compiler made.
func sqlite(b *testing.B) *wasm.Module {
	data, err := os.ReadFile(filepath.Join(testdata.Real(b), "sqlite3.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	m, err := wasm.Decode(data, nil)
	if err != nil {
		b.Fatal(err)
	}
	return m
}

func BenchmarkParse(b *testing.B) {
	for _, c := range []struct {
		name string
		opts wat.PrintOptions
	}{{"plain", wat.PrintOptions{}}, {"folded", wat.PrintOptions{Folded: true}}} {
		text, err := wat.Print(sqlite(b), &c.opts)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wat.Parse(text, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkPrint(b *testing.B) {
	m := sqlite(b)
	for _, c := range []struct {
		name string
		opts wat.PrintOptions
	}{{"plain", wat.PrintOptions{}}, {"folded", wat.PrintOptions{Folded: true}}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				text, err := wat.Print(m, &c.opts)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(text)))
			}
		})
	}
}
