package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/davit-wasm/davit/internal/oracle"
	"github.com/davit-wasm/davit/internal/wasmgen"
)

// A fuzzEngine runs random modules.
type fuzzEngine interface {
	name() string
	// run instantiates a module, makes the calls, each after one of refuel, and
	// says what came of it: a line for each call, and one for the state at the
	// end.
	run(wasm []byte, calls []fuzzCall, globals []string) ([]string, error)
}

// fuzzCall is a call of an exported function with numbers as bits.
type fuzzCall struct {
	Name    string         `json:"name"`
	Types   []wasm.ValType `json:"-"`
	Kinds   []string       `json:"kinds"`
	Args    []uint64       `json:"-"`
	Decimal []string       `json:"args"` // Args for JSON
	Results []wasm.ValType `json:"-"`
	Returns []string       `json:"returns"`
}

// fuzz runs n modules from seed on. Those on which engines disagree are written to folder
// save, unless it is "", and with reduced as text, too, as small as they can be made.
func fuzz(engines string, seed, n uint64, save string, reduced bool) error {
	var peers []fuzzEngine
	for name := range strings.SplitSeq(engines, ",") {
		kind, option, _ := strings.Cut(name, ":")
		var e fuzzEngine
		var err error
		switch kind {
		case "davit":
			e, err = newDavitFuzz(option)
		case "oracle":
			e, err = newOracleFuzz(option)
		case "wasmtime":
			e, err = newWasmtimeFuzz(option)
		case "wazero":
			e = wazeroFuzz{context.Background()}
		case "v8":
			var v *v8Engine
			if v, err = startV8(option, 0); err == nil {
				defer v.close()
				e = v8Fuzz{v}
			}
		default:
			err = fmt.Errorf("unknown engine %q", name)
		}
		if err != nil {
			return err
		}
		peers = append(peers, e)
	}
	open, skipped := 0, 0
	for s := seed; s < seed+n; s++ {
		r := rand.New(rand.NewPCG(s, 0))
		c := wasmgen.Config{SIMD: s%2 == 0, TailCalls: s%3 == 0, Size: 50 << (s % 5), Fuel: 200}
		m := wasmgen.Module(r, c)
		code := wasm.Encode(m)
		calls, globals := fuzzCalls(r, m)
		var reference fuzzEngine
		var first []string
		for _, e := range peers {
			if _, ok := e.(wazeroFuzz); ok && c.TailCalls {
				continue // it has none
			}
			got, err := e.run(code, calls, globals)
			if err != nil {
				got = []string{"error: " + err.Error()}
			}
			if overflowed(got) || overflowed(first) {
				skipped++ // how deep a stack is differs
				break
			}
			if reference == nil {
				reference, first = e, got
				continue
			}
			if d := difference(first, got, calls); d != "" {
				open++
				fmt.Printf("seed %d: %s and %s: %s\n", s, reference.name(), e.name(), d)
				if save != "" {
					file := filepath.Join(save, fmt.Sprintf("seed%d", s))
					if err := os.WriteFile(file+".wasm", code, 0o666); err != nil {
						return err
					}
					if reduced {
						if err := writeReduced(file, code, calls, globals, reference, e); err != nil {
							fmt.Printf("seed %d: not reduced: %v\n", s, err)
						}
					}
				}
			}
		}
		if done := s - seed + 1; done%1000 == 0 {
			fmt.Fprintf(os.Stderr, "%d modules, %d differences, %d skipped\n", done, open, skipped)
		}
	}
	fmt.Printf("%d modules from seed %d: %d differences, %d skipped\n", n, seed, open, skipped)
	if open > 0 {
		return fmt.Errorf("%d differences", open)
	}
	return nil
}

