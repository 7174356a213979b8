package vm

import (
	"fmt"

	"github.com/davit-wasm/davit/wasm"
)

// constConfig lets every feature through: the module has been validated.
var constConfig = &wasm.Config{Features: wasm.FeaturesAll}

// eval is the value of a constant expression of a valid module. Globals before
// the one being initialized exist already.
func (in *Instance) eval(x wasm.ConstExpr) (Value, error) {
	var r wasm.InstrReader
	var op wasm.Instr
	var room [4]Value // more than nearly all need
	stack := room[:0]
	push := func(v uint64) { stack = append(stack, Value{Low: v}) }
	r.Reset(x.Code, x.Offset, constConfig)
	for {
		more, err := r.Next(&op)
		if err != nil {
			return Value{}, err
		}
		if !more {
			break
		}
		switch op.Op {
		case wasm.OpEnd:
		case wasm.OpI32Const:
			push(uint64(uint32(op.Imm)))
		case wasm.OpI64Const, wasm.OpF32Const, wasm.OpF64Const:
			push(op.Imm)
		case wasm.OpV128Const:
			stack = append(stack, Value{op.Imm, op.Imm2})
		case wasm.OpRefNull:
			push(0)
		case wasm.OpRefFunc:
			push(address(in.ref(op.Index)))
		case wasm.OpGlobalGet:
			stack = append(stack, in.globals[op.Index].Get())
		case wasm.OpI32Add, wasm.OpI32Sub, wasm.OpI32Mul, wasm.OpI64Add, wasm.OpI64Sub, wasm.OpI64Mul:
			n := len(stack)
			v := arithmetic(op.Op, stack[n-2].Low, stack[n-1].Low)
			stack = stack[:n-2]
			push(v)
		default:
			return Value{}, fmt.Errorf("constant expression at offset %#x: instruction %v is not supported", op.Offset, op.Op)
		}
	}
	if len(stack) != 1 {
		return Value{}, fmt.Errorf("constant expression at offset %#x leaves %d values", x.Offset, len(stack))
	}
	return stack[0], nil
}

func arithmetic(op wasm.Opcode, a, b uint64) uint64 {
	switch op {
	case wasm.OpI32Add:
		return uint64(uint32(a + b))
	case wasm.OpI32Sub:
		return uint64(uint32(a - b))
	case wasm.OpI32Mul:
		return uint64(uint32(a) * uint32(b))
	case wasm.OpI64Add:
		return a + b
	case wasm.OpI64Sub:
		return a - b
	}
	return a * b
}

// evalAddress is the value of an expression that is an index into a memory or
// table.
func (in *Instance) evalAddress(x wasm.ConstExpr, is64 bool) (uint64, error) {
	v, err := in.eval(x)
	if !is64 {
		v.Low &= 1<<32 - 1
	}
	return v.Low, err
}
