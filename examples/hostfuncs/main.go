// Command hostfuncs gives a module functions written in Go: with typed
// parameters, with strings, with errors, and one that calls back.
//
//	go run ./examples/hostfuncs
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
)

const source = `(module
  (import "math" "norm" (func $norm (param f64 f64) (result f64)))
  (import "host" "upper" (func $upper (param $text i32) (param $len i32)))
  (import "host" "each" (func $each (param $n i32)))
  (import "host" "fail" (func $fail (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "strings lie in memory")

  (func (export "diagonal") (param f64 f64) (result f64) (call $norm (local.get 0) (local.get 1)))
  (func (export "shout") (call $upper (i32.const 8) (i32.const 21)))

  ;; each calls square back for the numbers below n.
  (func (export "squares") (param i32) (call $each (local.get 0)))
  (func (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))

  (func (export "fail") (call $fail (i32.const 7))))`

// errRefused is an error of the host that comes back through the guest.
var errRefused = errors.New("refused")

func main() {
	ctx := context.Background()
	code, err := wat.Compile([]byte(source), nil)
	check(err)
	engine, err := davit.NewEngine(nil)
	check(err)
	module, err := engine.Compile(ctx, code)
	check(err)
	store, err := davit.NewStore(engine, nil)
	check(err)
	defer store.Close()

	linker := davit.NewLinker(engine)
	check(linker.Define("math", "norm", davit.HostFunc2(
		func(ctx context.Context, c *davit.Caller, x, y float64) (float64, error) { return x*x + y*y, nil })))

	// A string is an address and a length in the caller's memory.
	check(linker.Define("host", "upper", davit.HostProc2(
		func(ctx context.Context, c *davit.Caller, text, size uint32) error {
			s, ok := c.Memory().ReadString(uint64(text), uint64(size))
			if !ok {
				return davit.TrapMemoryOutOfBounds
			}
			_, err := c.Memory().WriteAt([]byte(strings.ToUpper(s)), int64(text))
			return err
		})))

	// Functions of the host may call the guest.
	check(linker.Define("host", "each", davit.HostProc1(
		func(ctx context.Context, c *davit.Caller, n int32) error {
			square, err := davit.Func1[int32, int32](c.Instance().Func("square"))
			if err != nil {
				return err
			}
			for i := range n {
				r, err := square(ctx, i)
				if err != nil {
					return err
				}
				fmt.Print(r, " ")
			}
			fmt.Println()
			return nil
		})))

	// An error ends the guest, and is the error of the call into it.
	check(linker.Define("host", "fail", davit.HostProc1(
		func(ctx context.Context, c *davit.Caller, code int32) error {
			return fmt.Errorf("code %d: %w", code, errRefused)
		})))

	instance, err := linker.Instantiate(ctx, store, module)
	check(err)

	diagonal, err := davit.Func2[float64, float64, float64](instance.Func("diagonal"))
	check(err)
	d, err := diagonal(ctx, 3, 4)
	check(err)
	fmt.Println("diagonal, squared:", d)

	shout, err := davit.Proc0(instance.Func("shout"))
	check(err)
	check(shout(ctx))
	s, _ := instance.Memory("memory").ReadString(8, 21)
	fmt.Println(s)

	squares, err := davit.Proc1[int32](instance.Func("squares"))
	check(err)
	check(squares(ctx, 5))

	fail, err := davit.Proc0(instance.Func("fail"))
	check(err)
	err = fail(ctx)
	fmt.Println(err, "- is it ours?", errors.Is(err, errRefused))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
