// Command calc compiles arithmetic on x and y, as Go writes it.
package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log"
	"math"
	"strconv"

	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// compiler makes the code of an expression.
type compiler struct {
	b    frontend.Builder
	x, y ir.Value
}

// value is the code of a part of the expression, and then its value.
func (c *compiler) value(e ast.Expr) (ir.Value, error) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return c.value(e.X)
	case *ast.BasicLit:
		f, err := strconv.ParseFloat(e.Value, 64)
		return c.b.F64const(math.Float64bits(f)), err
	case *ast.Ident:
		switch e.Name {
		case "x":
			return c.x, nil
		case "y":
			return c.y, nil
		}
		return ir.NoValue, fmt.Errorf("column %d: what is %s?", e.Pos(), e.Name)
	case *ast.BinaryExpr:
		left, err := c.value(e.X)
		if err != nil {
			return ir.NoValue, err
		}
		right, err := c.value(e.Y)
		if err != nil {
			return ir.NoValue, err
		}
		switch e.Op {
		case token.ADD:
			return c.b.Fadd(left, right), nil
		case token.SUB:
			return c.b.Fsub(left, right), nil
		case token.MUL:
			return c.b.Fmul(left, right), nil
		case token.QUO:
			return c.b.Fdiv(left, right), nil
		}
	}
	return ir.NoValue, fmt.Errorf("column %d: that is not arithmetic", e.Pos())
}

// compile makes a Go function of an expression.
func (c *compiler) compile(m *jit.Module, name, text string) (func(ctx context.Context, x, y float64) (float64, error), error) {
	tree, err := parser.ParseExpr(text)
	if err != nil {
		return nil, err
	}
	f64 := ir.Param{Type: ir.F64}
	f := ir.NewFunction(ir.TestName(name), ir.Signature{Params: []ir.Param{f64, f64}, Returns: []ir.Param{f64}})
	c.b.Begin(f)
	entry := c.b.CreateBlock()
	c.b.SwitchTo(entry)
	c.b.AppendFunctionParams(entry)
	c.b.Seal(entry)
	c.x, c.y = f.Params(entry)[0], f.Params(entry)[1]
	result, err := c.value(tree)
	if err != nil {
		return nil, err
	}
	c.b.Return(result)
	if err := c.b.Finish(); err != nil {
		return nil, err
	}
	id, err := m.Define(f)
	if err != nil {
		return nil, err
	}
	if err := m.Finalize(); err != nil {
		return nil, err
	}
	return jit.Func2[float64, float64, float64](m, id)
}

func main() {
	m, err := jit.NewHost(jit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	var c compiler
	for i, text := range []string{"x*x + y*y", "(x - y) / 2", "x + z"} {
		f, err := c.compile(m, fmt.Sprint("f", i), text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		v, err := f(context.Background(), 3, 4)
		fmt.Println(text, "=", v, err)
	}
}
