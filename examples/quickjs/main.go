// Command quickjs runs JavaScript that its user does not trust: each script in
// an interpreter of its own, QuickJS compiled to WebAssembly, with limits on
// time and memory and one function of the host, print.
//
//	go run ./examples/quickjs [-timeout 1s] [-memory 32] [FILE.js]
package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// The interpreter: see the file LICENSE here.
//
//go:embed quickjs.wasm
var interpreter []byte

const demo = `
const words = "the quick brown fox jumps over the lazy dog".split(" ");
print("longest:", words.reduce((a, b) => b.length > a.length ? b : a));
try { print(typeof fetch, typeof require) } catch (e) { print(e) }
JSON.stringify(words.map(w => w.length))`

func main() {
	timeout := flag.Duration("timeout", time.Second, "how long a script may run")
	memory := flag.Uint64("memory", 32, "how many MiB of memory a script may use")
	flag.Parse()
	script := []byte(demo)
	if flag.NArg() > 0 {
		var err error
		if script, err = os.ReadFile(flag.Arg(0)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	host, err := NewHost()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	result, err := host.Run(ctx, string(script), Limits{MemoryBytes: *memory << 20}, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "script:", err)
		os.Exit(1)
	}
	fmt.Println("=>", result)
}

// Host runs scripts. It may be used by many goroutines.
type Host struct {
	engine *davit.Engine
	module *davit.Module
}

// NewHost compiles the interpreter, once for all scripts.
func NewHost() (*Host, error) {
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return nil, err
	}
	module, err := engine.Compile(context.Background(), interpreter)
	if err != nil {
		return nil, err
	}
	return &Host{engine, module}, nil
}

// Limits bound a script.
type Limits struct{ MemoryBytes uint64 }

// Run runs a script, whose print writes to out, until ctx ends at the latest. It
// returns the value of the last expression.
func (h *Host) Run(ctx context.Context, script string, limits Limits, out io.Writer) (string, error) {
	store, err := davit.NewStore(h.engine, &davit.StoreConfig{MaxMemoryBytes: limits.MemoryBytes})
	if err != nil {
		return "", err
	}
	defer store.Close()
	vm := &interp{out: out}

	linker := davit.NewLinker(h.engine)
	// What the interpreter needs of the system; nothing of it leads outside.
	system, err := wasip1.New(&wasip1.Config{})
	if err != nil {
		return "", err
	}
	defer system.Close()
	err = errors.Join(
		system.Define(linker),
		linker.Define("env", "host_call", davit.HostFunc5(vm.hostCall)),
		linker.Define("env", "host_interrupt", davit.HostFunc0(func(context.Context, *davit.Caller) (int32, error) { return 0, nil })),
		linker.Define("env", "host_get_timezone_offset", davit.HostFunc2(func(context.Context, *davit.Caller, uint32, uint32) (int32, error) { return 0, nil })),
		linker.Define("env", "host_module_normalize", davit.HostFunc2(noModules)),
		linker.Define("env", "host_module_load", davit.HostFunc2(noModules)),
		linker.Define("env", "host_promise_rejection", davit.HostProc3(func(context.Context, *davit.Caller, uint32, uint32, uint32) error { return nil })),
	)
	if err != nil {
		return "", err
	}
	if vm.instance, err = linker.Instantiate(ctx, store, h.module); err != nil {
		return "", err
	}
	if err := vm.bind(); err != nil {
		return "", err
	}
	return vm.run(ctx, script)
}

func noModules(context.Context, *davit.Caller, uint32, uint32) (uint32, error) { return 0, nil }

// interp is an interpreter. JavaScript values are numbers that it gives out.
type interp struct {
	instance *davit.Instance
	out      io.Writer

	initialize            func(context.Context) error
	newVM, exception      func(context.Context) (uint32, error)
	global, undefined     func(context.Context) (uint32, error)
	malloc                func(context.Context, uint32) (uint32, error)
	free, freeString      func(context.Context, uint32) error
	eval                  func(ctx context.Context, code, length, name, flags uint32) (uint32, error)
	isException, toString func(context.Context, uint32) (uint32, error)
	newFunction           func(ctx context.Context, name, length, arity uint32) (uint32, error)
	setProperty           func(ctx context.Context, object, name, value uint32) (uint32, error)
	strlen                func(context.Context, uint32) (uint32, error)
}