// writeReduced writes the smallest module found on which a and b differ, with the calls
// that show it.
func writeReduced(file string, code []byte, calls []fuzzCall, globals []string, a, b fuzzEngine) error {
	text, calls, err := reduce(code, calls, globals, a, b)
	if err != nil {
		return err
	}
	head := fmt.Sprintf(";; %s and %s differ, after", a.name(), b.name())
	for _, c := range calls {
		head += fmt.Sprintf(" %s%v", c.Name, c.Args)
	}
	file = fmt.Sprintf("%s-%s.wat", file, strings.NewReplacer(":", "-", "=", "-", "/", "-").Replace(b.name()))
	return os.WriteFile(file, []byte(head+"\n"+text), 0o666)
}

func overflowed(lines []string) bool {
	for _, l := range lines {
		if l == "trap: stack" {
			return true
		}
	}
	return false
}

func difference(a, b []string, calls []fuzzCall) string {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			what := "the state at the end"
			if i < len(calls) {
				what = fmt.Sprintf("%s%v", calls[i].Name, calls[i].Args)
			}
			if i >= len(b) {
				return fmt.Sprintf("%s: %q, and %q", what, a[i], b)
			}
			return fmt.Sprintf("%s: %q, and %q", what, a[i], b[i])
		}
	}
	return ""
}

// fuzzCalls calls each exported function with a few arguments.
func fuzzCalls(r *rand.Rand, m *wasm.Module) (calls []fuzzCall, globals []string) {
	numbers := []uint64{0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 63, 1<<63 - 1, math.Float64bits(1.5), math.Float64bits(-3e9)}
	for _, x := range m.Exports {
		switch {
		case x.Kind == wasm.KindGlobal:
			globals = append(globals, x.Name)
		case x.Kind == wasm.KindFunc && x.Name != "refuel":
			t := m.FuncTypeOf(x.Index)
			for range 3 {
				c := fuzzCall{Name: x.Name, Types: t.Params, Results: t.Results}
				for _, p := range t.Params {
					v := numbers[r.IntN(len(numbers))]
					switch p {
					case wasm.I32:
						v = uint64(uint32(v))
					case wasm.F32:
						v = uint64(math.Float32bits(float32(int32(v))))
					case wasm.F64:
						if v = v ^ r.Uint64()>>40; math.IsNaN(math.Float64frombits(v)) {
							v = 0
						}
					}
					c.Args = append(c.Args, v)
					c.Decimal = append(c.Decimal, fmt.Sprint(v))
					c.Kinds = append(c.Kinds, p.String())
				}
				for _, p := range t.Results {
					c.Returns = append(c.Returns, p.String())
				}
				calls = append(calls, c)
			}
		}
	}
	return calls, globals
}

// number describes a result; hosts may change the bits of a NaN.
func number(t string, bits uint64) string {
	switch t {
	case "i32":
		bits = uint64(uint32(bits))
	case "f32":
		if bits = uint64(uint32(bits)); bits&0x7fffffff > 0x7f800000 {
			return "nan"
		}
	case "f64":
		if math.IsNaN(math.Float64frombits(bits)) {
			return "nan"
		}
	}
	return fmt.Sprint(bits)
}

func state(memory []byte, globals []string) string {
	sum := sha256.Sum256(memory)
	return fmt.Sprintf("%d bytes %x %v", len(memory), sum[:8], globals)
}

// trapLine is the kind of trap that a message of any engine is about.
func trapLine(message string) string {
	message = strings.ToLower(message)
	for _, k := range []struct{ word, kind string }{
		{"unreachable", "unreachable"},
		{"stack overflow", "stack"}, {"call stack", "stack"},
		{"out of bounds memory", "memory"}, {"memory access out", "memory"}, {"out of bounds of memory", "memory"}, {"memory out", "memory"},
		{"by zero", "zero"}, {"divide by", "zero"},
		// V8 does not tell these two apart.
		{"overflow", "number"}, {"unrepresentable", "number"}, {"invalid conversion", "number"},
		{"table", "table"}, {"indirect", "table"}, {"uninitialized", "table"}, {"undefined element", "table"}, {"null function", "table"},
	} {
		if strings.Contains(message, k.word) {
			return "trap: " + k.kind
		}
	}
	return "trap: " + message
}

