//go:build linux && amd64

package davit_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
)

// instantiate is an instance of a module in text format, in a store of its own.
// Programs mostly have modules as bytes, and keep engine, module and linker.
func instantiate(text string, c *davit.StoreConfig, define ...func(*davit.Linker) error) *davit.Instance {
	ctx := context.Background()
	engine := must(davit.NewEngine(nil))
	module := must(engine.Compile(ctx, must(wat.Compile([]byte(text), nil))))
	linker := davit.NewLinker(engine)
	for _, d := range define {
		if err := d(linker); err != nil {
			panic(err)
		}
	}
	return must(linker.Instantiate(ctx, must(davit.NewStore(engine, c)), module))
}

// A module is compiled, instantiated, and its function called.
func Example() {
	ctx := context.Background()
	code, err := wat.Compile([]byte(`(module
		(func (export "add") (param i32 i32) (result i32)
			(i32.add (local.get 0) (local.get 1))))`), nil)
	if err != nil {
		panic(err)
	}
	engine, err := davit.NewEngine(nil)
	if err != nil {
		panic(err)
	}
	module, err := engine.Compile(ctx, code)
	if err != nil {
		panic(err)
	}
	defer module.Close()
	store, err := davit.NewStore(engine, nil)
	if err != nil {
		panic(err)
	}
	defer store.Close()
	instance, err := davit.NewLinker(engine).Instantiate(ctx, store, module)
	if err != nil {
		panic(err)
	}
	add, err := davit.Func2[int32, int32, int32](instance.Func("add"))
	if err != nil {
		panic(err)
	}
	fmt.Println(add(ctx, 40, 2))
	// Output: 42 <nil>
}

// A function that does not fit is refused when it is asked for, not when it is
// called.
func ExampleFunc1() {
	instance := instantiate(`(module (func (export "half") (param f64) (result f64)
		(f64.mul (local.get 0) (f64.const 0.5))))`, nil)
	defer instance.Store().Close()

	half, err := davit.Func1[float64, float64](instance.Func("half"))
	if err != nil {
		panic(err)
	}
	fmt.Println(half(context.Background(), 5))

	_, err = davit.Func1[int32, int32](instance.Func("half"))
	fmt.Println(err)
	// Output:
	// 2.5 <nil>
	// davit: a function of type [f64] -> [f64] cannot be used as [i32] -> [i32]: parameter 1 is of type f64, not i32
}

// Without types that are known when the program is written.
func ExampleFunc_Call() {
	instance := instantiate(`(module (func (export "divide") (param i32 i32) (result i32 i32)
		(i32.div_s (local.get 0) (local.get 1))
		(i32.rem_s (local.get 0) (local.get 1))))`, nil)
	defer instance.Store().Close()

	results, err := instance.Func("divide").Call(context.Background(), davit.ValueI32(17), davit.ValueI32(5))
	fmt.Println(results, err)
	// Output: [3 2] <nil>
}

// A host function gets a string of the guest's as address and length.
func ExampleHostProc2() {
	print := davit.HostProc2(func(_ context.Context, c *davit.Caller, address, length uint32) error {
		text, ok := c.Memory().ReadString(uint64(address), uint64(length))
		if !ok {
			return davit.TrapMemoryOutOfBounds
		}
		fmt.Println("guest says:", text)
		return nil
	})
	instance := instantiate(`(module
		(import "host" "print" (func $print (param i32 i32)))
		(memory (export "memory") 1)
		(data (i32.const 16) "hello")
		(func (export "greet") (call $print (i32.const 16) (i32.const 5))))`, nil,
		func(l *davit.Linker) error { return l.Define("host", "print", print) })
	defer instance.Store().Close()

	greet, err := davit.Proc0(instance.Func("greet"))
	if err != nil {
		panic(err)
	}
	if err := greet(context.Background()); err != nil {
		panic(err)
	}
	// Output: guest says: hello
}

// A fault is an error that tells where it happened.
func ExampleTrap() {
	instance := instantiate(`(module $calculator
		(func $quotient (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
		(func $main (export "main") (result i32) (call $quotient (i32.const 1) (i32.const 0))))`, nil)
	defer instance.Store().Close()

	_, err := instance.Func("main").Call(context.Background())
	fmt.Println(errors.Is(err, davit.TrapIntegerDivideByZero))
	var trap *davit.Trap
	if errors.As(err, &trap) {
		fmt.Println(trap)
		for _, frame := range trap.Frames {
			fmt.Println(frame.Module, frame.FuncName)
		}
	}
	// Output:
	// true
	// wasm trap: integer divide by zero
	// calculator quotient
	// calculator main
}

// A context ends a call, whatever the guest does.
func ExampleFunc_Call_deadline() {
	instance := instantiate(`(module (func (export "forever") (loop $l (br $l))))`, nil)
	defer instance.Store().Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := instance.Func("forever").Call(ctx)
	fmt.Println(errors.Is(err, context.DeadlineExceeded), errors.Is(err, davit.TrapInterrupt))
	// Output: true true
}

