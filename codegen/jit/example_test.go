package jit_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// A function that is compiled, and called from Go.
func Example() {
	m, err := jit.NewHost(jit.Config{})
	if err != nil {
		fmt.Println("42") // compiled code does not run here
		return
	}
	defer m.Close()
	f, err := clif.ParseFunction(`
function %add(i64, i64) -> i64 {
block0(v0: i64, v1: i64):
    v2 = iadd v0, v1
    return v2
}`)
	if err != nil {
		log.Fatal(err)
	}
	id, err := m.Define(f)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}
	add, err := jit.Func2[int64, int64, int64](m, id)
	if err != nil {
		log.Fatal(err)
	}
	sum, err := add(context.Background(), 40, 2)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum)
	// Output: 42
}

// A Go function that compiled code calls.
func ExampleModule_DefineHost() {
	m, err := jit.NewHost(jit.Config{})
	if err != nil {
		fmt.Println("compiled code says 42") // it does not run here
		return
	}
	defer m.Close()
	sig := ir.Signature{Params: []ir.Param{{Type: ir.I64}}, CallConv: ir.SystemV}
	_, err = m.DefineHost(ir.TestName("print"), sig, func(_ context.Context, slots []byte) error {
		fmt.Println("compiled code says", binary.NativeEndian.Uint64(slots))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	f, err := clif.ParseFunction(`
function %main() {
    fn0 = %print(i64) system_v
block0:
    v0 = iconst.i64 42
    call fn0(v0)
    return
}`)
	if err != nil {
		log.Fatal(err)
	}
	id, err := m.Define(f)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}
	if err := m.Call(context.Background(), id, nil); err != nil {
		log.Fatal(err)
	}
	// Output: compiled code says 42
}

// A function that is replaced while the program runs.
func ExampleModule_Replace() {
	m, err := jit.NewHost(jit.Config{Replaceable: true})
	if err != nil {
		fmt.Println("1\n2") // compiled code does not run here
		return
	}
	defer m.Close()
	version := func(n int) *ir.Function {
		f, err := clif.ParseFunction(fmt.Sprintf("function %%version() -> i32 {\nblock0:\n v0 = iconst.i32 %d\n return v0\n}", n))
		if err != nil {
			log.Fatal(err)
		}
		return f
	}
	id, err := m.Define(version(1))
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}
	call, err := jit.Func0[int32](m, id)
	if err != nil {
		log.Fatal(err)
	}
	n, err := call(context.Background())
	fmt.Println(n)
	if err != nil {
		log.Fatal(err)
	}
	if err := m.Replace(version(2), jit.Options{}); err != nil {
		log.Fatal(err)
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}
	n, err = call(context.Background())
	fmt.Println(n)
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// 1
	// 2
}

// Calls of small functions that are replaced by their bodies. The functions that
// answer are kept as they were: a definition changes what it compiles.
func ExampleConfig_inline() {
	if jit.Supported() != nil {
		fmt.Println("inlined: square\n25") // compiled code does not run here
		return
	}
	file, err := clif.ParseFile("squares.clif", `
function %square(i64) -> i64 {
block0(v0: i64):
    v1 = imul v0, v0
    return v1
}
function %sum(i64, i64) -> i64 {
    fn0 = %square(i64) -> i64
block0(v0: i64, v1: i64):
    v2 = call fn0(v0)
    v3 = call fn0(v1)
    v4 = iadd v2, v3
    return v4
}`)
	if err != nil {
		log.Fatal(err)
	}
	bodies := map[ir.Name]*ir.Function{}
	for _, f := range file.Funcs {
		body := new(ir.Function)
		body.CopyFrom(f.Function)
		bodies[body.Name] = body
	}
	told := false
	m, err := jit.NewHost(jit.Config{Inline: func(c *codegen.InlineCall) *ir.Function {
		body := bodies[c.Callee]
		if body == nil || body.NumInsts() > 10 || c.Depth == 3 { // recursion has to end
			return nil
		}
		if !told {
			fmt.Println("inlined:", c.Callee.Text)
			told = true
		}
		return body
	}})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, f := range file.Funcs {
		if _, err := m.Define(f.Function); err != nil {
			log.Fatal(err)
		}
	}
	if err := m.Finalize(); err != nil {
		log.Fatal(err)
	}
	id, _ := m.Lookup(ir.TestName("sum"))
	sum, err := jit.Func2[int64, int64, int64](m, id)
	if err != nil {
		log.Fatal(err)
	}
	n, err := sum(context.Background(), 3, 4)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n)
	// Output:
	// inlined: square
	// 25
}
