package davit

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/vm"
)

// StoreConfig configures a store. Zero fields mean the defaults; the largest
// number of a field's type means no limit where that is possible.
type StoreConfig struct {
	// Limits on what the store may hold. What would exceed one fails: with a
	// [*LimitError] in Go, with -1 in guests, which may go on.
	MaxInstances     int    // 10,000
	MaxMemories      int    // 10,000
	MaxMemoryBytes   uint64 // of all memories together; 4 GiB
	MaxTables        int    // 10,000
	MaxTableElements uint64 // of all tables together; 10,000,000
	MaxExternRefs    int    // Go values that guests hold; 1,048,576

	// Growing is asked before a memory or table is made or grows within these
	// limits; false forbids it. It must not use the store.
	Growing func(g Growth) bool

	// Fuel is what guests may consume at first, with [Config].Fuel; see [Store.SetFuel].
	Fuel uint64
	// Refuel is asked for more when no fuel is left: it is added, and the guest goes on,
	// if it is enough. 0 is none, and ends the call with TrapOutOfFuel; an error ends it
	// with that error. It may block, as long as ctx lasts, the context of the call. It
	// must not use the store. It may be nil.
	Refuel func(ctx context.Context) (fuel uint64, err error)

	// MaxNesting is how deeply calls from Go into WebAssembly and back may nest;
	// 1,000. Beyond, calls trap with TrapStackOverflow.
	MaxNesting int
	// StackBytes is the size of the stack for WebAssembly code; 1 MiB. NewStore
	// refuses what is more than is possible, 15 MiB and something.
	StackBytes uint64

	// CallHook is told of calls between Go and WebAssembly.
	CallHook CallHook
}

// Growth is what [StoreConfig].Growing is asked to allow: exactly one of Memory
// and Table is set.
type Growth struct {
	Memory   *MemoryType // of the memory; sizes are in bytes
	Table    *TableType  // of the table; sizes are in elements
	Made     bool        // it is being made; else it exists
	From, To uint64      // its size before and afterwards
}

// Store holds instances and what they consist of, as long as it is open.
// What belongs to different stores cannot be linked.
//
// Goroutines may share a store: calls take turns, see the package's text on
// concurrency. What the store holds may be looked at and changed between calls
// and in host functions, by one goroutine at a time.
//
// Once the store is closed, calls and whatever else can fail do so with
// [ErrClosed]; memories and tables are empty.
type Store struct {
	engine *Engine
	vm     *vm.Store

	// vm.Turn is taken by whoever uses the store; calls by host functions of the
	// running call go without.
	running atomic.Pointer[callContext] // of the running call, once it has called the host
	host    atomic.Uintptr              // the goroutine that runs the host functions of the innermost call
	closed  bool                        // whoever has vm.Turn may look

	outer    []uintptr    // what host was outside of each nested call, outermost first
	contexts *callContext // of the last call that called the host, to be used again
	hook     CallHook
	cleanup  runtime.Cleanup
}

// NewStore makes a store; nil means the zero StoreConfig. Close it to give back
// its memory; the garbage collector does that too, at some time after the store
// has become unreachable.
func NewStore(e *Engine, c *StoreConfig) (*Store, error) {
	if c == nil {
		c = &StoreConfig{}
	}
	if min(c.MaxInstances, c.MaxMemories, c.MaxTables, c.MaxExternRefs, c.MaxNesting) < 0 {
		return nil, fmt.Errorf("davit: a limit of a store is negative: %+v", *c)
	}
	if (c.Fuel > 0 || c.Refuel != nil) && !e.config.Fuel {
		return nil, errNoFuel
	}
	limits := vm.Limits{
		Fuel: c.Fuel, Refuel: c.Refuel,
		Instances: c.MaxInstances, Memories: c.MaxMemories, MemoryBytes: c.MaxMemoryBytes, Tables: c.MaxTables,
		TableElements: c.MaxTableElements, ExternRefs: c.MaxExternRefs, Nesting: c.MaxNesting, StackBytes: c.StackBytes,
	}
	if ask := c.Growing; ask != nil {
		limits.MemoryGrowing = func(t MemoryType, made bool, from, to uint64) bool {
			return ask(Growth{Memory: &t, Made: made, From: from, To: to})
		}
		limits.TableGrowing = func(t TableType, made bool, from, to uint64) bool {
			return ask(Growth{Table: &t, Made: made, From: from, To: to})
		}
	}
	v, err := e.vm.NewStore(limits)
	if err != nil {
		return nil, apiError(err)
	}
	v.WrapPanic, v.Observed = hostPanic, c.CallHook != nil
	s := &Store{engine: e, vm: v, hook: c.CallHook}
	v.Owner, v.Embedder = s, embedder{s}
	s.cleanup = runtime.AddCleanup(s, (*vm.Held).Free, v.Held)
	return s, nil
}

