package vm

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Limits bound what a store may hold. Zero means the default.
type Limits struct {
	Instances     int
	Memories      int
	MemoryBytes   uint64 // of all memories together
	Tables        int
	TableElements uint64 // of all tables together
	ExternRefs    int
	Nesting       int    // calls of wasm by Go by wasm …
	StackBytes    uint64 // native stack; at most [native.MaxStackSize]

	// MemoryGrowing and TableGrowing are asked before a memory or table is made or
	// grows within the other limits, unless they are nil. Sizes are in bytes and
	// elements.
	MemoryGrowing func(t wasm.MemoryType, made bool, from, to uint64) bool
	TableGrowing  func(t wasm.TableType, made bool, from, to uint64) bool

	// Fuel is what there is at first for code that counts it. Refuel is asked for more
	// when nothing is left, unless it is nil; 0 is none.
	Fuel   uint64
	Refuel func(ctx context.Context) (fuel uint64, err error)
}

// Default limits.
const (
	DefaultInstances     = 10_000
	DefaultMemories      = 10_000
	DefaultMemoryBytes   = 4 << 30
	DefaultTables        = 10_000
	DefaultTableElements = 10_000_000
	DefaultExternRefs    = 1 << 20
	DefaultNesting       = 1_000
)

func (l *Limits) setDefaults() {
	l.Instances = cmp.Or(l.Instances, DefaultInstances)
	l.Memories = cmp.Or(l.Memories, DefaultMemories)
	l.MemoryBytes = cmp.Or(l.MemoryBytes, DefaultMemoryBytes)
	l.Tables = cmp.Or(l.Tables, DefaultTables)
	l.TableElements = cmp.Or(l.TableElements, DefaultTableElements)
	l.ExternRefs = cmp.Or(l.ExternRefs, DefaultExternRefs)
	l.Nesting = cmp.Or(l.Nesting, DefaultNesting)
	l.TableElements = min(l.TableElements, 1<<40) // so that their size is a number
	l.StackBytes = cmp.Or(l.StackBytes, native.DefaultStackSize)
}

// LimitError says which limit of a store was met.
type LimitError struct {
	What  string
	Limit uint64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("limit of the store: %s: at most %d", e.What, e.Limit)
}

// Held is what a store holds outside the Go heap, or keeps others from giving
// back. It refers to nothing that the store's user gave, so that it can be
// freed when a store is found to be unreachable: host functions mostly refer to
// the store that they are in. (An embedder's [Storage] may, then it is for the
// embedder to close the store.)
type Held struct {
	arena   arena
	regions []*region
	stack   *native.Stack    // got at the first call, kept
	module  *Module          // the first one that is used
	modules map[*Module]bool // the others
	freed   bool
}

// Free gives everything back, once.
func (h *Held) Free() {
	if h.freed {
		return
	}
	for _, r := range h.regions {
		r.free()
	}
	if h.stack != nil {
		h.stack.Release()
	}
	h.arena.free()
	if h.module != nil {
		h.module.release()
	}
	for m := range h.modules {
		m.release()
	}
	*h = Held{freed: true}
}

// Store owns instances and everything they consist of.
type Store struct {
	*Held
	serial uint64 // tells stores apart, also those that are gone
	engine *Engine
	limits Limits
	ctx    unsafe.Pointer // store context

	instances []*Instance
	hosts     []*host
	// unreachable are the host functions whose records have no code yet.
	unreachable []*host
	externs     externs
	tables      int
	elements    uint64 // of all tables
	memBytes    uint64 // of all memories

	exec        unsafe.Pointer // the stack's execution context; nil without a stack
	scratch     unsafe.Pointer
	resume      func(exec unsafe.Pointer) (status uintptr)
	activations []*activation // of calls under way, and behind them those of earlier ones
	depth       int           // calls under way
	closed      bool

	// Owner is the embedder's store, and Embedder is told of host functions, unless
	// it is nil.
	Owner    any
	Embedder Embedder

	// Turn is taken by the embedder around all uses of the store, other than nested ones.
	Turn  Turn
	inner Turn // see [Store.Nest]
	// ended, if somebody waits for it, is closed when the innermost call ends. It belongs to
	// whoever has the inner turn.
	ended chan struct{}

	// WrapPanic makes of a panic of a host function what goes on in the Go function
	// that called the guest, unless it is nil.
	WrapPanic func(value any, frames func() []Frame) any

	// Observed makes every call that could end in [Store.Enter] go on in
	// [Store.Finish], where others can be told of it.
	Observed bool

	fuelGiven uint64 // what there was at first, and what has been added

	epochs bool // code in the store checks for interruption itself
	// Checks in an epoch, and when the present one began; zero if that is not known.
	epochChecks uint64
	epochStart  time.Time
}

