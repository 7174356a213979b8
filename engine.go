package davit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"iter"
	"runtime"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/vm"
	"github.com/davit-wasm/davit/wasm"
)

// Interruption is how running code is stopped: for cancellation, deadlines, and
// Go's own needs.
type Interruption uint8

// Ways of interruption.
const (
	// InterruptionAuto is by signals where they are available, else by epochs.
	InterruptionAuto Interruption = iota
	// InterruptionSignal stops code at any instruction by Go's preemption signal;
	// it costs running code nothing.
	InterruptionSignal
	// InterruptionEpoch makes every function and loop compare a counter.
	InterruptionEpoch
)

// Config configures an engine. The zero value is a good choice.
type Config struct {
	// Features are the extensions of WebAssembly that modules may use; 0 means
	// all that the engine can run.
	Features wasm.Features
	// ModuleLimits bound what a module may contain; zero fields mean the limits
	// of the WebAssembly JavaScript interface.
	ModuleLimits wasm.ModuleLimits
	// Interruption says how running code is stopped.
	Interruption Interruption
	// ExplicitBounds checks every memory access in code, instead of letting the
	// hardware check. Memories made by [NewMemoryWithStorage] need it.
	ExplicitBounds bool
	// KeptMemories is how many memories of closed stores the engine keeps for new
	// ones, cleared, because making one anew takes long; 0 means 1,000, a negative
	// number none. What is kept is address space, and of memory up to 8 MiB each,
	// together at most 64 MiB: the pages that were used first, so that the next
	// instance finds them there.
	KeptMemories int
	// CompileWorkers is how many goroutines compile a module; 0 means one for
	// each processor.
	CompileWorkers int
	// QuickCompile compiles in less than half the time, to code that is slower:
	// for modules that run once and not for long.
	QuickCompile bool
	// CPU is a model of processor to compile for, by the code generator's name
	// (x86-64-v2, haswell, znver4, …); "" means that of this machine. Code for
	// an older model runs here too; one with more than this machine has is
	// refused.
	CPU string
	// Settings change single settings of the code generator, each as
	// name=value: instruction set extensions (has_avx512vl=false) or opt_level
	// (none, speed, speed_and_size).
	Settings []string
	// DeterministicRelaxedSIMD makes the relaxed vector instructions give the
	// results of WebAssembly's deterministic profile, the same on all machines,
	// instead of what costs this one least.
	DeterministicRelaxedSIMD bool
	// Fuel makes code count the instructions that it runs, and end when a store's fuel
	// is used up: see [Store.SetFuel]. Unlike time, what a program consumes is the same
	// each time and on all machines. Code is a bit slower.
	Fuel bool
	// CompileProgress is told now and then how many of the functions of a module
	// have been compiled, trampolines included: one call at a time for a module,
	// from the goroutines that compile it, which wait for it. It may be nil.
	CompileProgress func(done, total int)
	// Demangle makes the names that compilers give functions readable in backtraces; it
	// may be nil. It must be safe for concurrent use.
	Demangle func(name string) string
	// SourceMap reads a source map that a module refers to by a URL, mostly the name of a
	// file; it may be nil. It is called at most once for a module, when the place of an
	// instruction is first asked for. Debug information in modules (DWARF) needs nothing.
	SourceMap func(url string) ([]byte, error)
	// Cache keeps what is compiled in files, and brings it back instead of
	// compiling it again. It may be nil.
	Cache *Cache
	// SigningKey signs the artifacts that are made.
	SigningKey ed25519.PrivateKey
	// VerifyKey refuses artifacts that are not signed with the key it belongs to.
	// A loaded artifact is machine code: nothing but its signature tells who
	// made it.
	VerifyKey ed25519.PublicKey
	// ArtifactSecret authenticates the artifacts that are made (HMAC-SHA-256), and
	// refuses others: for programs that share a secret, and a folder or a cache that
	// more can write to. Unlike signatures, whoever can load artifacts can make them.
	// It has 16 bytes or more, of which nobody can guess any, and excludes the keys
	// above.
	ArtifactSecret []byte
	// UncheckedFiles loads artifacts from files without looking for damage in code
	// and tables, so that the time it takes does not depend on their size. It is
	// for files that are as safe as the program itself; it has no effect together
	// with VerifyKey or ArtifactSecret.
	UncheckedFiles bool
	// PerfMap writes the names of compiled functions where Linux's profiler perf looks
	// for them, /tmp/perf-PID.map. Those of artifacts that are loaded from files perf
	// finds there. A module takes two more mappings of the process.
	PerfMap bool
	// JITDump is a folder in which all code is written to a file for perf inject --jit,
	// jit-PID.dump, with lines of source code where modules have debug information. perf
	// record must use the same clock: -k mono. "" means none.
	JITDump string
}

// Engine compiles modules and holds what they share. It may be used by many
// goroutines. There is rarely a reason to have more than one.
type Engine struct {
	vm     *vm.Engine
	config Config
}

// compiler makes images. It is nil in programs that were built without the
// compiler, with the build tag davit_nocompile.
var compiler interface {
	// target is the machine to compile for, by the code generator's name, or this
	// one if that is "", and names all settings of the code generator. The error
	// refuses a configuration that nothing can be compiled with.
	target(c *Config, name string) (settings string, err error)
	compile(ctx context.Context, c *Config, target string, s image.Settings, module []byte, text image.TextMemory) (*image.Image, error)
	trampolines(c *Config, s image.Settings, params, results []image.Slot) (*image.Image, error)
}

