package verifier_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// A function with two mistakes.
func ExampleVerify() {
	f, err := clif.ParseFunction(`
function %f(i64) -> i64 {
block0(v0: i64):
    v1 = iconst.i32 1
    v2 = iadd v0, v1
    return
}`)
	if err != nil {
		log.Fatal(err)
	}
	err = verifier.Verify(f, verifier.Options{PointerType: ir.I64})
	var all verifier.Errors
	if errors.As(err, &all) {
		for _, e := range all {
			fmt.Println(e)
		}
	}
	// Output:
	// %f: inst1 (iadd): arg 1 (v1) has type i32, expected i64
	// %f: inst2 (return): arguments of return must match function signature: got 0, expected 1
}
