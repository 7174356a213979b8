package davit

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

//go:generate go run ./internal/typedgen

// GoType is what typed functions take and give: the Go types that stand for the
// value types of WebAssembly, and types made of them.
//
//   - int32, uint32: i32
//   - int64, uint64: i64
//   - float32, float64: f32, f64
//   - [16]byte: v128, byte 0 being the lowest
//   - *Func: funcref, or a reference to functions of one type; nil is null
//   - External: externref
//
// Typed guest functions are plain Go functions that [Func0] to [Func16] (one
// result), [Proc0] to [Proc16] (none) and [Func0x2] to [Func16x2] (two) make of
// a *[Func]:
//
//	add, err := davit.Func2[int32, int32, int32](instance.Func("add"))
//	sum, err := add(ctx, 40, 2)
//
// Typed host functions are made of Go functions by [HostFunc0] to [HostFunc16],
// [HostProc0] to [HostProc16] and [HostFunc0x2] to [HostFunc16x2]; their type is
// inferred:
//
//	err := linker.Define("env", "add", davit.HostFunc2(
//		func(ctx context.Context, c *davit.Caller, a, b int32) (int32, error) { return a + b, nil }))
//
// A call either way allocates nothing, save what references may need. For more
// results, and for types that are known at run time only, there are [Func.Call],
// [Func.CallRaw] and [HostFunc].
type GoType interface {
	~int32 | ~uint32 | ~int64 | ~uint64 | ~float32 | ~float64 | ~[16]byte | *Func | External
}

// External is an external reference in typed functions: a Go value that guests
// can keep and hand back, nothing else. The zero External is null.
type External struct{ Value any }

// GoFunc is a Go function with its WebAssembly type. It belongs to no store:
// give it to [Linker.Define], for modules to import, or to [GoFunc.New].
type GoFunc struct {
	typ FuncType
	fn  vm.HostFunc
	err error // of what NewGoFunc was given
}

// NewGoFunc makes a GoFunc of a function whose type is known at run time only.
// Reference types in t must be abstract, which is checked when the GoFunc is
// used.
func NewGoFunc(t FuncType, fn HostFunc) *GoFunc {
	err := checkHostType(&t)
	if fn == nil {
		err = errors.New("davit: a host function without a Go function: it is nil")
	}
	// The types differ only in that a Caller is a vm.Caller with other methods. A function
	// between the two would cost each call as much as the rest of its way out of Go's code.
	return &GoFunc{t, *(*vm.HostFunc)(unsafe.Pointer(&fn)), err}
}

// Type is the type of g. It must not be changed.
func (g *GoFunc) Type() *FuncType { return &g.typ }

// New makes a function in s that calls g.
func (g *GoFunc) New(s *Store) (*Func, error) {
	if g.err != nil {
		return nil, g.err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	f, err := s.newHostFunc(g)
	if err != nil {
		return nil, err
	}
	return s.funcOf(f), nil
}

// typedFunc is what a typed guest function knows.
type typedFunc struct {
	*Func
	refs bool // some parameter or result is a reference
}

// newTypedFunc checks that f takes and gives what stands for the given types.
func newTypedFunc(f *Func, params, results []ValType) (*typedFunc, error) {
	if f == nil {
		return nil, fmt.Errorf("davit: no function to call as %v: it is nil, as if there was no export of its name", &FuncType{Params: params, Results: results})
	}
	t := &typedFunc{Func: f}
	for _, x := range [...]struct {
		what      string
		have, ask []ValType
	}{{"parameter", f.typ.Params, params}, {"result", f.typ.Results, results}} {
		if len(x.have) != len(x.ask) {
			return nil, fmt.Errorf("davit: a function of type %v cannot be used as %v: it has %d %ss, not %d",
				f.typ, &FuncType{Params: params, Results: results}, len(x.have), x.what, len(x.ask))
		}
		for i, have := range x.have {
			if !standsFor(x.ask[i], have) {
				return nil, fmt.Errorf("davit: a function of type %v cannot be used as %v: %s %d is of type %v, not %v",
					f.typ, &FuncType{Params: params, Results: results}, x.what, i+1, have, x.ask[i])
			}
			t.refs = t.refs || have.IsRef()
		}
	}
	return t, nil
}

// standsFor reports whether a Go type of which goType is the value type may
// stand for t.
func standsFor(goType, t ValType) bool {
	switch {
	case !t.IsRef():
		return goType == t
	case goType == ExternRef:
		return t.Heap() == wasm.HeapExtern || t.Heap() == wasm.HeapNoExtern
	}
	h := t.Heap()
	return goType == FuncRef && (h == wasm.HeapFunc || h == wasm.HeapNoFunc || h.IsIndex())
}

// lower puts arguments at p, which are given by the addresses of Go values. If it
// fails, the call has ended.
func (t *typedFunc) lower(p unsafe.Pointer, args ...unsafe.Pointer) error {
	err := t.store.lowerGo(t.typ.Params, p, args)
	if err != nil {
		t.end(p)
	}
	return err
}

// lift puts the results at p into Go values.
func (t *typedFunc) lift(p unsafe.Pointer, results ...unsafe.Pointer) {
	t.store.liftGo(t.typ.Results, p, results)
}

// newTypedHost is a host function that calls a Go function: plain if none of the
// types is a reference, else refs.
func newTypedHost(params, results []ValType, plain, refs vm.HostFunc) *GoFunc {
	fn := plain
	for _, t := range params {
		if t.IsRef() {
			fn = refs
		}
	}
	for _, t := range results {
		if t.IsRef() {
			fn = refs
		}
	}
	return &GoFunc{typ: FuncType{Params: params, Results: results}, fn: fn}
}

// valType is the value type that T stands for.
func valType[T GoType]() ValType {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Int32, reflect.Uint32:
		return I32
	case reflect.Int64, reflect.Uint64:
		return I64
	case reflect.Float32:
		return F32
	case reflect.Float64:
		return F64
	case reflect.Array:
		return V128
	case reflect.Pointer:
		return FuncRef
	}
	return ExternRef
}

