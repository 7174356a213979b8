package davit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Func is a function, of an instance or of the host. It lives as long as its
// store, and may be used by whichever goroutine: calls into a store take turns.
type Func struct {
	store *Store
	vm    vm.Func
	typ   *FuncType
	slots int // size of the buffer for arguments and results

	// Of functions with integers only, few of them:
	ints      intsFunc
	intResult uint64 // which bits of the result count; 0: there is none
}

// intsFunc is a direct way (vm.Direct) into functions that take up to four integers and give
// one or none. Those that take fewer pay no attention to the others.
type intsFunc func(pass *vm.Pass, a, b, c, d uint64) (status uintptr, result uint64)

func (s *Store) funcOf(f vm.Func) *Func {
	t := f.Type()
	fn := &Func{store: s, vm: f, typ: t, slots: f.BufferWords()}
	if len(t.Params) > 4 || len(t.Results) > 1 {
		return fn
	}
	for _, list := range [][]ValType{t.Params, t.Results} {
		for _, x := range list {
			if x != I32 && x != I64 {
				return fn
			}
		}
	}
	switch {
	case len(t.Results) == 0:
	case t.Results[0] == I32:
		fn.intResult = math.MaxUint32
	default:
		fn.intResult = math.MaxUint64
	}
	fn.ints, _ = vm.Direct[intsFunc](&fn.vm, nil)
	return fn
}

// NewFunc makes a function of the host in s. Reference types in t must be
// abstract. Typed ones are made by [HostFunc2] and its like and [GoFunc.New].
func NewFunc(s *Store, t FuncType, fn HostFunc) (*Func, error) {
	return NewGoFunc(t, fn).New(s)
}

// Store is the store that f belongs to.
func (f *Func) Store() *Store { return f.store }

func (f *Func) in(*Store) (vm.Extern, error) {
	return vm.Extern{Kind: wasm.KindFunc, Func: f.vm}, nil
}

// ExternType is the type of f as an [Extern].
func (f *Func) ExternType() ExternType { return ExternType{Func: f.typ} }

// Type is the type of f. It must not be changed.
func (f *Func) Type() *FuncType { return f.typ }

// errNoFunc is the error of calling the nil that Instance.Func gives for an
// export that does not exist.
var errNoFunc = errors.New("davit: no function to call: it is nil, as if there was no export of its name")

// Call calls f. The error holds a [*Trap] if the code trapped or was
// interrupted because ctx ended, an [*ExitError] if the program exited, or the
// error that a host function returned. A panic of a host function goes on in
// the caller.
func (f *Func) Call(ctx context.Context, args ...Value) ([]Value, error) {
	if f == nil {
		return nil, errNoFunc
	}
	if len(args) != len(f.typ.Params) {
		return nil, fmt.Errorf("davit: a function of type %v is called with %d arguments", f.typ, len(args))
	}
	p := f.room(ctx)
	if p == nil {
		var err error
		if p, err = f.begin(ctx, nil); err != nil {
			return nil, err
		}
	}
	buffer := unsafe.Slice((*uint64)(p), f.slots)
	if err := f.store.lowerAll(f.typ.Params, args, buffer); err != nil {
		f.end(p)
		return nil, err
	}
	if status := f.vm.Enter(p); status != vm.Done {
		if err := f.finish(ctx, p, status); err != nil {
			return nil, err
		}
	}
	results := f.store.liftAll(f.typ.Results, buffer)
	f.end(p)
	return results, nil
}

