package main

import (
	"reflect"
	"strings"
	"unsafe"
)

// Interpret runs the filter on a record by walking the tree: the simplest way,
// the slowest, and what the others are tested against.
func (e *Expr[T]) Interpret(record *T) bool { return evalBool(e.root, unsafe.Pointer(record)) }

// divide is division where x/0 is 0. (In Go, as here, the least integer divided
// by -1 is itself.)
func divide(x, y int64) int64 {
	if y == 0 {
		return 0
	}
	return x / y
}

func remainder(x, y int64) int64 {
	if y == 0 {
		return 0
	}
	return x % y
}

func compare[V int64 | float64 | string](o op, x, y V) bool {
	switch o {
	case opEq:
		return x == y
	case opNe:
		return x != y
	case opLt:
		return x < y
	case opLe:
		return x <= y
	case opGt:
		return x > y
	case opGe:
		return x >= y
	}
	panic("filter: not a comparison")
}

func evalBool(n *node, r unsafe.Pointer) bool {
	switch n.op {
	case opConst:
		return n.i != 0
	case opField:
		return *(*bool)(unsafe.Add(r, n.field.offset))
	case opNot:
		return !evalBool(n.a, r)
	case opAnd:
		return evalBool(n.a, r) && evalBool(n.b, r)
	case opOr:
		return evalBool(n.a, r) || evalBool(n.b, r)
	case opPrefix:
		return strings.HasPrefix(evalString(n.a, r), n.b.s)
	case opSuffix:
		return strings.HasSuffix(evalString(n.a, r), n.b.s)
	}
	switch n.a.typ {
	case tInt:
		return compare(n.op, evalInt(n.a, r), evalInt(n.b, r))
	case tFloat:
		return compare(n.op, evalFloat(n.a, r), evalFloat(n.b, r))
	case tString:
		return compare(n.op, evalString(n.a, r), evalString(n.b, r))
	}
	return (evalBool(n.a, r) == evalBool(n.b, r)) == (n.op == opEq)
}

func evalInt(n *node, r unsafe.Pointer) int64 {
	switch n.op {
	case opConst:
		return n.i
	case opField:
		return loadInt(n.field, r)
	case opNeg:
		return -evalInt(n.a, r)
	}
	x, y := evalInt(n.a, r), evalInt(n.b, r)
	switch n.op {
	case opAdd:
		return x + y
	case opSub:
		return x - y
	case opMul:
		return x * y
	case opDiv:
		return divide(x, y)
	case opRem:
		return remainder(x, y)
	}
	panic("filter: not an operation on integers")
}

func loadInt(f *field, r unsafe.Pointer) int64 {
	p := unsafe.Add(r, f.offset)
	switch f.kind {
	case reflect.Int8:
		return int64(*(*int8)(p))
	case reflect.Int16:
		return int64(*(*int16)(p))
	case reflect.Int32:
		return int64(*(*int32)(p))
	case reflect.Int64:
		return *(*int64)(p)
	case reflect.Int:
		return int64(*(*int)(p))
	case reflect.Uint8:
		return int64(*(*uint8)(p))
	case reflect.Uint16:
		return int64(*(*uint16)(p))
	case reflect.Uint32:
		return int64(*(*uint32)(p))
	}
	panic("filter: not a field of integers")
}

func evalFloat(n *node, r unsafe.Pointer) float64 {
	switch n.op {
	case opConst:
		return n.f
	case opField:
		if n.field.kind == reflect.Float32 {
			return float64(*(*float32)(unsafe.Add(r, n.field.offset)))
		}
		return *(*float64)(unsafe.Add(r, n.field.offset))
	case opToFloat:
		return float64(evalInt(n.a, r))
	case opNeg:
		return -evalFloat(n.a, r)
	}
	x, y := evalFloat(n.a, r), evalFloat(n.b, r)
	switch n.op {
	case opAdd:
		return x + y
	case opSub:
		return x - y
	case opMul:
		return x * y
	case opDiv:
		return x / y
	}
	panic("filter: not an operation on floats")
}

func evalString(n *node, r unsafe.Pointer) string {
	if n.op == opConst {
		return n.s
	}
	return *(*string)(unsafe.Add(r, n.field.offset))
}