// bigEndian: a 4-byte value lies in the upper half of its slot.
const bigEndian = runtime.GOARCH == "s390x" || runtime.GOARCH == "ppc64" || runtime.GOARCH == "mips" || runtime.GOARCH == "mips64"

// put puts a number or vector into the slots at p and returns what is behind
// them. It must not be called for references, whose representation in Go means
// nothing to compiled code.
func put[T GoType](p unsafe.Pointer, v T) unsafe.Pointer {
	*(*T)(slot(p, unsafe.Sizeof(v))) = v
	return unsafe.Add(p, (unsafe.Sizeof(v)+7)&^7)
}

// get is put the other way.
func get[T GoType](p unsafe.Pointer, v *T) unsafe.Pointer {
	*v = *(*T)(slot(p, unsafe.Sizeof(*v)))
	return unsafe.Add(p, (unsafe.Sizeof(*v)+7)&^7)
}

// slot is where in the slot at p a value of the given size lies.
func slot(p unsafe.Pointer, size uintptr) unsafe.Pointer {
	if size == 4 && bigEndian {
		return unsafe.Add(p, 4)
	}
	return p
}

// next is what is behind a value of type t at p.
func next(t ValType, p unsafe.Pointer) unsafe.Pointer {
	if t == V128 {
		return unsafe.Add(p, 16)
	}
	return unsafe.Add(p, 8)
}

// copyNumber copies a value that is no reference.
func copyNumber(t ValType, to, from unsafe.Pointer) {
	switch t {
	case I32, F32:
		*(*uint32)(to) = *(*uint32)(from)
	case V128:
		*(*[2]uint64)(to) = *(*[2]uint64)(from)
	default:
		*(*uint64)(to) = *(*uint64)(from)
	}
}

// lowerGo puts Go values, given by their addresses, into the slots at p.
func (s *Store) lowerGo(types []ValType, p unsafe.Pointer, values []unsafe.Pointer) error {
	for i, t := range types {
		if !t.IsRef() {
			copyNumber(t, slot(p, sizeOf(t)), values[i])
		} else {
			v := Value{typ: ExternRef}
			if h := t.Heap(); h == wasm.HeapExtern || h == wasm.HeapNoExtern {
				v.ref = (*External)(values[i]).Value
			} else if v.typ = FuncRef; *(**Func)(values[i]) != nil {
				v.ref = *(**Func)(values[i])
			}
			raw, err := s.lower(t, v)
			if err != nil {
				return fmt.Errorf("value %d: %w", i+1, err)
			}
			*(*uint64)(p) = raw.Low
		}
		p = next(t, p)
	}
	return nil
}

// liftGo makes Go values, given by their addresses, of the slots at p.
func (s *Store) liftGo(types []ValType, p unsafe.Pointer, values []unsafe.Pointer) {
	for i, t := range types {
		if !t.IsRef() {
			copyNumber(t, values[i], slot(p, sizeOf(t)))
		} else {
			v := s.lift(t, vm.Value{Low: *(*uint64)(p)})
			if h := t.Heap(); h == wasm.HeapExtern || h == wasm.HeapNoExtern {
				*(*External)(values[i]) = External{v.ref}
			} else {
				*(**Func)(values[i]) = v.Func()
			}
		}
		p = next(t, p)
	}
}

func sizeOf(t ValType) uintptr {
	if t == I32 || t == F32 {
		return 4
	}
	return 8
}