// CallRaw calls f without allocating. On entry stack holds the arguments, on
// return the results, each in a slot, two for a v128 (low half first): i32 and
// f32 in the low bits, floats as their bits. References cannot be passed this
// way but as what an earlier call has returned; an external reference that is
// held nowhere else is good until the next call in the store only. The stack
// must be as long as the longer of the two lists.
func (f *Func) CallRaw(ctx context.Context, stack []uint64) error {
	if f == nil {
		return errNoFunc
	}
	if len(stack) < f.slots {
		return fmt.Errorf("davit: a function of type %v is called with a stack of %d slots; %d are needed", f.typ, len(stack), f.slots)
	}
	stack = stack[:f.slots]
	status := uintptr(vm.Refused)
	if f.ints != nil && mayEnter(ctx) {
		var result uint64
		if status, result = f.enterInts(stack); status == vm.Done {
			f.store.vm.Turn.Give()
			if f.intResult != 0 {
				stack[0] = result & f.intResult
			}
			return nil
		}
	}
	p, err := f.prepare(ctx, status, stack)
	if err != nil {
		return err
	}
	if status == vm.Refused {
		// Without a slice of the buffer, whose making would be checked for overflow.
		for i, v := range stack {
			*(*uint64)(unsafe.Add(p, 8*i)) = v
		}
		status = f.vm.Enter(p)
	}
	if status != vm.Done {
		if err := f.finish(ctx, p, status); err != nil {
			return err
		}
	}
	for i := range stack {
		stack[i] = *(*uint64)(unsafe.Add(p, 8*i))
	}
	f.end(p)
	return nil
}

// enterInts calls f the direct way with the arguments in stack.
func (f *Func) enterInts(stack []uint64) (status uintptr, result uint64) {
	var a, b, c, d uint64
	switch len(stack) {
	case 4:
		d = stack[3]
		fallthrough
	case 3:
		c = stack[2]
		fallthrough
	case 2:
		b = stack[1]
		fallthrough
	case 1:
		a = stack[0]
	}
	return f.ints(f.vm.Pass(), a, b, c, d)
}

// A call takes the store's turn, begins, and tells where arguments and results
// are; then it is entered; then, unless that brought it to its end, finished; at
// last it is ended. An error or panic of begin or finish has ended it.

// room begins a call that needs nothing else for it, and tells where arguments
// and results are. Others it leaves to begin, and returns nil.
func (f *Func) room(ctx context.Context) unsafe.Pointer {
	if !mayEnter(ctx) {
		return nil
	}
	turn := &f.store.vm.Turn
	if !turn.Claim() {
		return nil
	}
	p := f.vm.Room()
	if p == nil {
		turn.Give()
	}
	return p
}

// mayEnter reports whether a call under ctx need not fail at once.
func mayEnter(ctx context.Context) bool { return isBackground(ctx) || isLive(ctx) }

//go:noinline
func isLive(ctx context.Context) bool { return ctx.Done() == nil || ctx.Err() == nil }

// prepare begins a call that vm.Direct's way has refused, or finds the room of one that
// it has begun. Raw is the arguments if they have been lowered.
func (f *Func) prepare(ctx context.Context, status uintptr, raw []uint64) (unsafe.Pointer, error) {
	if status != vm.Refused {
		return f.vm.Scratch(), nil
	}
	if p := f.room(ctx); p != nil {
		return p, nil
	}
	return f.begin(ctx, raw)
}

// isBackground reports whether ctx is context.Background(), by the word of the
// interface that tells the type: there is one value of it.
func isBackground(ctx context.Context) bool {
	return *(*uintptr)(unsafe.Pointer(&ctx)) == background
}

var background = func() uintptr {
	ctx := context.Background()
	return *(*uintptr)(unsafe.Pointer(&ctx))
}()

// begin begins any call. Raw is the arguments if they have been lowered.
func (f *Func) begin(ctx context.Context, raw []uint64) (unsafe.Pointer, error) {
	if !isLive(ctx) {
		return nil, &Trap{Code: TrapInterrupt, Cause: context.Cause(ctx)}
	}
	if !f.store.vm.Turn.Try() {
		if err := f.store.acquireTaken(ctx); err != nil {
			return nil, err
		}
	}
	p, err := f.vm.Begin(ctx, raw)
	if err != nil {
		f.store.release()
		return nil, apiError(err)
	}
	return p, nil
}

// finish brings a call to its end that has not come to it by itself. Functions
// of the host may run, and panic.
func (f *Func) finish(ctx context.Context, p unsafe.Pointer, status uintptr) error {
	if f.store.hook != nil && !f.vm.IsHost() {
		return f.finishHooked(ctx, p, status)
	}
	done := false
	defer func() {
		if !done {
			f.store.release()
		}
	}()
	if err := f.vm.Finish(ctx, p, status); err != nil {
		return apiError(err)
	}
	done = true
	return nil
}