// Engine is the engine of s.
func (s *Store) Engine() *Engine { return s.engine }

// Close frees everything in the store at once. It fails with [ErrBusy] while a
// call runs in it. Closing it again does nothing.
func (s *Store) Close() error {
	if !s.vm.Turn.Try() {
		return ErrBusy
	}
	defer s.vm.Turn.Give()
	if s.closed {
		return nil
	}
	if err := s.vm.Close(); err != nil {
		return apiError(err)
	}
	s.closed = true
	s.cleanup.Stop()
	s.contexts = nil
	return nil
}

// callContext is the context that host functions get: by it, a call that a host
// function makes is known to belong to the running call, whichever goroutine
// makes it.
type callContext struct {
	context.Context
	store *Store
	outer *callContext // of a nested call with a context of its own: that of the outermost
}

type storeKey struct{}

// Value adds the store to what the context holds.
func (c *callContext) Value(key any) any {
	if key == (storeKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// nested reports whether ctx is one that the running call gave to a host
// function.
func (s *Store) nested(ctx context.Context) bool {
	if c, ok := ctx.(*callContext); ok && c.store == s {
		running := s.running.Load()
		return c == running || c.outer != nil && c.outer == running
	}
	if isBackground(ctx) {
		return false // the usual case needs no search
	}
	c, _ := ctx.Value(storeKey{}).(*callContext)
	for c != nil && c.store != s {
		c, _ = c.Context.Value(storeKey{}).(*callContext)
	}
	running := s.running.Load()
	return c != nil && (c == running || c.outer != nil && c.outer == running)
}

var backgroundType = reflect.TypeOf(context.Background())

// hostContext is the context for host functions of a call with context ctx.
func (s *Store) hostContext(ctx context.Context) context.Context {
	if running := s.running.Load(); running != nil {
		if s.nested(ctx) {
			return ctx
		}
		return &callContext{ctx, s, running}
	}
	if c := s.contexts; c != nil && sameContext(c.Context, ctx) {
		s.running.Store(c)
		return c
	}
	c := &callContext{ctx, s, nil}
	s.contexts = c
	s.running.Store(c)
	return c
}

// sameContext reports whether a and b are the same pointer. Contexts of other
// kinds might not be comparable.
func sameContext(a, b context.Context) bool {
	t := reflect.TypeOf(a)
	return t == reflect.TypeOf(b) && (t.Kind() == reflect.Pointer || t == backgroundType) && a == b
}

// acquire waits for the turn to use the store, as long as ctx lasts.
func (s *Store) acquire(ctx context.Context) error {
	if s.vm.Turn.Try() {
		if s.closed {
			s.vm.Turn.Give()
			return ErrClosed
		}
		return nil
	}
	return s.acquireTaken(ctx)
}

func (s *Store) acquireTaken(ctx context.Context) error {
	// A call by the goroutine that runs the host function is nested whatever its
	// context; it would wait for itself.
	if g := s.host.Load(); g != 0 && g == vm.Goroutine() || s.nested(ctx) {
		if !s.vm.Nest() {
			return ErrBusy // another nested call runs, or the guest
		}
		g = s.host.Load()
		if g == 0 || g != vm.Goroutine() && !s.nested(ctx) {
			s.vm.Unnest()
			return ErrBusy // the call has ended meanwhile
		}
		s.outer = append(s.outer, g)
		return nil
	}
	if s.vm.Turn.Mine() {
		return ErrBusy // a hook, which the call that asks it would wait for
	}
	if !s.vm.Turn.Wait(ctx) {
		return fmt.Errorf("davit: waiting for another call in the store: %w", context.Cause(ctx))
	}
	if s.closed {
		s.vm.Turn.Give()
		return ErrClosed
	}
	return nil
}

// release ends what acquire began.
func (s *Store) release() {
	if n := len(s.outer); n > 0 {
		s.host.Store(s.outer[n-1])
		s.outer = s.outer[:n-1]
		s.vm.Unnest()
		return
	}
	s.vm.Turn.Give()
}

// open refuses a closed store.
func (s *Store) open() error {
	if s.closed {
		return ErrClosed
	}
	return nil
}

// checkOwner refuses what belongs to another store.
func (s *Store) checkOwner(other *Store, what string) error {
	if s != other {
		return fmt.Errorf("%w: the %s", ErrOtherStore, what)
	}
	return nil
}
