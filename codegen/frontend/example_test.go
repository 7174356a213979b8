package frontend_test

import (
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
)

// A function with a variable that two branches assign: a parameter of the block
// where they meet is its value there.
func ExampleBuilder() {
	// func f(x int32) int32 { y := -x; if x > 0 { y = x * x }; return y }
	i32 := ir.Param{Type: ir.I32}
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{Params: []ir.Param{i32}, Returns: []ir.Param{i32}})

	var b frontend.Builder
	b.Begin(f)
	entry, positive, done := b.CreateBlock(), b.CreateBlock(), b.CreateBlock()

	b.SwitchTo(entry)
	b.Seal(entry)
	b.AppendFunctionParams(entry)
	x := f.Params(entry)[0]
	y := b.DeclareVar(ir.I32)
	b.DefVar(y, b.Ineg(x))
	c := b.Icmp(ir.SignedGreaterThan, x, b.Iconst(ir.I32, 0))
	b.Brif(c, positive, nil, done, nil)

	b.SwitchTo(positive)
	b.Seal(positive)
	b.DefVar(y, b.Imul(x, x))
	b.Jump(done)

	b.SwitchTo(done)
	b.Seal(done)
	b.Return(b.UseVar(y))
	if err := b.Finish(); err != nil {
		log.Fatal(err)
	}
	fmt.Print(clif.Format(f))
	// Output:
	// function %f(i32) -> i32 fast {
	// block0(v0: i32):
	//     v1 = ineg v0
	//     v2 = iconst.i32 0
	//     v3 = icmp sgt v0, v2  ; v2 = 0
	//     brif v3, block1, block2(v1)
	//
	// block1:
	//     v4 = imul.i32 v0, v0
	//     jump block2(v4)
	//
	// block2(v5: i32):
	//     return v5
	// }
}

// A switch, for which a jump table is made here.
func ExampleBuilder_Switch() {
	i32 := ir.Param{Type: ir.I32}
	f := ir.NewFunction(ir.TestName("f"), ir.Signature{Params: []ir.Param{i32}, Returns: []ir.Param{i32}})
	var b frontend.Builder
	b.Begin(f)
	entry, otherwise := b.CreateBlock(), b.CreateBlock()
	b.SwitchTo(entry)
	b.Seal(entry)
	b.AppendFunctionParams(entry)
	cases := make([]frontend.Case, 4)
	for i := range cases {
		cases[i] = frontend.Case{Value: uint64(i), Block: b.CreateBlock()}
	}
	b.Switch(f.Params(entry)[0], otherwise, cases)
	for _, c := range cases {
		b.SwitchTo(c.Block)
		b.Seal(c.Block)
		b.Return(b.Iconst(ir.I32, int64(c.Value*c.Value)))
	}
	b.SwitchTo(otherwise)
	b.Seal(otherwise)
	b.Return(b.Iconst(ir.I32, -1))
	if err := b.Finish(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(clif.FormatInst(f, f.LastInst(entry)))
	// Output: br_table v0, block1, [block2, block3, block4, block5]
}