// stores is how many there have been.
var stores atomic.Uint64

// NewStore makes an empty store.
func (e *Engine) NewStore(l Limits) (*Store, error) {
	l.setDefaults()
	if l.StackBytes > native.MaxStackSize {
		return nil, fmt.Errorf("stack of %d bytes; at most %d are possible", l.StackBytes, native.MaxStackSize)
	}
	s := &Store{Held: &Held{}, serial: stores.Add(1), engine: e, limits: l}
	var err error
	if s.ctx, err = s.arena.alloc(layout.StoreSize); err != nil {
		return nil, err
	}
	*word(s.ctx, layout.StoreEpoch) = math.MaxInt64
	if err := s.SetFuel(l.Fuel); err != nil {
		return nil, err
	}
	s.Turn.Init()
	s.inner.Init()
	s.externs.limit = l.ExternRefs
	s.externs.sweepAt = min(minSweep, l.ExternRefs)
	return s, nil
}

var errStoreClosed = fmt.Errorf("store: %w", ErrClosed)

// Engine is the engine of s.
func (s *Store) Engine() *Engine { return s.engine }

// Close frees everything in the store. It fails with [ErrBusy] while a call is
// under way.
func (s *Store) Close() error {
	if s.closed {
		return nil
	}
	if s.depth > 0 {
		return ErrBusy
	}
	s.closeFuel()
	s.closed = true
	s.Free()
	s.instances, s.hosts, s.unreachable, s.externs, s.exec, s.scratch = nil, nil, nil, externs{}, nil, nil
	s.setReady()
	return nil
}

// use keeps m's code in memory while the store lives. It consumes a reference.
func (s *Store) use(m *Module) {
	switch {
	case s.module == nil:
		s.module = m
	case s.module == m || s.modules[m]:
		m.release()
	default:
		if s.modules == nil {
			s.modules = make(map[*Module]bool)
		}
		s.modules[m] = true
	}
}

// Func is a function: of an instance, or of the host. It is a small value;
// equal ones are the same function.
type Func struct {
	store  *Store
	record unsafe.Pointer // nil: of the host
	host   *host          // nil: of an instance
	typ    uint32
	words  int           // size of the buffer for a call
	simple bool          // of an instance, and the buffer of its store is large enough
	entry  *native.Entry // of a function of an instance, as are the next
	direct uintptr       // a direct entry trampoline, or 0
	pass   Pass          // for that; who enters otherwise takes code and context of it
}

// FuncMatches reports whether f may be used as a value of type t, a reference
// type whose type index, if it has one, is an identity.
func (s *Store) FuncMatches(f Func, t wasm.ValType) bool {
	return s.engine.isSub(wasm.Ref(false, wasm.HeapIndex(f.typ)), t)
}

// IsHost reports whether f is a function of the host.
func (f *Func) IsHost() bool { return f.host != nil }

// IsZero reports whether f is no function.
func (f Func) IsZero() bool { return f.store == nil }

// Store is the store that f belongs to.
func (f Func) Store() *Store { return f.store }

// Type is the type of f; type indexes in it are identities of the engine. It
// must not be changed.
func (f Func) Type() *wasm.FuncType { return f.store.engine.funcType(f.typ) }

// HostFunc is a Go function that WebAssembly calls. It gets the context that the
// store's [Embedder] has made of that of the call, and the arguments in buffer. It
// leaves the results there, in the form that [image.Signature] describes. An error
// ends the call of the guest with that error.
type HostFunc func(ctx context.Context, c *Caller, buffer []uint64) error

// HostDef is a host function for the stores of an engine. The zero HostDef is
// none.
type HostDef struct {
	fn    HostFunc
	typ   uint32
	words int // size of the buffer
}

// DefineHost makes a HostDef. The type must not mention type indexes.
func (e *Engine) DefineHost(ft wasm.FuncType, fn HostFunc) HostDef {
	return HostDef{fn, e.InternFunc(ft), max(words(ft.Params), words(ft.Results))}
}

// IsZero reports whether d is none.
func (d *HostDef) IsZero() bool { return d.fn == nil }