// What a store may hold has defaults and can be limited further.
func ExampleStoreConfig() {
	instance := instantiate(`(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`,
		&davit.StoreConfig{
			MaxMemoryBytes: 1 << 20,
			Growing: func(g davit.Growth) bool {
				if !g.Made && g.Memory != nil {
					fmt.Printf("from %d to %d bytes?\n", g.From, g.To)
				}
				return true
			},
		})
	defer instance.Store().Close()

	grow, err := davit.Func1[int32, int32](instance.Func("grow"))
	if err != nil {
		panic(err)
	}
	fmt.Println(grow(context.Background(), 2))
	fmt.Println(grow(context.Background(), 100))
	// Output:
	// from 65536 to 196608 bytes?
	// 1 <nil>
	// -1 <nil>
}

// Each request gets an instance of its own, with imports of its own.
func ExampleLinker_Clone() {
	ctx := context.Background()
	engine := must(davit.NewEngine(nil))
	module := must(engine.Compile(ctx, must(wat.Compile([]byte(`(module
		(import "request" "id" (func $id (result i64)))
		(func (export "handle") (result i64) (call $id)))`), nil))))
	common := davit.NewLinker(engine) // and what is the same for all

	for id := range int64(2) {
		linker := common.Clone()
		err := linker.Define("request", "id", davit.HostFunc0(func(context.Context, *davit.Caller) (int64, error) { return id, nil }))
		if err != nil {
			panic(err)
		}
		store := must(davit.NewStore(engine, nil))
		handle := must(davit.Func0[int64](must(linker.Instantiate(ctx, store, module)).Func("handle")))
		fmt.Println(handle(ctx))
		store.Close()
	}
	// Output:
	// 0 <nil>
	// 1 <nil>
}

// Imports are looked up once, for many instances.
func ExampleInstancePre() {
	ctx := context.Background()
	engine := must(davit.NewEngine(nil))
	module := must(engine.Compile(ctx, must(wat.Compile([]byte(`(module
		(global $n (mut i32) (i32.const 0))
		(func (export "next") (result i32)
			(global.set $n (i32.add (global.get $n) (i32.const 1)))
			(global.get $n)))`), nil))))
	pre := must(davit.NewLinker(engine).InstancePre(module))

	for range 2 {
		store := must(davit.NewStore(engine, nil))
		next := must(davit.Func0[int32](must(pre.Instantiate(ctx, store)).Func("next")))
		next(ctx)
		fmt.Println(next(ctx))
		store.Close()
	}
	// Output:
	// 2 <nil>
	// 2 <nil>
}

// What a module wants and offers.
func ExampleModule_Imports() {
	engine := must(davit.NewEngine(nil))
	module := must(engine.Compile(context.Background(), must(wat.Compile([]byte(`(module
		(import "env" "log" (func (param i32 i32)))
		(memory (export "memory") 1 16)
		(func (export "run") (result i64) (i64.const 1)))`), nil))))
	defer module.Close()

	for _, im := range module.Imports() {
		fmt.Printf("wants %s.%s, a %v\n", im.Module, im.Name, im.Type)
	}
	for _, x := range module.Exports() {
		fmt.Printf("offers %s, a %v\n", x.Name, x.Type)
	}
	// Output:
	// wants env.log, a func [i32 i32] -> []
	// offers memory, a memory 1 16
	// offers run, a func [] -> [i64]
}

// Guests can keep Go values, without seeing them.
func ExampleExternal() {
	type user struct{ name string }
	instance := instantiate(`(module
		(import "host" "name" (func $name (param externref)))
		(global $user (mut externref) (ref.null extern))
		(func (export "login") (param externref) (global.set $user (local.get 0)))
		(func (export "whoami") (call $name (global.get $user))))`, nil,
		func(l *davit.Linker) error {
			return l.Define("host", "name", davit.HostProc1(func(_ context.Context, _ *davit.Caller, x davit.External) error {
				fmt.Println(x.Value.(*user).name)
				return nil
			}))
		})
	defer instance.Store().Close()

	ctx := context.Background()
	login := must(davit.Proc1[davit.External](instance.Func("login")))
	whoami := must(davit.Proc0(instance.Func("whoami")))
	if err := errors.Join(login(ctx, davit.External{Value: &user{"gopher"}}), whoami(ctx)); err != nil {
		panic(err)
	}
	// Output: gopher
}

// A panic of a host function arrives where the guest was called, with the guest's
// backtrace.
func ExampleHostPanic() {
	instance := instantiate(`(module $plugin
		(import "host" "fail" (func $fail))
		(func $step (call $fail))
		(func (export "run") (call $step)))`, nil,
		func(l *davit.Linker) error {
			return l.Define("host", "fail", davit.HostProc0(func(context.Context, *davit.Caller) error { panic("out of cheese") }))
		})
	defer instance.Store().Close()

	defer func() {
		p := recover().(*davit.HostPanic)
		fmt.Println(p.Value, "in", p.Frames[0].FuncName, "called by", p.Frames[1].FuncName)
	}()
	must(davit.Proc0(instance.Func("run")))(context.Background())
	// Output: out of cheese in step called by run
}
