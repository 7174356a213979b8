package vm

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Errors of this package that callers tell apart.
var (
	ErrBusy   = errors.New("a call is under way in the store")
	ErrClosed = errors.New("closed")
)

// Engine is what modules and stores have in common: the identity of types, the
// modules that are loaded, and the trampolines they brought.
type Engine struct {
	// Trampolines makes an image that holds nothing but the trampolines of a
	// signature, for references to host functions of a signature that no loaded
	// module has. It may be nil; then they get theirs from the first module that has
	// some. Set it before the engine is used.
	Trampolines func(params, results []image.Slot) (*image.Image, error)

	// LoadSourceMap reads a source map that a module refers to by a URL, and Demangle
	// makes names of compilers readable. Both may be nil. Set them before the engine is
	// used.
	LoadSourceMap func(url string) ([]byte, error)
	Demangle      func(name string) string

	// Loaded is told of modules whose code has been brought into memory, before it
	// runs; it may be nil. Set it before the engine is used. Its error is that of Load.
	Loaded func(m *Module) error
	// Anonymous puts code into memory that belongs to no file, as perf wants it for a
	// map of symbols. Set it before the engine is used.
	Anonymous bool

	// memories keeps those of closed stores.
	memories *native.Pool

	mu         sync.Mutex
	types      wasm.TypeRegistry
	signatures map[string][]trampolines // by signature key
}

// trampolines are those of one signature in one module.
type trampolines struct {
	module      *Module
	entry, exit uint64 // addresses
}

// NewEngine makes an engine, and puts the signal handlers back if other code has
// taken them away. It keeps up to so many memories of closed stores; 0 means
// [DefaultKeptMemories], a negative number none. The error says why native code
// cannot be run here.
func NewEngine(keptMemories int) (*Engine, error) {
	if err := native.CheckHandlers(); err != nil {
		return nil, err
	}
	e := &Engine{
		memories:   native.NewPool(max(cmp.Or(keptMemories, DefaultKeptMemories), 0)),
		signatures: make(map[string][]trampolines),
	}
	runtime.AddCleanup(e, (*native.Pool).Close, e.memories)
	return e, nil
}

// DefaultKeptMemories is how many memories of closed stores an engine keeps.
const DefaultKeptMemories = 1000

// SignalsAvailable reports whether running code can be interrupted by a signal;
// else it has to check for interruption itself ([image.Settings].Epoch).
func SignalsAvailable() bool { return native.SignalsAvailable() }

// InternFunc is the identity of a function type without type indexes.
func (e *Engine) InternFunc(f wasm.FuncType) uint32 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.types.InternFunc(f)
}

// funcType is the function type with identity id, in terms of identities.
func (e *Engine) funcType(id uint32) *wasm.FuncType {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.types.FuncType(id)
}

// isSub reports whether a is a subtype of b, type indexes being identities.
func (e *Engine) isSub(a, b wasm.ValType) bool {
	if a == b {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.types.IsSub(a, b)
}

func (e *Engine) isSubtype(a, b uint32) bool {
	if a == b {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.types.IsSubtypeIndex(a, b)
}

// signatureKey names a signature.
func signatureKey(params, results []image.Slot) string {
	b := make([]byte, 0, len(params)+len(results)+1)
	for _, s := range params {
		b = append(b, byte(s))
	}
	b = append(b, 0xff)
	for _, s := range results {
		b = append(b, byte(s))
	}
	return string(b)
}

// keyOf is the signature key of a function type.
func keyOf(ft *wasm.FuncType) string { return signatureKey(slots(ft.Params), slots(ft.Results)) }

// errNoTrampolines says that there are none, and nobody to make them.
var errNoTrampolines = errors.New("no loaded module has trampolines for the type")

// trampolinesFor are trampolines for a signature, with a reference to their
// module that the caller has to release.
func (e *Engine) trampolinesFor(ft *wasm.FuncType) (trampolines, error) {
	params, results := slots(ft.Params), slots(ft.Results)
	key := signatureKey(params, results)
	if t, ok := e.findTrampolines(key); ok {
		return t, nil
	}
	if e.Trampolines == nil {
		return trampolines{}, errNoTrampolines
	}
	img, err := e.Trampolines(params, results)
	if err != nil {
		return trampolines{}, err
	}
	m, err := e.Load(img)
	if err != nil {
		return trampolines{}, err
	}
	t, ok := e.findTrampolines(key)
	m.Close() // the reference that was just taken, by whichever module, stays
	if !ok {
		return trampolines{}, fmt.Errorf("the compiler made no trampolines for type %v", ft)
	}
	return t, nil
}

func (e *Engine) findTrampolines(key string) (trampolines, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.signatures[key] {
		if t.module.retain() {
			return t, true
		}
	}
	return trampolines{}, false
}