// davitFuzz is davit with a configuration.
type davitFuzz struct {
	label  string
	engine *davit.Engine
	stores *davit.StoreConfig
}

func newDavitFuzz(option string) (fuzzEngine, error) {
	c, err := davitConfig(option)
	if err != nil {
		return nil, err
	}
	e, err := davit.NewEngine(&c)
	return davitFuzz{label("davit", option), e, davitStores(&c)}, err
}

func (e davitFuzz) name() string { return e.label }

func (e davitFuzz) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	ctx := context.Background()
	m, err := e.engine.Compile(ctx, code)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := davit.NewStore(e.engine, e.stores)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	in, err := davit.NewLinker(e.engine).Instantiate(ctx, s, m)
	if err != nil {
		return nil, err
	}
	var lines []string
	var stack [16]uint64
	for _, c := range calls {
		if err := in.Func("refuel").CallRaw(ctx, nil); err != nil {
			return nil, err
		}
		copy(stack[:], c.Args)
		err := in.Func(c.Name).CallRaw(ctx, stack[:])
		if trap, ok := errors.AsType[*davit.Trap](err); ok {
			lines = append(lines, trapLine(trap.Code.String()))
			continue
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, results(c.Returns, stack[:]))
	}
	var list []string
	for _, g := range globals {
		v := in.Global(g)
		bits := v.Get()
		t := v.Type().Type
		var b uint64
		switch t {
		case davit.I32:
			b = uint64(uint32(bits.I32()))
		case davit.I64:
			b = uint64(bits.I64())
		case davit.F32:
			b = uint64(math.Float32bits(bits.F32()))
		case davit.F64:
			b = math.Float64bits(bits.F64())
		}
		list = append(list, number(t.String(), b))
	}
	mem := in.Memory("memory")
	view, _ := mem.View(0, mem.Size())
	return append(lines, state(view, list)), nil
}

// oracleFuzz is davit's IR interpreter.
type oracleFuzz struct {
	label string
	opts  oracle.Options
}

func newOracleFuzz(option string) (fuzzEngine, error) {
	e := oracleFuzz{label: label("oracle", option)}
	if option != "" {
		for o := range strings.SplitSeq(option, "+") {
			switch o {
			case "optimized":
				e.opts.Optimized = true
			case "bounds":
				e.opts.Settings.ExplicitBounds = true
			default:
				return nil, fmt.Errorf("unknown option %q of the oracle", o)
			}
		}
	}
	return e, nil
}

func (e oracleFuzz) name() string { return e.label }

func (e oracleFuzz) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	in, err := oracle.New(code, &e.opts)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range calls {
		if _, err := in.Call("refuel"); err != nil {
			return nil, err
		}
		got, err := in.Call(c.Name, c.Args...)
		if trap, ok := errors.AsType[*oracle.Trap](err); ok {
			lines = append(lines, trapLine(trap.Code.String()))
			continue
		}
		if err != nil {
			return nil, err
		}
		lines = append(lines, results(c.Returns, got))
	}
	var list []string
	for _, g := range globals {
		bits, t, _ := in.Global(g)
		list = append(list, number(t.String(), bits))
	}
	return append(lines, state(in.Memory(0), list)), nil
}

func results(types []string, bits []uint64) string {
	list := make([]string, len(types))
	for i, t := range types {
		list[i] = number(t, bits[i])
	}
	return fmt.Sprint(list)
}

// wazeroFuzz is wazero.
type wazeroFuzz struct{ ctx context.Context }

func (wazeroFuzz) name() string { return "wazero" }

func (e wazeroFuzz) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	r := wazero.NewRuntimeWithConfig(e.ctx, wazero.NewRuntimeConfigCompiler())
	defer r.Close(e.ctx)
	m, err := r.Instantiate(e.ctx, code)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range calls {
		if _, err := m.ExportedFunction("refuel").Call(e.ctx); err != nil {
			return nil, err
		}
		got, err := m.ExportedFunction(c.Name).Call(e.ctx, c.Args...)
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			lines = append(lines, trapLine(first))
			continue
		}
		lines = append(lines, results(c.Returns, got))
	}
	var list []string
	for _, name := range globals {
		g := m.ExportedGlobal(name)
		list = append(list, number(api.ValueTypeName(g.Type()), g.Get()))
	}
	view, _ := m.Memory().Read(0, m.Memory().Size())
	return append(lines, state(view, list)), nil
}

