package clif_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
)

// Text is read and written.
func Example() {
	f, err := clif.ParseFunction(`
function %max(i32, i32) -> i32 system_v {
block0(v0: i32, v1: i32):
    v2 = icmp ugt v0, v1
    v3 = select v2, v0, v1   ; comments are skipped
    return v3
}`)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(clif.Format(f))

	_, err = clif.ParseFunction("function %f() {\nblock0:\n    retrun\n}")
	var mistake *clif.Error
	if errors.As(err, &mistake) {
		fmt.Println(mistake.Line, mistake.Message)
	}
	// Output:
	// function %max(i32, i32) -> i32 system_v {
	// block0(v0: i32, v1: i32):
	//     v2 = icmp ugt v0, v1
	//     v3 = select v2, v0, v1
	//     return v3
	// }
	// 3 `retrun` is not an instruction
}
