package object_test

import (
	"bytes"
	"debug/elf"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/codegen/object"
)

// An object file with a function and the table it reads, for Linux.
func Example() {
	b, err := isa.Lookup("x86_64-unknown-linux-gnu")
	if err != nil {
		log.Fatal(err)
	}
	target, err := b.Finish()
	if err != nil {
		log.Fatal(err)
	}
	m, err := object.New(target, object.Options{})
	if err != nil {
		log.Fatal(err)
	}

	f, err := clif.ParseFunction(`
function %square(i64) -> i64 system_v {
    gv0 = symbol colocated %squares
block0(v0: i64):
    v1 = symbol_value.i64 gv0
    v2 = iadd v1, v0
    v3 = uload8.i64 v2
    return v3
}`)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := m.Define(f); err != nil {
		log.Fatal(err)
	}
	squares, err := m.DeclareData(ir.TestName("squares"), module.Local, module.DataAttr{})
	if err != nil {
		log.Fatal(err)
	}
	if err := m.DefineData(squares, &module.Data{Bytes: []byte{0, 1, 4, 9, 16, 25}}); err != nil {
		log.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}

	// m.WriteTo(file) writes it; a linker, or Go's own reader, reads it.
	file, err := elf.NewFile(bytes.NewReader(m.Bytes()))
	if err != nil {
		log.Fatal(err)
	}
	symbols, err := file.Symbols()
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range symbols {
		fmt.Println(s.Name, elf.ST_BIND(s.Info), elf.ST_TYPE(s.Info), file.Sections[s.Section].Name)
	}
	// Output:
	// squares STB_LOCAL STT_OBJECT .rodata
	//  STB_LOCAL STT_SECTION .text
	// square STB_GLOBAL STT_FUNC .text
}
