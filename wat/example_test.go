package wat_test

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

func ExampleCompile() {
	binary, err := wat.Compile([]byte(`(module (func (export "answer") (result i32) (i32.const 42)))`), nil)
	if err != nil {
		panic(err)
	}
	m, err := wasm.Decode(binary, nil)
	if err != nil {
		panic(err)
	}
	fmt.Println(m.Exports[0].Name, m.FuncTypeOf(0))
	// Output: answer [] -> [i32]
}

func ExampleError() {
	_, err := wat.Compile([]byte("(module\n  (func (br $out)))"), nil)
	var e *wat.Error
	if errors.As(err, &e) {
		fmt.Println("line", e.Line, "column", e.Column)
	}
	fmt.Println(err)
	// Output:
	// line 2 column 13
	// 2:13: unknown label $out
}

func ExamplePrint() {
	m, err := wat.Parse([]byte(`(func $add (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)`), nil)
	if err != nil {
		panic(err)
	}
	text, err := wat.Print(m, &wat.PrintOptions{Folded: true})
	if err != nil {
		panic(err)
	}
	fmt.Print(string(text))
	// Output:
	// (module
	//   (type (;0;) (func (param i32 i32) (result i32)))
	//   (func $add (;0;) (type 0) (param i32 i32) (result i32)
	//     (i32.add (local.get 0) (local.get 1))))
}

// An error of a text can be shown with its line.
func ExampleError_Excerpt() {
	_, err := wat.Parse([]byte("(module\n\t(func i32.cnst 1))"), nil)
	var e *wat.Error
	if errors.As(err, &e) {
		fmt.Print(e, "\n", e.Excerpt())
	}
	// Output:
	// 2:8: unknown operator i32.cnst, expected an instruction
	//   |
	// 2 |     (func i32.cnst 1))
	//   |           ^
}
