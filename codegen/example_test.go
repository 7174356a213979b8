package codegen_test

import (
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// A function that is compiled for a machine, which need not be this one. To run
// code, or to write it to a file, use packages jit and object.
func ExampleContext_Compile() {
	b, err := isa.Lookup("x86_64-linux")
	if err != nil {
		log.Fatal(err)
	}
	if err := b.Set("opt_level=speed"); err != nil {
		log.Fatal(err)
	}
	target, err := b.Finish()
	if err != nil {
		log.Fatal(err)
	}
	original, err := clif.ParseFunction(`
function %f(i64) -> i64 system_v {
    fn0 = %g(i64) -> i64 system_v
block0(v0: i64):
    v1 = call fn0(v0)
    v2 = udiv v1, v0
    return v2
}`)
	if err != nil {
		log.Fatal(err)
	}

	var ctx codegen.Context // keep it for the next function, and the copy as well
	var f ir.Function
	f.CopyFrom(original) // as compiling changes the function
	code, err := ctx.Compile(&f, target, codegen.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("code:", len(code.Text) > 0)
	for _, r := range code.Relocs {
		fmt.Println("relocation:", r.Kind, r.Name)
	}
	for _, t := range code.Traps {
		fmt.Println("trap:", t.Code)
	}
	fmt.Println("calls:", len(code.Calls))
	// Output:
	// code: true
	// relocation: abs64 %g
	// trap: int_divz
	// calls: 1
}