// finishHooked is finish with transitions, of which the hook is told.
func (f *Func) finishHooked(ctx context.Context, p unsafe.Pointer, status uintptr) (err error) {
	failed, ended := true, false // also if a hook or host function panics
	defer func() {
		if failed {
			if !ended {
				f.vm.End(p)
			}
			f.store.release()
		}
	}()
	hook := f.store.hook
	if err := hook(ctx, EnterGuest); err != nil {
		return err
	}
	defer func() {
		before := failed
		failed = true
		if e := hook(ctx, LeaveGuest); before || e == nil {
			failed = before
		} else {
			err = e
		}
	}()
	ended = true
	if err = f.vm.Finish(ctx, p, status); err != nil {
		return apiError(err)
	}
	failed, ended = false, false
	return nil
}

// end ends a call.
func (f *Func) end(p unsafe.Pointer) {
	if f.vm.Plain(p) {
		f.store.vm.Turn.Give()
		return
	}
	f.vm.End(p)
	f.store.release()
}

// lower is v as compiled code has it, if it may be used as a t.
func (s *Store) lower(t ValType, v Value) (vm.Value, error) {
	if !t.IsRef() {
		if v.typ != t {
			return vm.Value{}, fmt.Errorf("davit: a value of type %v is wanted, one of type %v given", t, v.typ)
		}
		return vm.Value{Low: v.low, High: v.high}, nil
	}
	if !v.typ.IsRef() {
		return vm.Value{}, fmt.Errorf("davit: a value of type %v is wanted, one of type %v given", t, v.typ)
	}
	if v.ref == nil {
		if !t.Nullable() {
			return vm.Value{}, fmt.Errorf("davit: a value of type %v is wanted, null given", t)
		}
		return vm.Value{}, nil
	}
	if h := t.Heap(); h == wasm.HeapExtern {
		if _, isFunc := v.ref.(*Func); !isFunc || v.typ == ExternRef {
			ref, err := s.vm.ExternRef(v.ref)
			return vm.Value{Low: ref}, apiError(err)
		}
	} else if f, ok := v.ref.(*Func); ok && (h == wasm.HeapFunc || h.IsIndex()) {
		if err := s.checkOwner(f.store, "function"); err != nil {
			return vm.Value{}, err
		}
		if h.IsIndex() && !s.vm.FuncMatches(f.vm, t) {
			return vm.Value{}, fmt.Errorf("davit: a function of another type is given: %v", f.typ)
		}
		ref, err := f.vm.Ref()
		return vm.Value{Low: ref}, apiError(err)
	}
	return vm.Value{}, fmt.Errorf("davit: a value of type %v is wanted, one of type %v given", t, v.typ)
}

// lift is a value of type t that compiled code has, as a Value.
func (s *Store) lift(t ValType, v vm.Value) Value {
	r := Value{typ: t, low: v.Low, high: v.High}
	if !t.IsRef() {
		return r
	}
	r.low = 0
	if v.Low == 0 {
		return r
	}
	switch h := t.Heap(); h {
	case wasm.HeapExtern, wasm.HeapNoExtern:
		r.ref = s.vm.Extern(v.Low)
	default:
		r.ref = s.funcOf(s.vm.FuncOf(v.Low))
	}
	return r
}

func (s *Store) lowerAll(types []ValType, values []Value, buffer []uint64) error {
	i := 0
	for k, t := range types {
		if t.IsNum() && values[k].typ == t {
			buffer[i] = values[k].low
			i++
			continue
		}
		v, err := s.lower(t, values[k])
		if err != nil {
			return fmt.Errorf("argument %d: %w", k+1, err)
		}
		buffer[i] = v.Low
		i++
		if t == V128 {
			buffer[i] = v.High
			i++
		}
	}
	return nil
}

func (s *Store) liftAll(types []ValType, buffer []uint64) []Value {
	if len(types) == 0 {
		return nil
	}
	values := make([]Value, len(types))
	i := 0
	for k, t := range types {
		v := vm.Value{Low: buffer[i]}
		i++
		switch t {
		case I32, F32:
			values[k].typ, values[k].low = t, v.Low&(1<<32-1)
			continue
		case I64, F64:
			values[k].typ, values[k].low = t, v.Low
			continue
		case V128:
			v.High = buffer[i]
			i++
		}
		values[k] = s.lift(t, v)
	}
	return values
}
