// Command add compiles a function that is given as text, and calls it.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/jit"
)

const source = `
function %add(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}`

func main() {
	m, err := jit.NewHost(jit.Config{}) // a module for this machine
	check(err)
	defer m.Close()

	f, err := clif.ParseFunction(source)
	check(err)
	id, err := m.Define(f) // compile it
	check(err)
	check(m.Finalize()) // put it in its place

	add, err := jit.Func2[int64, int64, int64](m, id) // two parameters, one result
	check(err)
	sum, err := add(context.Background(), 40, 2)
	check(err)
	fmt.Println(sum)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