// wasmtimeFuzz is Wasmtime.
type wasmtimeFuzz struct {
	label  string
	engine *wasmtime.Engine
	needs  wasmtimeNeeds
}

func newWasmtimeFuzz(option string) (fuzzEngine, error) {
	c, needs, err := newWasmtimeConfig(option)
	if err != nil {
		return nil, err
	}
	c.SetWasmTailCall(true)
	return wasmtimeFuzz{label("wasmtime", option), wasmtime.NewEngineWithConfig(c), needs}, nil
}

func (e wasmtimeFuzz) name() string { return e.label }

func (e wasmtimeFuzz) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	m, err := wasmtime.NewModule(e.engine, code)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s := e.needs.store(e.engine)
	defer s.Close()
	in, err := wasmtime.NewInstance(s, m, nil)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, c := range calls {
		if _, err := in.GetFunc(s, "refuel").Call(s); err != nil {
			return nil, err
		}
		args := make([]any, len(c.Args))
		for i, v := range c.Args {
			switch c.Kinds[i] {
			case "i32":
				args[i] = int32(v)
			case "i64":
				args[i] = int64(v)
			case "f32":
				args[i] = math.Float32frombits(uint32(v))
			case "f64":
				args[i] = math.Float64frombits(v)
			}
		}
		got, err := in.GetFunc(s, c.Name).Call(s, args...)
		if trap, ok := errors.AsType[*wasmtime.Trap](err); ok {
			message := trap.Message()
			if _, m, ok := strings.Cut(message, "Caused by:"); ok {
				message = m
			}
			lines = append(lines, trapLine(message))
			continue
		}
		if err != nil {
			return nil, err
		}
		var list []any
		switch got := got.(type) {
		case nil:
		case []wasmtime.Val:
			for _, v := range got {
				list = append(list, v.Get())
			}
		default:
			list = []any{got}
		}
		bits := make([]uint64, len(list))
		for i, v := range list {
			bits[i] = bitsOf(v)
		}
		lines = append(lines, results(c.Returns, bits))
	}
	var list []string
	for _, name := range globals {
		g := in.GetExport(s, name).Global()
		list = append(list, number(g.Type(s).Content().String(), bitsOf(g.Get(s).Get())))
	}
	view := bytes.Clone(in.GetExport(s, "memory").Memory().UnsafeData(s))
	return append(lines, state(view, list)), nil
}

func bitsOf(v any) uint64 {
	switch v := v.(type) {
	case int32:
		return uint64(uint32(v))
	case int64:
		return uint64(v)
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	}
	panic(fmt.Sprintf("a value of type %T", v))
}

// v8Fuzz is V8.
type v8Fuzz struct{ *v8Engine }

func (e v8Fuzz) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	p, _, err := e.compile(code)
	if err != nil {
		return nil, err
	}
	defer p.close()
	a, err := e.ask(v8Request{Op: "fuzz", ID: p.(*v8Module).id, Calls: calls, Globals: globals})
	if err != nil {
		return nil, err
	}
	var lines []string
	for i, c := range calls {
		if t := a.Traps[i]; t != "" {
			lines = append(lines, trapLine(t))
			continue
		}
		list := make([]string, len(c.Returns))
		for k, t := range c.Returns {
			list[k] = number(t, a.Values[i][k])
		}
		lines = append(lines, fmt.Sprint(list))
	}
	return append(lines, fmt.Sprintf("%d bytes %s %v", a.Size, a.Hash, numbers(a.GlobalTypes, a.Globals))), nil
}

func numbers(types []string, bits jsonBits) []string {
	var list []string
	for i, t := range types {
		list = append(list, number(t, bits[i]))
	}
	return list
}
