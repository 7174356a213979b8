package wast

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// Runner runs scripts and counts what passes. Every command counts: a module
// that can be instantiated has passed.
type Runner struct {
	// NewEngine makes the engine for a script whose modules may use features.
	NewEngine func(features wasm.Features) (Engine, error)
	// Out gets a line for every script that fails, and with Verbose one for
	// every failure. It may be nil.
	Out     io.Writer
	Verbose bool
	// Print gets what scripts print by the functions of spectest. It may be nil.
	Print io.Writer

	Passed, Failed, Skipped int
	// Messages counts assertions that passed with an error whose message begins
	// as the script says; MessagesWanted those that passed with any message.
	Messages, MessagesWanted int
}

// Summary is the line that a run ends with.
func (r *Runner) Summary() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", r.Passed, r.Failed, r.Skipped)
}

// Failure is a command that failed.
type Failure struct {
	Line    int
	Msg     string
	Excerpt string // if a text is wrong: the line, with a caret under the place
}

// FileResult is how a script went.
type FileResult struct {
	Passed   int
	Failures []Failure
}

// Features are the features that the modules of a script may use: those of
// WebAssembly 3.0, as its header changes them, and the proposal whose folder it
// lies in.
func Features(path string, s *Script) wasm.Features {
	f := wasm.Features3
	dir := filepath.ToSlash(filepath.Dir(path))
	for _, p := range [...]struct {
		folder string
		add    wasm.Features
	}{
		{"threads", wasm.FeatureThreads}, {"custom-page-sizes", wasm.FeatureCustomPageSizes},
		{"wide-arithmetic", wasm.FeatureWideArithmetic},
	} {
		if strings.Contains(dir, "/"+p.folder) {
			f |= p.add
		}
	}
	for _, o := range s.Header {
		x, ok := wasm.LookupFeature(strings.ReplaceAll(o.Key, "_", "-"))
		switch {
		case !ok: // a feature of another engine's
		case o.Value == "true" || o.Value == "yes":
			f |= x
		case o.Value == "false" || o.Value == "no":
			f &^= x
		}
	}
	return f
}

// RunFile runs the script in a file.
func (r *Runner) RunFile(path string) FileResult {
	src, err := os.ReadFile(path)
	if err != nil {
		return r.finish(path, FileResult{Failures: []Failure{{Msg: err.Error()}}})
	}
	return r.Run(path, src)
}

// Run runs a script.
func (r *Runner) Run(path string, src []byte) FileResult {
	s, err := Parse(src)
	if err != nil {
		f := Failure{Msg: err.Error()}
		if e, ok := err.(*wattext.Error); ok {
			f.Excerpt = e.Excerpt.Lines(e.Line)
		}
		return r.finish(path, FileResult{Failures: []Failure{f}})
	}
	engine, err := r.NewEngine(Features(path, s))
	if err != nil {
		return r.finish(path, FileResult{Failures: []Failure{{Msg: err.Error()}}})
	}
	x := run{
		r: r, engine: engine,
		modules:     make(map[string]exports),
		instances:   make(map[string]Instance),
		definitions: make(map[string]Compiled),
	}
	if err := x.guard(func() error { return defineHost(engine, x.modules, r.Print) }); err != nil {
		x.fail(0, "%v", err)
	}
	x.commands(s.Commands)
	if err := x.guard(engine.Close); err != nil {
		x.fail(0, "closing the engine: %v", err)
	}
	return r.finish(path, x.result)
}

// finish counts the result of a script and prints it.
func (r *Runner) finish(path string, f FileResult) FileResult {
	r.Passed += f.Passed
	r.Failed += len(f.Failures)
	if r.Out == nil || len(f.Failures) == 0 {
		return f
	}
	if r.Verbose {
		for _, x := range f.Failures {
			fmt.Fprintf(r.Out, "%s:%d: %s\n", path, x.Line, x.Msg)
		}
	}
	first := f.Failures[0]
	fmt.Fprintf(r.Out, "FAIL %s: %d of %d failed, first in line %d: %s\n", path, len(f.Failures),
		f.Passed+len(f.Failures), first.Line, first.Msg)
	return f
}

// run is a script being run.
type run struct {
	r           *Runner
	engine      Engine
	modules     map[string]exports  // what imports see
	instances   map[string]Instance // by identifier; "" is the last one
	definitions map[string]Compiled // by identifier; "" is the last one
	result      FileResult
	textError   *wat.Error // of the module of the command
}

func (x *run) fail(line int, format string, args ...any) {
	f := Failure{Line: line, Msg: fmt.Sprintf(format, args...)}
	if x.textError != nil {
		f.Excerpt = x.textError.Excerpt()
	}
	x.result.Failures = append(x.result.Failures, f)
}

// guard turns a panic of the engine into an error, so that the script goes on.
func (x *run) guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
			if x.r.Verbose {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}
	}()
	return f()
}

func (x *run) commands(cmds []Command) {
	for i := range cmds {
		c := &cmds[i]
		x.textError = nil
		if err := x.guard(func() error { return x.command(c) }); err != nil {
			x.fail(c.Line, "%s: %v", c.Kind, err)
		} else {
			x.result.Passed++
		}
	}
}

