// Package compile turns the bytes of a module into an image: it validates and
// translates every function, compiles functions and trampolines on all cores,
// and puts the results together.
//
// The image depends on the module, the target and the settings only: the same
// bytes come out whatever the number of workers and whichever of them compiled
// what. Every function is compiled by itself, from inputs that all workers
// share read-only, and gets its place in the text when all that come before it, in
// a fixed order, have theirs.
package compile

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"sync"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/translate"
	"github.com/davit-wasm/davit/wasm"
)

// Features are the features that modules may use. What validates but cannot be
// compiled yet, such as the instructions on structs, is refused by name when it
// is met.
const Features = wasm.Features3 | wasm.FeatureWideArithmetic

// Options say how to compile. The zero value compiles for this machine.
type Options struct {
	Target   *isa.TargetISA // nil: this machine
	Settings image.Settings
	Features wasm.Features     // 0: Features; of others only those in Features are in effect
	Limits   wasm.ModuleLimits // zero fields: the default
	Workers  int               // 0: as many as there are processors
	Context  context.Context   // ends the compilation early; may be nil
	// InlineEverything inlines whatever can be, up to generous limits: for tests.
	InlineEverything bool
	// Text is where the text of the module is put; nil means memory of Go's. It belongs
	// to the image then, and is released if there is none.
	Text image.TextMemory
	// Progress is told how many of all functions and trampolines are compiled, by
	// one goroutine at a time. It may be nil.
	Progress func(done, total int)
}

// Target is the target for this machine with the settings that the runtime
// needs, changed by extra ones (see [isa.Builder.Set]).
func Target(extra ...string) (*isa.TargetISA, error) { return TargetOf("", "", extra...) }

// TargetOf is Target for the machine of that name, unless it is "", and for a
// model of processor (see [isa.Builder.Set]), unless that is "". Without both,
// this machine's processor is meant; with the second only, it must be able to run
// the code.
func TargetOf(name, cpu string, extra ...string) (*isa.TargetISA, error) {
	here := name == ""
	if here {
		name = isa.HostTriple().String()
	}
	b, err := isa.Lookup(name)
	if here && cpu == "" {
		b, err = isa.Host()
	}
	if err != nil {
		return nil, err
	}
	if cpu != "" {
		if err := b.Set(cpu); err != nil {
			return nil, err
		}
	}
	for _, s := range append(targetSettings(), extra...) {
		if err := b.Set(s); err != nil {
			return nil, err
		}
	}
	t, err := b.Finish()
	if err != nil {
		return nil, err
	}
	if missing := t.MissingOnHost(); here && len(missing) > 0 {
		return nil, fmt.Errorf("this machine does not have %s", strings.Join(missing, ", "))
	}
	return t, nil
}

// targetSettings are what the runtime needs of any code: backtraces follow
// frame pointers, stack overflow is found in prologues, and nothing in the text
// is absolute.
func targetSettings() []string {
	return []string{"is_pic=true", "preserve_frame_pointers=true", "enable_native_stack_check=true", "opt_level=speed", "enable_verifier=false", "enable_probestack=false"}
}

// UnsupportedError reports what is valid but cannot be compiled. It is also
// used for constant expressions.
type UnsupportedError = translate.UnsupportedError

// Module compiles a module. The error is a [*wasm.Error] if the module is
// refused, an [*UnsupportedError], the cause of the context's end, or wraps
// [codegen.ErrBug]. The image refers to data.
func Module(data []byte, o *Options) (im *image.Image, err error) {
	if o == nil {
		o = &Options{}
	}
	defer func() {
		if err != nil && o.Text != nil {
			o.Text.Release()
		}
	}()
	m, target, err := prepare(data, o)
	if err != nil {
		return nil, err
	}
	var hash [sha256.Size]byte
	var datas []wasm.Data
	var aside sync.WaitGroup // what can be done meanwhile
	aside.Go(func() {
		hash = sha256.Sum256(data)
		datas = joinData(m.Wasm.Module)
	})
	defer aside.Wait() // data is the caller's again, whatever comes
	j := newJob(m, target)
	j.ctx, j.progress, j.everything = o.Context, o.Progress, o.InlineEverything
	if j.ctx == nil {
		j.ctx = context.Background()
	}
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	l := newLinker(j, o.Text)
	err = j.run(workers, l)
	if err == nil {
		err = l.finish()
	}
	if err != nil {
		return nil, err
	}
	aside.Wait()
	l.im.Hash, l.im.Module.Datas = hash, datas
	return l.im, nil
}

// Functions translates the functions that a module defines, one after the
// other, and hands out each as [Module] would compile it, with what [Module] gives
// the code generator as [codegen.Options].Inline. They are valid until do returns;
// an error of do ends the translation. Of the options, those on workers have no
// effect.
func Functions(data []byte, o *Options, do func(f *ir.Function, inline func(*codegen.InlineCall) *ir.Function) error) error {
	if o == nil {
		o = &Options{}
	}
	m, target, err := prepare(data, o)
	if err != nil {
		return err
	}
	j := newJob(m, target)
	j.everything = o.InlineEverything
	var n inliner
	var tr translate.Translator
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	for i := range m.Wasm.Code {
		index := uint32(m.Wasm.NumImportedFuncs + i)
		if err := tr.Function(m, index, f); err != nil {
			return err
		}
		if err := do(f, n.begin(j, index, f, tr.Calls())); err != nil {
			return err
		}
	}
	return nil
}

