package interp_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/interp"
)

// A function that is interpreted. Results of compiled code can be compared with
// this.
func ExampleMachine() {
	f, err := clif.ParseFunction(`
function %div(i32, i32) -> i32 {
block0(v0: i32, v1: i32):
    v2 = sdiv v0, v1
    return v2
}`)
	if err != nil {
		log.Fatal(err)
	}
	var m interp.Machine
	m.Define(f)
	results, err := m.Call(f.Name, interp.Value{Lo: 42}, interp.Value{Lo: 6})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(results[0].Lo)

	_, err = m.Call(f.Name, interp.Value{Lo: 42}, interp.Value{Lo: 0})
	var trap *interp.Trap
	if errors.As(err, &trap) {
		fmt.Println("trap:", trap.Code)
	}
	// Output:
	// 7
	// trap: int_divz
}
