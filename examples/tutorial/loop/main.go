// Command loop builds a function with a loop.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// buildSum makes the sum of the numbers from 1 to n:
//
//	sum := 0
//	for n != 0 {
//		sum += n
//		n--
//	}
//	return sum
func buildSum() *ir.Function {
	f := ir.NewFunction(ir.TestName("sum"), ir.Signature{
		Params:  []ir.Param{{Type: ir.I64}},
		Returns: []ir.Param{{Type: ir.I64}},
	})
	var b frontend.Builder
	b.Begin(f)
	entry, head, body, exit := b.CreateBlock(), b.CreateBlock(), b.CreateBlock(), b.CreateBlock()

	b.SwitchTo(entry)
	b.AppendFunctionParams(entry)
	b.Seal(entry) // nothing branches to it
	sum, n := b.DeclareVar(ir.I64), b.DeclareVar(ir.I64)
	b.DefVar(sum, b.Iconst(ir.I64, 0))
	b.DefVar(n, f.Params(entry)[0])
	b.Jump(head)

	b.SwitchTo(head) // not sealed yet: the body will branch to it
	b.Brif(b.UseVar(n), body, nil, exit, nil)
	b.Seal(body)
	b.Seal(exit)

	b.SwitchTo(body)
	b.DefVar(sum, b.Iadd(b.UseVar(sum), b.UseVar(n)))
	b.DefVar(n, b.Isub(b.UseVar(n), b.Iconst(ir.I64, 1)))
	b.Jump(head)
	b.Seal(head) // now all branches to it are there

	b.SwitchTo(exit)
	b.Return(b.UseVar(sum))
	check(b.Finish())
	return f
}

func main() {
	m, err := jit.NewHost(jit.Config{})
	check(err)
	defer m.Close()
	f := buildSum()
	fmt.Print(clif.Format(f))
	id, err := m.Define(f)
	check(err)
	check(m.Finalize())
	sum, err := jit.Func1[int64, int64](m, id)
	check(err)
	result, err := sum(context.Background(), 1000)
	check(err)
	fmt.Println(result)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
