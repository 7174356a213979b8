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
	store, err := davit.NewStore(engine, nil)
	check(err)
	defer store.Close()

	linker := davit.NewLinker(engine)
	err = linker.DefineFunc("go", "print", davit.FuncType{Params: []davit.ValType{davit.I32}},
		func(ctx context.Context, c *davit.Caller, stack []uint64) error {
			fmt.Println("the module says:", int32(stack[0]))
			return nil
		})
	check(err)
	instance, err := linker.Instantiate(ctx, store, module)
	check(err)
	results, err := instance.Func("sum").Call(ctx, davit.ValueI32(100))
	check(err)
	fmt.Println("sum(100) =", results[0])
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
