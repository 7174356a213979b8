package jit

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
	"github.com/davit-wasm/davit/internal/native"
)

// Value is a Go type that compiled functions can take: an integer or a float of
// the size of the parameter's type, or a pointer for an i64. Results can be
// structs of these, for several results, and struct{} for none.
type Value interface {
	~int8 | ~int16 | ~int32 | ~int64 | ~int | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uint | ~uintptr | ~float32 | ~float64 | ~unsafe.Pointer
}

// ErrType is wrapped by the error of [Func0] to [Func6] and [Host0] to [Host6]
// for Go types that do not fit the function's signature.
var ErrType = fmt.Errorf("%w with these types", ErrNotCallable)

// fits tells whether Go's type t is like an IR type.
func fits(t reflect.Type, want ir.Type) bool {
	switch t.Kind() {
	case reflect.Int8, reflect.Uint8:
		return want == ir.I8
	case reflect.Int16, reflect.Uint16:
		return want == ir.I16
	case reflect.Int32, reflect.Uint32:
		return want == ir.I32
	case reflect.Int64, reflect.Uint64, reflect.Int, reflect.Uint, reflect.Uintptr, reflect.UnsafePointer:
		return want == ir.I64 && t.Size() == 8
	case reflect.Float32:
		return want == ir.F32
	case reflect.Float64:
		return want == ir.F64
	}
	return false
}

// result is where a result's parts lie in Go.
type result struct{ offset, size uintptr }

// typed checks Go types against a compiled function's signature.
func (m *Module) typed(id module.ID, ret reflect.Type, params ...reflect.Type) ([]result, error) {
	if int(id) >= m.table.Len() || m.table.At(id).Kind != module.Func {
		return nil, fmt.Errorf("function %d: %w", id, ErrNotCallable)
	}
	d := m.table.At(id)
	if !callable(&d.Sig) || d.Sig.CallConv == ir.Go {
		return nil, fmt.Errorf("%v: %w", d.Name, ErrNotCallable)
	}
	return match(d.Name, &d.Sig, ret, params)
}

// match checks Go types against a signature, and tells where the results lie.
func match(name ir.Name, s *ir.Signature, ret reflect.Type, params []reflect.Type) ([]result, error) {
	if len(params) != len(s.Params) {
		return nil, fmt.Errorf("%v has %d parameters, not %d: %w", name, len(s.Params), len(params), ErrType)
	}
	for i, t := range params {
		if !fits(t, s.Params[i].Type) {
			return nil, fmt.Errorf("%v: parameter %d is %v, not %v: %w", name, i, s.Params[i].Type, t, ErrType)
		}
	}
	fields := resultFields(ret)
	if len(fields) != len(s.Returns) {
		return nil, fmt.Errorf("%v has %d results, not %d: %w", name, len(s.Returns), len(fields), ErrType)
	}
	var parts []result
	for i, f := range fields {
		// Go must not learn of pointers from compiled code: they could be into
		// its heap and kept alive by nothing. Nor would anything keep alive what
		// a host function's pointer points to.
		if !fits(f.Type, s.Returns[i].Type) || f.Type.Kind() == reflect.UnsafePointer {
			return nil, fmt.Errorf("%v: result %d is %v, not %v: %w", name, i, s.Returns[i].Type, f.Type, ErrType)
		}
		parts = append(parts, result{f.Offset, f.Type.Size()})
	}
	return parts, nil
}

// resultFields lists the results that a Go type stands for.
func resultFields(ret reflect.Type) []reflect.StructField {
	if ret.Kind() != reflect.Struct {
		return []reflect.StructField{{Type: ret}}
	}
	fields := make([]reflect.StructField, ret.NumField())
	for i := range fields {
		fields[i] = ret.Field(i)
	}
	return fields
}

// invocation is a call in the making.
type invocation struct {
	m   *Module
	era *era
	f   *callee
	a   *activation
	at  uintptr
}

// begin finds the function and a stack with room for the arguments.
func (m *Module) begin(ctx context.Context, id module.ID, c *invocation) error {
	c.m, c.era = m, m.eras.enter()
	var err error
	if c.f, err = m.callee(id); err == nil {
		if c.a, err = m.take(ctx); err == nil {
			if c.at, err = c.a.stack.Push(c.f.slots * SlotSize); err == nil {
				return nil
			}
			m.give(c.a)
		}
	}
	m.eras.leave(c.era)
	return err
}

// end gives back what begin took.
func (c *invocation) end() {
	c.a.stack.Pop(c.f.slots * SlotSize)
	c.m.give(c.a)
	c.m.eras.leave(c.era)
}

