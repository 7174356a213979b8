// Command embed shows davit inside a Go program: a module calls a Go function,
// and the program calls the module.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
)

const source = `(module
  (import "go" "print" (func $print (param i32)))
  (func (export "sum") (param $n i32) (result i32) (local $sum i32)
    (loop $next
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $next (local.get $n)))
    (call $print (local.get $sum))
    (local.get $sum)))`

func main() {
	ctx := context.Background()
	code, err := wat.Compile([]byte(source), nil) // or the bytes of a .wasm file
	check(err)
	engine, err := davit.NewEngine(nil)
	check(err)
	module, err := engine.Compile(ctx, code)
	check(err)
	store, err := davit.NewStore(engine, nil) // holds instances, under limits
	check(err)
	defer store.Close()

	linker := davit.NewLinker(engine) // what modules may import
	err = linker.Define("go", "print", davit.HostProc1(
		func(ctx context.Context, c *davit.Caller, n int32) error {
			fmt.Println("the module says:", n)
			return nil
		}))
	check(err)
	instance, err := linker.Instantiate(ctx, store, module)
	check(err)
	sum, err := davit.Func1[int32, int32](instance.Func("sum")) // parameter and result
	check(err)
	result, err := sum(ctx, 100)
	check(err)
	fmt.Println("sum(100) =", result)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
