package vm

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/debuginfo"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
	"github.com/davit-wasm/davit/wasm"
)

// Module is a loaded image. Its code stays in memory until it is closed and no
// store uses it any more.
type Module struct {
	Image *image.Image

	engine *Engine
	code   *native.Code
	base   uint64
	types  []uint32 // identity by type index
	// entries are the entry trampolines by signature.
	entries []native.Entry
	refs    atomic.Int64
	closed  atomic.Bool
	initial initialMemory

	// lendsFuncs is [Module.lends], found out when first asked for.
	lendsFuncs bool
	lendsOnce  sync.Once

	// exports finds exports by name, made when first asked for.
	exports     map[string]int
	exportsOnce sync.Once

	// debug is the module's debug information, made when first asked for.
	debug     *debuginfo.Info
	debugOnce sync.Once
}

// Load brings an image into memory and registers its types, trampolines and
// code. The image must not change afterwards. It belongs to the module, whether
// or not there is an error: its Release is called when it is not used any more,
// and its File is closed.
func (e *Engine) Load(img *image.Image) (*Module, error) {
	code, err := loadCode(img)
	file := img.File
	img.File = nil
	defer func() {
		if file != nil {
			file.Close() // the mapping stays
		}
	}()
	if err != nil {
		if img.Release != nil {
			img.Release()
		}
		return nil, err
	}
	m := &Module{Image: img, engine: e, code: code, base: uint64(code.Base())}
	code.Owner, code.Freed, code.Anonymous = m, img.Release, e.Anonymous
	sites, err := artifact.Sites(img, code.NewTables)
	if err == nil {
		err = code.Publish(native.Tables{Prepared: sites})
	}
	if err != nil {
		code.Release()
		return nil, err
	}
	m.refs.Store(1)
	if e.Loaded != nil {
		if err := e.Loaded(m); err != nil {
			code.Release()
			return nil, err
		}
	}
	if file != nil && img.Initial.Data != nil && m.initial.mapped(&img.Initial, file) == nil {
		file = nil
	}
	e.mu.Lock()
	m.types = e.types.Intern(img.Module)
	for i := range img.Signatures {
		s := &img.Signatures[i]
		m.entries = append(m.entries, native.Func[native.Entry](code.Base()+uintptr(s.Entry)))
		key := signatureKey(s.Params, s.Results)
		e.signatures[key] = append(e.signatures[key], trampolines{m, m.base + uint64(s.Entry), m.base + uint64(s.Exit)})
	}
	e.mu.Unlock()
	return m, nil
}

// text is memory for the text of an image that will be loaded: memory for code.
type text struct{ code *native.Code }

// NewText is memory that the compiler can put the text of a module into, so that
// [Engine.Load] need not copy it.
func NewText() image.TextMemory { return &text{} }

func (t *text) Grow(used, least, size int) ([]byte, error) {
	code, err := native.NewCode(max(size, 1))
	if err != nil && size > least {
		code, err = native.NewCode(max(least, 1))
	}
	if err != nil {
		return nil, err
	}
	room := code.Writable()
	if t.code != nil {
		copy(room, t.code.Writable()[:used])
		t.code.Release()
	}
	t.code = code
	return room[:used], nil
}

func (t *text) Release() {
	if t.code != nil {
		t.code.Release()
		t.code = nil
	}
}

// loadCode brings the text of an image into code memory, unless it is there, by
// mapping it if that can be done.
func loadCode(img *image.Image) (*native.Code, error) {
	if t, ok := img.Memory.(*text); ok && t.code != nil {
		code := t.code
		t.code, img.Memory = nil, nil
		code.Shrink(max(len(img.Text), 1))
		return code, nil
	}
	if img.File != nil && len(img.Text) > 0 {
		if code, err := native.MapCode(img.File, img.TextAt, len(img.Text)); err == nil {
			return code, nil
		}
		// The file system may not allow it.
	}
	code, err := native.NewCode(max(len(img.Text), 1))
	if err != nil {
		return nil, err
	}
	copy(code.Writable(), img.Text)
	return code, nil
}

// Close gives up the module. Its code is freed when no store uses it any more.
func (m *Module) Close() {
	if m.closed.CompareAndSwap(false, true) {
		m.release()
	}
}

// retain takes a reference; it fails if the module's code is gone already.
func (m *Module) retain() bool {
	for {
		n := m.refs.Load()
		if n == 0 {
			return false
		}
		if m.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (m *Module) release() {
	if m.refs.Add(-1) > 0 {
		return
	}
	e := m.engine
	e.mu.Lock()
	for i := range m.Image.Signatures {
		s := &m.Image.Signatures[i]
		key := signatureKey(s.Params, s.Results)
		list := e.signatures[key]
		for k := range list {
			if list[k].module == m {
				list = append(list[:k], list[k+1:]...)
				break
			}
		}
		if len(list) == 0 {
			delete(e.signatures, key)
		} else {
			e.signatures[key] = list
		}
	}
	e.mu.Unlock()
	if m.initial.image != nil {
		e.memories.Forget(m.initial.image)
	}
	m.code.Release()
}

// Name is the name that the module gives itself, or "". That of a module from a
// file is not there any more when nobody holds the module.
func (m *Module) Name() string {
	if m.Image.Release != nil {
		if !m.retain() {
			return ""
		}
		defer m.release()
	}
	if n := m.Image.Names(); n != nil {
		return n.Module
	}
	return ""
}

// Custom is the content of custom section i; ok is false if the module is gone.
func (m *Module) Custom(i int) (data []byte, ok bool) {
	data = m.Image.Module.Customs[i].Data
	if m.Image.Release == nil {
		return data, true
	}
	if !m.retain() {
		return nil, false
	}
	defer m.release()
	return bytes.Clone(data), true
}

// Serialize is the module in the form of an artifact.
func (m *Module) Serialize(o *artifact.Options) ([]byte, error) {
	if !m.retain() {
		return nil, fmt.Errorf("module: %w", ErrClosed)
	}
	defer m.release()
	return artifact.Encode(m.Image, o)
}

// FuncType is the type of function i of the module's index space.
func (m *Module) FuncType(i uint32) *wasm.FuncType { return m.Image.Module.FuncTypeOf(i) }

// codeOf is the address of the code of function i, which m defines.
func (m *Module) codeOf(i uint32) uint64 {
	return m.base + uint64(m.Image.Code[int(i)-m.Image.Module.NumImportedFuncs])
}

// Export finds an export by name.
func (m *Module) Export(name string) (*wasm.Export, bool) {
	m.exportsOnce.Do(func() {
		m.exports = make(map[string]int, len(m.Image.Module.Exports))
		for i := range m.Image.Module.Exports {
			m.exports[m.Image.Module.Exports[i].Name] = i
		}
	})
	i, ok := m.exports[name]
	if !ok {
		return nil, false
	}
	return &m.Image.Module.Exports[i], true
}

// renumber is t with type indexes replaced by identities.
func (m *Module) renumber(t wasm.ValType) wasm.ValType { return wasm.Renumber(t, m.types) }

// findCode is the module whose code holds pc, and the offset in it.
func findCode(pc uint64) (m *Module, offset uint32, ok bool) {
	c, off := native.FindCode(uintptr(pc))
	if c == nil {
		return nil, 0, false
	}
	m, ok = c.Owner.(*Module)
	return m, off, ok
}