// NewEngine makes an engine; nil means the zero Config. The error says why
// native code cannot be run on this machine or with this configuration.
func NewEngine(c *Config) (*Engine, error) {
	e := &Engine{}
	if c != nil {
		e.config = *c
	}
	if err := e.config.checkKeys(); err != nil {
		return nil, err
	}
	settings, err := e.settings()
	if err != nil {
		return nil, err
	}
	if e.vm, err = vm.NewEngine(e.config.KeptMemories); err != nil {
		return nil, fmt.Errorf("davit: %w", err)
	}
	e.vm.Demangle, e.vm.LoadSourceMap = e.config.Demangle, e.config.SourceMap
	if e.config.PerfMap || e.config.JITDump != "" {
		e.vm.Anonymous = e.config.PerfMap
		if e.vm.Loaded, err = tellPerf(&e.config); err != nil {
			return nil, fmt.Errorf("davit: %w", err)
		}
	}
	if compiler != nil {
		if _, err := compiler.target(&e.config, ""); err != nil {
			return nil, fmt.Errorf("davit: %w", err)
		}
		e.vm.Trampolines = func(params, results []image.Slot) (*image.Image, error) {
			return compiler.trampolines(&e.config, settings, params, results)
		}
	}
	return e, nil
}

// settings are the settings to compile with.
func (e *Engine) settings() (image.Settings, error) {
	return e.config.settings(vm.SignalsAvailable())
}

// settings are those for a machine that has signals or not.
func (c *Config) settings(signals bool) (s image.Settings, err error) {
	s.ExplicitBounds, s.DeterministicRelaxedSIMD = c.ExplicitBounds, c.DeterministicRelaxedSIMD
	s.Fuel = c.Fuel
	switch c.Interruption {
	case InterruptionAuto:
		s.Epoch = !signals
	case InterruptionSignal:
		if !signals {
			return s, errors.New("davit: code cannot be interrupted by signals here (GODEBUG=asyncpreemptoff=1, or a system without them)")
		}
	case InterruptionEpoch:
		s.Epoch = true
	default:
		return s, fmt.Errorf("davit: unknown way of interruption %d", c.Interruption)
	}
	return s, nil
}

// Compile compiles a module in the binary format. The bytes must not change as
// long as the module is used. The error is a [*wasm.Error] if the module is
// malformed, invalid, or exceeds a limit.
func (e *Engine) Compile(ctx context.Context, module []byte) (*Module, error) {
	if compiler == nil {
		return nil, ErrNoCompiler
	}
	settings, err := e.settings()
	if err != nil {
		return nil, err
	}
	if e.config.Cache != nil {
		return e.compileCached(ctx, settings, module)
	}
	img, err := compiler.compile(ctx, &e.config, "", settings, module, vm.NewText())
	if err != nil {
		return nil, notBinary(module, err)
	}
	return e.load(img)
}

// notBinary is the error of a module, with a hint if it begins as no binary
// module does, but one in the text format.
func notBinary(module []byte, err error) error {
	if start := bytes.TrimSpace(module[:min(len(module), 4096)]); bytes.HasPrefix(start, []byte("(")) || bytes.HasPrefix(start, []byte(";;")) {
		return fmt.Errorf("%w: a text, it seems; package wat makes a binary module of it", err)
	}
	return err
}

// load brings an image into memory, and takes it over.
func (e *Engine) load(img *image.Image) (*Module, error) {
	m, err := e.vm.Load(img)
	if err != nil {
		return nil, fmt.Errorf("davit: %w", err)
	}
	loaded := &Module{engine: e, vm: m}
	runtime.AddCleanup(loaded, (*vm.Module).Close, m)
	return loaded, nil
}

// Validate checks a module without compiling it.
func (e *Engine) Validate(module []byte) error {
	c := &wasm.Config{Features: e.config.Features, Limits: e.config.ModuleLimits}
	m, err := wasm.Decode(module, c)
	if err != nil {
		return err
	}
	return wasm.Validate(m, c)
}

// Module is a compiled module. It may be used by many goroutines, and
// instantiated any number of times. Close it to give back its memory; the garbage
// collector does that too, at some time after it has become unreachable.
type Module struct {
	engine *Engine
	vm     *vm.Module
}

// Close gives up the module. Instances of it go on working; its code is freed
// with the last store that has one.
func (m *Module) Close() error {
	m.vm.Close()
	return nil
}

// Name is the name that the module has given itself, or "".
func (m *Module) Name() string {
	return m.vm.Name()
}

// Engine is the engine that compiled m.
func (m *Module) Engine() *Engine { return m.engine }

// Imports lists the imports of m in order. The types must not be changed.
func (m *Module) Imports() []ImportType {
	wm := m.vm.Image.Module
	list := make([]ImportType, len(wm.Imports))
	for i, im := range wm.Imports {
		list[i] = ImportType{im.Module, im.Name, externTypeOf(wm, im.Kind, im.Index)}
	}
	return list
}

// Exports lists the exports of m in order. The types must not be changed.
func (m *Module) Exports() []ExportType {
	wm := m.vm.Image.Module
	list := make([]ExportType, len(wm.Exports))
	for i, x := range wm.Exports {
		list[i] = ExportType{x.Name, externTypeOf(wm, x.Kind, x.Index)}
	}
	return list
}

// Export is the type of the export of that name; ok is false if there is none.
func (m *Module) Export(name string) (t ExternType, ok bool) {
	x, ok := m.vm.Export(name)
	if !ok {
		return ExternType{}, false
	}
	return externTypeOf(m.vm.Image.Module, x.Kind, x.Index), true
}

// CustomSections goes through the custom sections of m in order: names, which may
// repeat, and contents, which must not be changed. After Close there may be none.
func (m *Module) CustomSections() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for i := range m.vm.Image.Module.Customs {
			data, ok := m.vm.Custom(i)
			if !ok || !yield(m.vm.Image.Module.Customs[i].Name, data) {
				return
			}
		}
	}
}
