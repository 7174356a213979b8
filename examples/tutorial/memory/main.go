// Command memory compiles a function that reads a Go slice, and counts its
// calls in memory of its own.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/module"
)

const source = `
function %average(i64, i64) -> f64 {
    gv0 = symbol %calls
block0(v0: i64, v1: i64):           ; the address of float64s, and how many
    v2 = symbol_value.i64 gv0
    v3 = load.i64 notrap aligned v2
    v4 = iconst.i64 1
    v5 = iadd v3, v4
    store notrap aligned v5, v2
    v6 = iconst.i64 3
    v7 = ishl v1, v6
    v8 = iadd v0, v7                ; behind the last
    v9 = f64const 0.0
    jump block1(v0, v9)

block1(v10: i64, v11: f64):
    v12 = icmp ult v10, v8
    brif v12, block2, block3

block2:
    v13 = load.f64 notrap aligned v10
    v14 = fadd v11, v13
    v15 = iconst.i64 8
    v16 = iadd v10, v15
    jump block1(v16, v14)

block3:
    v17 = fcvt_from_uint.f64 v1
    v18 = fdiv v11, v17
    return v18
}`

func main() {
	m, err := jit.NewHost(jit.Config{})
	check(err)
	defer m.Close()

	calls, err := m.DeclareData(ir.TestName("calls"), module.Local, module.DataAttr{Writable: true})
	check(err)
	check(m.DefineData(calls, &module.Data{Size: 8})) // zeros

	f, err := clif.ParseFunction(source)
	check(err)
	id, err := m.Define(f)
	check(err)
	check(m.Finalize())
	average, err := jit.Func2[unsafe.Pointer, int, float64](m, id)
	check(err)

	numbers := []float64{1, 2, 4, 8}
	for n := 1; n <= len(numbers); n++ {
		v, err := average(context.Background(), unsafe.Pointer(&numbers[0]), n)
		check(err)
		fmt.Print(v, " ")
	}
	fmt.Println("calls:", binary.NativeEndian.Uint64(m.Bytes(calls)))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