// command runs a command; the error says why it failed.
func (x *run) command(c *Command) error {
	switch c.Kind {
	case KindModule:
		return x.module(c)
	case KindInstance:
		m, ok := x.definitions[c.Of]
		if !ok {
			return fmt.Errorf("no definition $%s", c.Of)
		}
		return x.instantiate(c.Instance, m)
	case KindRegister:
		instance, err := x.instance(c.Instance)
		if err == nil {
			x.modules[c.Name] = instance
		}
		return err
	case KindAction:
		_, err := x.action(c.Action)
		return err
	case KindReturn:
		got, err := x.action(c.Action)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Action.Name, err)
		}
		if !matchResults(c.Results, got) {
			return fmt.Errorf("%s: got %v, want %v", c.Action.Name, got, describeResults(c.Results))
		}
		return nil
	case KindTrap:
		if c.Module != nil {
			return x.expect(c, ClassTrap, x.tryModule(c.Module))
		}
		_, err := x.action(c.Action)
		return x.expect(c, ClassTrap, err)
	case KindExhaustion:
		_, err := x.action(c.Action)
		return x.expect(c, ClassExhaustion, err)
	case KindException:
		_, err := x.action(c.Action)
		return x.expect(c, ClassException, err)
	case KindSuspension:
		_, err := x.action(c.Action)
		return x.expect(c, ClassSuspension, err)
	case KindInvalid, KindInvalidCustom:
		_, err := x.compile(c.Module)
		class := ClassInvalid
		if c.Kind == KindInvalidCustom && c.Module.Form != FormBinary {
			class = ClassMalformed // the annotation is checked with the text
		}
		return x.expect(c, class, err)
	case KindMalformed, KindMalformedCustom:
		_, err := x.compile(c.Module)
		return x.expect(c, ClassMalformed, err)
	case KindUnlinkable:
		return x.expect(c, ClassUnlinkable, x.tryModule(c.Module))
	case KindThread, KindWait:
		return fmt.Errorf("threads are not supported")
	}
	return fmt.Errorf("%s", c.Message)
}

// expect checks that err is of class want.
func (x *run) expect(c *Command, want Class, err error) error {
	if err == nil {
		return fmt.Errorf("accepted, want %s %q", want, c.Message)
	}
	got, msg := classOf(err)
	if got != want {
		return fmt.Errorf("want %s %q, got %s: %s", want, c.Message, got, msg)
	}
	x.r.MessagesWanted++
	if strings.HasPrefix(msg, c.Message) {
		x.r.Messages++
	}
	return nil
}

func (x *run) compile(m *Module) (Compiled, error) {
	binary, err := m.Binary()
	if err != nil {
		x.textError, _ = err.(*wat.Error)
		return nil, errorf(ClassMalformed, "%v", textMessage(err))
	}
	return x.engine.Compile(binary)
}

// resolve finds an import: in what is registered, or else in the instance of
// that identifier, as scripts of Wasmtime's suite expect.
func (x *run) resolve(module, name string) (Extern, bool) {
	if m, ok := x.modules[module]; ok {
		return m.Export(name)
	}
	if instance, ok := x.instances[module]; ok && module != "" {
		return instance.Export(name)
	}
	return nil, false
}

// module runs a module command: after one that fails there is no last instance
// any more.
func (x *run) module(c *Command) error {
	m, err := x.compile(c.Module)
	names := x.instances
	if c.Module.Definition {
		delete(x.definitions, "")
		delete(x.definitions, c.Module.ID)
		if err == nil {
			x.definitions[""], x.definitions[c.Module.ID] = m, m
		}
		return err
	}
	delete(names, "")
	delete(names, c.Module.ID)
	if err != nil {
		return err
	}
	x.definitions[""], x.definitions[c.Module.ID] = m, m
	return x.instantiate(c.Module.ID, m)
}

func (x *run) instantiate(id string, m Compiled) error {
	delete(x.instances, "")
	delete(x.instances, id)
	instance, err := x.engine.Instantiate(m, x.resolve)
	if err == nil {
		x.instances[""], x.instances[id] = instance, instance
	}
	return err
}

// tryModule instantiates a module that should not let itself be.
func (x *run) tryModule(m *Module) error {
	compiled, err := x.compile(m)
	if err != nil {
		return err
	}
	_, err = x.engine.Instantiate(compiled, x.resolve)
	return err
}

func (x *run) instance(id string) (Instance, error) {
	instance, ok := x.instances[id]
	switch {
	case ok:
		return instance, nil
	case id == "":
		return nil, fmt.Errorf("no instance, since the last module failed")
	}
	return nil, fmt.Errorf("no instance $%s", id)
}

func (x *run) action(a *Action) ([]Value, error) {
	instance, err := x.instance(a.Instance)
	if err != nil {
		return nil, err
	}
	if a.Get {
		v, err := instance.Global(a.Name)
		return []Value{v}, err
	}
	return instance.Call(a.Name, a.Args)
}

// describeResults writes patterns for a message.
func describeResults(rs []Result) string {
	var words []string
	for i := range rs {
		words = append(words, rs[i].String())
	}
	return "[" + strings.Join(words, " ") + "]"
}

// String returns r as a script might write it.
func (r *Result) String() string {
	switch r.Kind {
	case ResultExact:
		return r.Value.String()
	case ResultNaNCanonical:
		return r.Value.Type.String() + " nan:canonical"
	case ResultNaNArithmetic:
		return r.Value.Type.String() + " nan:arithmetic"
	case ResultVector:
		return "v128 " + describeResults(r.Lanes)
	case ResultEither:
		return "either " + describeResults(r.Alternatives)
	case ResultRef:
		return "ref"
	case ResultRefNull:
		return "ref.null"
	case ResultRefAny:
		return "ref.any"
	case ResultRefEq:
		return "ref.eq"
	}
	return strings.TrimSuffix(r.Value.String(), " 0")
}