// Routines is Functions for the routines that stand for instructions.
func Routines(data []byte, o *Options, do func(f *ir.Function) error) error {
	if o == nil {
		o = &Options{}
	}
	m, _, err := prepare(data, o)
	if err != nil {
		return err
	}
	var tr translate.Translator
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	for _, r := range m.Routines() {
		if err := tr.Routine(m, r, f); err != nil {
			return err
		}
		if err := do(f); err != nil {
			return err
		}
	}
	return nil
}

// prepare decodes a module and prepares its translation.
func prepare(data []byte, o *Options) (*translate.Module, *isa.TargetISA, error) {
	target := o.Target
	if target == nil {
		var err error
		if target, err = Target(); err != nil {
			return nil, nil, err
		}
	}
	config := &wasm.Config{Features: Features, Limits: o.Limits}
	if o.Features != 0 {
		config.Features &= o.Features
	}
	m, err := wasm.Decode(data, config)
	if err != nil {
		return nil, nil, err
	}
	env, err := wasm.NewEnv(m, config)
	if err != nil {
		return nil, nil, err
	}
	if err := checkConstExprs(m, config); err != nil {
		return nil, nil, err
	}
	module := translate.NewModule(env, o.Settings, o.relaxed(target))
	module.WideVectors = target.Triple.Arch == isa.X86_64 && target.X64.HasAVX2
	module.RepMovsb = target.Triple.Arch == isa.X86_64 && target.X64.HasERMS
	module.HeapBranches, module.TableBranches = !target.Shared.HeapSpectre, !target.Shared.TableSpectre
	return module, target, nil
}

// relaxed is what relaxed vector instructions do.
func (o *Options) relaxed(target *isa.TargetISA) (r translate.Relaxed) {
	if target.Triple.Arch == isa.X86_64 && !o.Settings.DeterministicRelaxedSIMD {
		r = translate.Relaxed{X86: true, AVX: target.X64.HasAVX, FMA: target.X64.HasFMA}
	}
	return r
}

// checkConstExprs refuses constant expressions with instructions that the
// runtime cannot evaluate.
func checkConstExprs(m *wasm.Module, c *wasm.Config) error {
	var r wasm.InstrReader
	var in wasm.Instr
	check := func(x wasm.ConstExpr) error {
		r.Reset(x.Code, x.Offset, c)
		for {
			more, err := r.Next(&in)
			if err != nil || !more {
				return err
			}
			switch in.Op {
			case wasm.OpI32Const, wasm.OpI64Const, wasm.OpF32Const, wasm.OpF64Const, wasm.OpV128Const, wasm.OpRefNull, wasm.OpRefFunc,
				wasm.OpGlobalGet, wasm.OpI32Add, wasm.OpI32Sub, wasm.OpI32Mul, wasm.OpI64Add, wasm.OpI64Sub, wasm.OpI64Mul, wasm.OpEnd:
			default:
				return &wasm.Error{Kind: wasm.Unsupported, Offset: in.Offset, Func: -1, Instr: in.Op.String(),
					Msg: "constant expression with an instruction that this compiler does not support"}
			}
		}
	}
	for i := range m.Globals {
		if err := check(m.Globals[i].Init); err != nil {
			return err
		}
	}
	for i := range m.Tables {
		if err := check(m.Tables[i].Init); err != nil {
			return err
		}
	}
	for i := range m.Datas {
		if err := check(m.Datas[i].Offset); err != nil {
			return err
		}
	}
	for i := range m.Elems {
		if err := check(m.Elems[i].Offset); err != nil {
			return err
		}
		for _, x := range m.Elems[i].Exprs {
			if err := check(x); err != nil {
				return err
			}
		}
	}
	return nil
}

// signatures finds the distinct machine-level signatures of the function types
// of m, in the order of their first occurrence.
func signatures(m *wasm.Module) (sigs []image.Signature, ofType []uint32) {
	ofType = make([]uint32, len(m.Types))
	seen := make(map[string]uint32)
	var key []byte
	for i := range m.Types {
		ofType[i] = image.NoSignature
		if m.Types[i].Kind != wasm.CompositeFunc {
			continue
		}
		f := &m.Types[i].Func
		sig := image.Signature{Params: slots(f.Params), Results: slots(f.Results), Direct: image.NoDirect}
		key = key[:0]
		for _, s := range sig.Params {
			key = append(key, byte(s))
		}
		key = append(key, 0xff)
		for _, s := range sig.Results {
			key = append(key, byte(s))
		}
		n, ok := seen[string(key)]
		if !ok {
			n = uint32(len(sigs))
			seen[string(key)] = n
			sigs = append(sigs, sig)
		}
		ofType[i] = n
	}
	return sigs, ofType
}

// directs lists the signatures of exported functions, which Go will call, of which there
// are direct entry trampolines.
func directs(m *wasm.Module, sigs []image.Signature, ofType []uint32) (list []uint32) {
	seen := make([]bool, len(sigs))
	for _, x := range m.Exports {
		if x.Kind != wasm.KindFunc {
			continue
		}
		if sig := ofType[m.Funcs[x.Index].Type]; !seen[sig] {
			seen[sig] = true
			if translate.HasDirect(&sigs[sig]) {
				list = append(list, sig)
			}
		}
	}
	return list
}

func slots(ts []wasm.ValType) []image.Slot {
	s := make([]image.Slot, len(ts))
	for i, t := range ts {
		s[i] = image.SlotOf(t)
	}
	return s
}
