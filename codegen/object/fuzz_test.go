package object

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
)

// FuzzModule defines functions and data as the input says, most of it nonsense,
// and writes a file: that ends in an error, or in a file that can be read.
func FuzzModule(f *testing.F) {
	f.Add([]byte{0, 0, 16, 4, 0, 0, 1})
	f.Add([]byte{1, 1, 40, 2, 8, 1, 200, 0, 1, 9, 3, 2})
	f.Add([]byte{2, 0, 30, 3, 9, 4, 0, 7, 1, 64, 5, 5, 5, 1, 2, 3, 4, 5, 6})
	f.Fuzz(func(t *testing.T, in []byte) {
		next := func() byte {
			if len(in) == 0 {
				return 0
			}
			b := in[0]
			in = in[1:]
			return b
		}
		triple := []string{"x86_64-linux", "x86_64-darwin", "x86_64-windows"}[next()%3]
		m := newModule(t, triple, Options{})
		name := func() ir.Name { return ir.TestName(string('a' + rune(next()%8))) }
		for range 32 {
			if len(in) == 0 {
				break
			}
			link := module.Linkage(next() % 6)
			var err error
			if next()%2 == 0 {
				var id module.ID
				if id, err = m.DeclareFunc(name(), link, ir.Signature{}); err == nil {
					code := &codegen.CompiledCode{Text: make([]byte, next()), Alignment: uint32(next()), CodeSize: uint32(next())}
					for range next() % 4 {
						code.Relocs = append(code.Relocs, codegen.Reloc{Offset: uint32(next()), Kind: codegen.RelocKind(next() % 10), Name: name(), Addend: int64(int8(next()))<<next() ^ 1})
					}
					for range next() % 4 {
						code.Unwind = append(code.Unwind, codegen.UnwindRow{Offset: uint32(next()), State: codegen.FrameState(next() % 5)})
					}
					for range next() % 3 {
						code.Saved = append(code.Saved, codegen.SavedReg{Number: next() % 16, Offset: -8 * int32(next())})
					}
					err = m.DefineCode(id, code)
				}
			} else {
				var id module.ID
				if id, err = m.DeclareData(name(), link, module.DataAttr{Writable: next()%2 == 0, TLS: next()%4 == 0}); err == nil {
					d := &module.Data{Bytes: make([]byte, next()), Size: uint64(next()) << next(), Align: uint64(next())}
					if d.Size > 1<<20 {
						d.Size |= 1 << 62 // an error rather than much memory
					}
					for range next() % 3 {
						d.Relocs = append(d.Relocs, module.DataReloc{Offset: uint64(next()), Name: name(), Addend: int64(next())})
					}
					err = m.DefineData(id, d)
				}
			}
			_ = err // nonsense is refused
		}
		if m.Finalize() != nil {
			return
		}
		r := bytes.NewReader(m.Bytes())
		var err error
		switch triple {
		case "x86_64-linux":
			var file *elf.File
			if file, err = elf.NewFile(r); err == nil {
				_, err = file.Symbols()
			}
		case "x86_64-darwin":
			_, err = macho.NewFile(r)
		default:
			// Go wants to see as many bytes as an executable's header has.
			_, err = pe.NewFile(bytes.NewReader(append(m.Bytes(), make([]byte, 96)...)))
		}
		if err != nil {
			t.Error(err)
		}
	})
}