// put stores argument i, as bytes: a pointer would be stored by way of Go's
// write barrier, which tells the collector of what the slot held before, and
// that is a stale pointer of an earlier call, or junk.
func put[T Value](c *invocation, i uintptr, v T) {
	if never {
		escaped = v
	}
	copy(native.Bytes(c.at+i*SlotSize, int(unsafe.Sizeof(v))), unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)))
}

// What is passed by pointer must be in Go's heap, not on the goroutine's stack,
// which moves when it grows. An assignment that the compiler cannot rule out
// makes it so.
var (
	never   bool
	escaped any
)

// finish makes the call and takes the results.
func finish[R any](c *invocation, parts []result) (r R, err error) {
	defer c.end()
	if err = c.a.run(c.f, c.at); err != nil {
		return r, err
	}
	for i, p := range parts {
		out := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&r), p.offset)), p.size)
		copy(out, native.Bytes(c.at+uintptr(i)*SlotSize, int(p.size)))
	}
	return r, nil
}

func typeOf[T any]() reflect.Type { return reflect.TypeFor[T]() }

// Func0 makes a Go function of a compiled one without parameters. It can be
// called from any goroutine once the compiled function is finalized; its errors
// are those of [Module.Call], and it does not allocate. R is the result's type:
// a type that [Value] allows, other than a pointer, or a struct of such for any number of results.
func Func0[R any](m *Module, id module.ID) (func(context.Context) (R, error), error) {
	parts, err := m.typed(id, typeOf[R]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		return finish[R](&c, parts)
	}, nil
}

// Func1 is [Func0] for a parameter.
func Func1[A0 Value, R any](m *Module, id module.ID) (func(context.Context, A0) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		return r, err
	}, nil
}

// Func2 is [Func0] for two parameters.
func Func2[A0, A1 Value, R any](m *Module, id module.ID) (func(context.Context, A0, A1) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0](), typeOf[A1]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0, a1 A1) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		put(&c, 1, a1)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		runtime.KeepAlive(a1)
		return r, err
	}, nil
}

// Func3 is [Func0] for three parameters.
func Func3[A0, A1, A2 Value, R any](m *Module, id module.ID) (func(context.Context, A0, A1, A2) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0](), typeOf[A1](), typeOf[A2]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0, a1 A1, a2 A2) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		put(&c, 1, a1)
		put(&c, 2, a2)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		runtime.KeepAlive(a1)
		runtime.KeepAlive(a2)
		return r, err
	}, nil
}

// Func4 is [Func0] for four parameters.
func Func4[A0, A1, A2, A3 Value, R any](m *Module, id module.ID) (func(context.Context, A0, A1, A2, A3) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0, a1 A1, a2 A2, a3 A3) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		put(&c, 1, a1)
		put(&c, 2, a2)
		put(&c, 3, a3)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		runtime.KeepAlive(a1)
		runtime.KeepAlive(a2)
		runtime.KeepAlive(a3)
		return r, err
	}, nil
}

// Func5 is [Func0] for five parameters.
func Func5[A0, A1, A2, A3, A4 Value, R any](m *Module, id module.ID) (func(context.Context, A0, A1, A2, A3, A4) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3](), typeOf[A4]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0, a1 A1, a2 A2, a3 A3, a4 A4) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		put(&c, 1, a1)
		put(&c, 2, a2)
		put(&c, 3, a3)
		put(&c, 4, a4)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		runtime.KeepAlive(a1)
		runtime.KeepAlive(a2)
		runtime.KeepAlive(a3)
		runtime.KeepAlive(a4)
		return r, err
	}, nil
}

// Func6 is [Func0] for six parameters.
func Func6[A0, A1, A2, A3, A4, A5 Value, R any](m *Module, id module.ID) (func(context.Context, A0, A1, A2, A3, A4, A5) (R, error), error) {
	parts, err := m.typed(id, typeOf[R](), typeOf[A0](), typeOf[A1](), typeOf[A2](), typeOf[A3](), typeOf[A4](), typeOf[A5]())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, a0 A0, a1 A1, a2 A2, a3 A3, a4 A4, a5 A5) (r R, err error) {
		var c invocation
		if err := m.begin(ctx, id, &c); err != nil {
			return r, err
		}
		put(&c, 0, a0)
		put(&c, 1, a1)
		put(&c, 2, a2)
		put(&c, 3, a3)
		put(&c, 4, a4)
		put(&c, 5, a5)
		r, err = finish[R](&c, parts)
		runtime.KeepAlive(a0)
		runtime.KeepAlive(a1)
		runtime.KeepAlive(a2)
		runtime.KeepAlive(a3)
		runtime.KeepAlive(a4)
		runtime.KeepAlive(a5)
		return r, err
	}, nil
}
