// Command host compiles a function that calls a Go function.
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// defineReport makes a Go function known as %report. It takes two integers and
// returns one.
func defineReport(m *jit.Module) ir.Signature {
	sig := ir.Signature{
		Params:   []ir.Param{{Type: ir.I64}, {Type: ir.I64}},
		Returns:  []ir.Param{{Type: ir.I64}},
		CallConv: m.Target().DefaultCallConv(),
	}
	_, err := m.DefineHost(ir.TestName("report"), sig, func(ctx context.Context, slots []byte) error {
		x := binary.NativeEndian.Uint64(slots)
		y := binary.NativeEndian.Uint64(slots[jit.SlotSize:])
		fmt.Println("quotient", x, "remainder", y)
		if y > 5 {
			return errors.New("that is too much")
		}
		binary.NativeEndian.PutUint64(slots, x+y) // the result
		return nil
	})
	check(err)
	return sig
}

// buildMain makes func main(x, y) { return report(x/y, x%y) }.
func buildMain(report ir.Signature) *ir.Function {
	i64 := ir.Param{Type: ir.I64}
	f := ir.NewFunction(ir.TestName("main"), ir.Signature{Params: []ir.Param{i64, i64}, Returns: []ir.Param{i64}})
	callee := f.AddExtFunc(ir.ExtFunc{Name: ir.TestName("report"), Sig: f.AddSig(report)})
	var b frontend.Builder
	b.Begin(f)
	entry := b.CreateBlock()
	b.SwitchTo(entry)
	b.AppendFunctionParams(entry)
	b.Seal(entry)
	x, y := f.Params(entry)[0], f.Params(entry)[1]
	b.SetSourceLoc(42) // a place in your source, as you count
	call := b.Call(callee, b.Udiv(x, y), b.Urem(x, y))
	b.Return(f.Result(call))
	check(b.Finish())
	return f
}

func main() {
	m, err := jit.NewHost(jit.Config{})
	check(err)
	defer m.Close()
	id, err := m.Define(buildMain(defineReport(m)))
	check(err)
	check(m.Finalize())
	f, err := jit.Func2[uint64, uint64, uint64](m, id)
	check(err)

	ctx := context.Background()
	fmt.Println(f(ctx, 17, 5))
	fmt.Println(f(ctx, 17, 9))
	_, err = f(ctx, 1, 0)
	var trap *jit.Trap
	if errors.As(err, &trap) {
		fmt.Println(trap.Code, "at", trap.Loc)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