// bind finds the functions of the interpreter.
func (vm *interp) bind() error {
	var errs []error
	check := func(err error) { errs = append(errs, err) }
	f := vm.instance.Func
	var err error
	vm.initialize, err = davit.Proc0(f("_initialize"))
	check(err)
	vm.newVM, err = davit.Func0[uint32](f("qjs_init"))
	check(err)
	vm.exception, err = davit.Func0[uint32](f("qjs_get_exception"))
	check(err)
	vm.global, err = davit.Func0[uint32](f("qjs_get_global"))
	check(err)
	vm.undefined, err = davit.Func0[uint32](f("qjs_get_undefined"))
	check(err)
	vm.malloc, err = davit.Func1[uint32, uint32](f("malloc"))
	check(err)
	vm.free, err = davit.Proc1[uint32](f("free"))
	check(err)
	vm.freeString, err = davit.Proc1[uint32](f("qjs_free_cstring"))
	check(err)
	vm.eval, err = davit.Func4[uint32, uint32, uint32, uint32, uint32](f("qjs_eval"))
	check(err)
	vm.isException, err = davit.Func1[uint32, uint32](f("qjs_is_exception"))
	check(err)
	vm.toString, err = davit.Func1[uint32, uint32](f("qjs_get_string"))
	check(err)
	vm.newFunction, err = davit.Func3[uint32, uint32, uint32, uint32](f("qjs_new_host_function"))
	check(err)
	vm.setProperty, err = davit.Func3[uint32, uint32, uint32, uint32](f("qjs_set_prop_string"))
	check(err)
	vm.strlen, err = davit.Func1[uint32, uint32](f("strlen"))
	check(err)
	return errors.Join(errs...)
}

var errMemory = errors.New("out of memory")

// run makes an interpreter with a function print, and has it evaluate script.
func (vm *interp) run(ctx context.Context, script string) (string, error) {
	if err := vm.initialize(ctx); err != nil {
		return "", err
	}
	if failed, err := vm.newVM(ctx); err != nil || failed != 0 {
		return "", errors.Join(err, errMemory)
	}
	name, err := vm.newString(ctx, "print")
	if err != nil {
		return "", err
	}
	print, err := vm.newFunction(ctx, name, uint32(len("print")), 1)
	if err != nil {
		return "", err
	}
	global, err := vm.global(ctx)
	if err != nil {
		return "", err
	}
	if _, err := vm.setProperty(ctx, global, name, print); err != nil {
		return "", err
	}
	code, err := vm.newString(ctx, script)
	if err != nil {
		return "", err
	}
	file, err := vm.newString(ctx, "script.js")
	if err != nil {
		return "", err
	}
	value, err := vm.eval(ctx, code, uint32(len(script)), file, 0)
	if err != nil {
		return "", err
	}
	thrown, err := vm.isException(ctx, value)
	if err != nil {
		return "", err
	}
	if thrown == 0 {
		return vm.text(ctx, value)
	}
	if value, err = vm.exception(ctx); err != nil {
		return "", err
	}
	s, err := vm.text(ctx, value)
	if err != nil {
		return "", err
	}
	return "", errors.New(s)
}

// newString is a copy of s in the interpreter's memory, with a zero behind it.
func (vm *interp) newString(ctx context.Context, s string) (uint32, error) {
	p, err := vm.malloc(ctx, uint32(len(s)+1))
	if err != nil {
		return 0, err
	}
	if p == 0 {
		return 0, errMemory
	}
	_, err = vm.instance.Memory("memory").WriteAt([]byte(s+"\x00"), int64(p))
	return p, err
}

// text is what JavaScript's String makes of a value.
func (vm *interp) text(ctx context.Context, value uint32) (string, error) {
	p, err := vm.toString(ctx, value)
	if err != nil {
		return "", err
	}
	if p == 0 {
		return "", errMemory
	}
	n, err := vm.strlen(ctx, p)
	if err != nil {
		return "", err
	}
	s, ok := vm.instance.Memory("memory").ReadString(uint64(p), uint64(n))
	if !ok {
		return "", davit.ErrOutOfBounds
	}
	return s, vm.freeString(ctx, p)
}

// hostCall is called for functions of the host. There is one only, print.
func (vm *interp) hostCall(ctx context.Context, c *davit.Caller, name, length, this, argc, argv uint32) (uint32, error) {
	view, ok := c.View(uint64(argv), 4*uint64(argc))
	if !ok {
		return 0, davit.ErrOutOfBounds
	}
	// The view is only good until the guest's memory grows: take what is needed
	// before calling the guest.
	args := make([]uint32, argc)
	for i := range args {
		args[i] = binary.LittleEndian.Uint32(view[4*i:])
	}
	for i, a := range args {
		s, err := vm.text(ctx, a)
		if err != nil {
			return 0, err
		}
		if i > 0 {
			s = " " + s
		}
		if _, err := io.WriteString(vm.out, s); err != nil {
			return 0, err
		}
	}
	fmt.Fprintln(vm.out)
	return vm.undefined(ctx)
}
