package main

import (
	"fmt"
	"reflect"
	"strings"
)

// An expression is checked while it is parsed: every node knows its type, so
// that the three ways to run one (interpret.go, closure.go, compile.go) need
// not look at types or fail.

// typ is the type of an expression. All integers are 64 bits wide once loaded.
type typ uint8

const (
	tBool typ = iota
	tInt
	tFloat
	tString
)

func (t typ) String() string { return [...]string{"bool", "int", "float", "string"}[t] }

// op is what a node does.
type op uint8

const (
	opConst op = iota
	opField
	opToFloat // of an int
	opNot
	opNeg
	opAnd
	opOr
	opEq
	opNe
	opLt
	opLe
	opGt
	opGe
	opAdd
	opSub
	opMul
	opDiv // of ints, with x/0 = 0: a filter does not fail because of a record
	opRem // likewise, x%0 = 0
	opPrefix
	opSuffix
)

// node is an expression. Of comparisons, the operands have the same type, which
// is a's; of arithmetic, that of the node.
type node struct {
	op    op
	typ   typ
	depth int
	a, b  *node
	i     int64 // opConst of ints, and of bools as 0 or 1
	f     float64
	s     string
	field *field
}

// field is a field of the record.
type field struct {
	name   string
	typ    typ
	kind   reflect.Kind
	offset uintptr
}

// fields lists the fields of a struct type that filters can use, by their
// names in lower case.
func fields(t reflect.Type) (map[string]*field, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("a record is a struct, not a %v", t)
	}
	all := map[string]*field{}
	for i := range t.NumField() {
		sf := t.Field(i)
		f := &field{name: strings.ToLower(sf.Name), kind: sf.Type.Kind(), offset: sf.Offset}
		switch f.kind {
		case reflect.Bool:
			f.typ = tBool
		case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint8, reflect.Uint16, reflect.Uint32:
			f.typ = tInt
		case reflect.Float32, reflect.Float64:
			f.typ = tFloat
		case reflect.String:
			f.typ = tString
		default:
			continue
		}
		if !sf.IsExported() {
			continue
		}
		if all[f.name] != nil {
			return nil, fmt.Errorf("%v has two fields %q", t, f.name)
		}
		all[f.name] = f
	}
	return all, nil
}

// Expr is a checked filter for records of type T.
type Expr[T any] struct{ root *node }

// Parse reads a filter. Its error names the column.
func Parse[T any](src string) (*Expr[T], error) {
	all, err := fields(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	root, err := parse(src, all)
	if err != nil {
		return nil, err
	}
	return &Expr[T]{root}, nil
}
