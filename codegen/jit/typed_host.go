package jit

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
)

// irType is the type of a parameter or result that a Go type stands for.
func irType(t reflect.Type) (ir.Type, bool) {
	for _, want := range [...]ir.Type{ir.I8, ir.I16, ir.I32, ir.I64, ir.F32, ir.F64} {
		if fits(t, want) && t.Kind() != reflect.UnsafePointer {
			return want, true
		}
	}
	return 0, false
}

// hostSignature is the signature that a host function's name is declared with,
// or else the one that its Go types stand for.
func (m *Module) hostSignature(name ir.Name, ret reflect.Type, params []reflect.Type) (ir.Signature, []result, error) {
	s := ir.Signature{CallConv: m.Target().DefaultCallConv()}
	for i, t := range params {
		want, ok := irType(t)
		if !ok {
			return s, nil, fmt.Errorf("%v: parameter %d cannot be %v: %w", name, i, t, ErrType)
		}
		s.Params = append(s.Params, ir.Param{Type: want})
	}
	for i, f := range resultFields(ret) {
		want, ok := irType(f.Type)
		if !ok {
			return s, nil, fmt.Errorf("%v: result %d cannot be %v: %w", name, i, f.Type, ErrType)
		}
		s.Returns = append(s.Returns, ir.Param{Type: want})
	}
	if id, ok := m.Lookup(name); ok && m.table.At(id).Kind == module.Func {
		s = m.table.At(id).Sig
	}
	parts, err := match(name, &s, ret, params)
	return s, parts, err
}

// arg reads argument i.
func arg[T Value](slots []byte, i int) (v T) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)), slots[i*SlotSize:])
	return v
}

// giveBack stores the results.
func giveBack[R any](slots []byte, parts []result, r R) {
	for i, p := range parts {
		copy(slots[i*SlotSize:], unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&r), p.offset)), p.size))
	}
}

// Host0 makes a Go function without parameters callable by compiled code under
// a name, as [Module.DefineHost] does, which tells what it may do. R is the
// result's type: a type that [Value] allows, other than a pointer, or a struct
// of such for any number of results. The signature is the one that the name is
// declared with; if it is not declared, it is that of the Go types in the
// target's default calling convention. Calls do not allocate.
func Host0[R any](m *Module, name ir.Name, f func(context.Context) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), nil)
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx)
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host1 is [Host0] for a parameter, which must not be a pointer.
func Host1[A0 Value, R any](m *Module, name ir.Name, f func(context.Context, A0) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host2 is [Host0] for two parameters, which must not be pointers.
func Host2[A0, A1 Value, R any](m *Module, name ir.Name, f func(context.Context, A0, A1) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0](), typeOf[A1]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0), arg[A1](slots, 1))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host3 is [Host0] for three parameters, which must not be pointers.
func Host3[A0, A1, A2 Value, R any](m *Module, name ir.Name, f func(context.Context, A0, A1, A2) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0](), typeOf[A1](), typeOf[A2]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0), arg[A1](slots, 1), arg[A2](slots, 2))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host4 is [Host0] for four parameters, which must not be pointers.
func Host4[A0, A1, A2, A3 Value, R any](m *Module, name ir.Name, f func(context.Context, A0, A1, A2, A3) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0), arg[A1](slots, 1), arg[A2](slots, 2), arg[A3](slots, 3))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host5 is [Host0] for five parameters, which must not be pointers.
func Host5[A0, A1, A2, A3, A4 Value, R any](m *Module, name ir.Name, f func(context.Context, A0, A1, A2, A3, A4) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3](), typeOf[A4]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0), arg[A1](slots, 1), arg[A2](slots, 2), arg[A3](slots, 3), arg[A4](slots, 4))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}

// Host6 is [Host0] for six parameters, which must not be pointers.
func Host6[A0, A1, A2, A3, A4, A5 Value, R any](m *Module, name ir.Name, f func(context.Context, A0, A1, A2, A3, A4, A5) (R, error)) (module.ID, error) {
	s, parts, err := m.hostSignature(name, typeOf[R](), []reflect.Type{typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3](), typeOf[A4](), typeOf[A5]()})
	if err != nil {
		return 0, err
	}
	return m.DefineHost(name, s, func(ctx context.Context, slots []byte) error {
		r, err := f(ctx, arg[A0](slots, 0), arg[A1](slots, 1), arg[A2](slots, 2), arg[A3](slots, 3), arg[A4](slots, 4), arg[A5](slots, 5))
		if err == nil {
			giveBack(slots, parts, r)
		}
		return err
	})
}