// host is a host function in a store.
type host struct {
	HostDef
	ctx    unsafe.Pointer // host function context
	record unsafe.Pointer // made when a reference is first needed
}

// NewHostFunc makes a function of the host. The type must not mention type
// indexes.
func (s *Store) NewHostFunc(ft wasm.FuncType, fn HostFunc) (Func, error) {
	x := make([]Extern, 1)
	if err := s.AddHosts([]HostDef{s.engine.DefineHost(ft, fn)}, x); err != nil {
		return Func{}, err
	}
	return x[0].Func, nil
}

// AddHosts makes functions of the host, those of defs that are not zero, and puts
// them into externs, each at the index of its definition.
func (s *Store) AddHosts(defs []HostDef, externs []Extern) error {
	n := 0
	for i := range defs {
		if !defs[i].IsZero() {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	contexts, err := s.arena.alloc(uint64(n) * layout.HostContextSize)
	if err != nil {
		return err
	}
	hosts := make([]host, n)
	s.hosts = slices.Grow(s.hosts, n)
	for i := range defs {
		if defs[i].IsZero() {
			continue
		}
		h := &hosts[0]
		hosts = hosts[1:]
		h.HostDef, h.ctx = defs[i], contexts
		contexts = unsafe.Add(contexts, layout.HostContextSize)
		*word(h.ctx, layout.HostContextMagic) = layout.HostMagic
		*word(h.ctx, layout.HostContextIndex) = uint64(len(s.hosts))
		s.hosts = append(s.hosts, h)
		externs[i] = Extern{Kind: wasm.KindFunc, Func: Func{store: s, host: h, typ: h.typ, words: h.words}}
	}
	return nil
}

// Ref is the reference of f: the address of its record.
func (f Func) Ref() (uint64, error) {
	if f.IsZero() {
		return 0, nil
	}
	h, s := f.host, f.store
	if f.record != nil {
		s.instances[*word(pointer(uint64(f.pass.vmctx)), layout.InstIndex)].lent = true
		return address(f.record), nil
	}
	if h.record == nil {
		t, err := s.engine.trampolinesFor(f.Type())
		if err != nil && err != errNoTrampolines {
			return 0, err
		}
		r, aerr := s.arena.alloc(layout.FuncRecordSize)
		if aerr != nil {
			if err == nil {
				t.module.release()
			}
			return 0, aerr
		}
		fillRecord(r, t.exit, address(h.ctx), h.typ)
		h.record = r
		if err == nil {
			s.use(t.module)
		} else {
			s.unreachable = append(s.unreachable, h)
		}
	}
	return address(h.record), nil
}

// reach gives the records of host functions their code that had none when they
// were made, because no module had the way into Go for their types. No guest can
// have called them: to call a function, it must name the function's type, so its
// module brings that way, and this is done before it runs.
func (s *Store) reach() {
	left := s.unreachable[:0]
	for _, h := range s.unreachable {
		if t, ok := s.engine.findTrampolines(keyOf(s.engine.funcType(h.typ))); ok {
			s.use(t.module)
			fillRecord(h.record, t.exit, address(h.ctx), h.typ)
		} else {
			left = append(left, h)
		}
	}
	clear(s.unreachable[len(left):])
	s.unreachable = left
}

func fillRecord(r unsafe.Pointer, code, ctx uint64, typ uint32) {
	*word(r, layout.FuncRecordCode) = code
	*word(r, layout.FuncRecordVMCtx) = ctx
	*(*uint32)(unsafe.Add(r, layout.FuncRecordTypeID)) = typ
}

// FuncOf is the function that a reference refers to; the zero Func for null.
// One function has many records, one in each importer: it is found by what a
// record says.
func (s *Store) FuncOf(ref uint64) Func {
	if ref == 0 {
		return Func{}
	}
	r := pointer(ref)
	ctx := pointer(*word(r, layout.FuncRecordVMCtx))
	if *word(ctx, 0) == layout.HostMagic {
		h := s.hosts[*word(ctx, layout.HostContextIndex)]
		return Func{store: s, host: h, typ: h.typ, words: h.words}
	}
	in := s.instances[*word(ctx, layout.InstIndex)]
	off := *word(r, layout.FuncRecordCode) - in.module.base
	fn, ok := in.module.Image.FunctionAt(uint32(off))
	if !ok || fn.Kind != image.FunctionWasm {
		panic(fmt.Sprintf("vm: the record at %#x is of no function", ref))
	}
	return in.Func(fn.Index)
}
