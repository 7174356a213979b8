// Command plugin loads a plugin, a WebAssembly module that implements a Go
// interface of this program, and uses it.
//
//	go run ./examples/plugin [PLUGIN.wasm]
//
// Without an argument it first builds the plugin in the folder guest, which is
// written in Go too; any language will do that can export functions.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// Filter is what plugins are for.
type Filter interface {
	// Name is what the filter calls itself.
	Name(ctx context.Context) (string, error)
	// Apply is a changed text.
	Apply(ctx context.Context, text string) (string, error)
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	wasm, err := pluginBytes()
	if err != nil {
		log.Fatal(err)
	}
	engine, err := davit.NewEngine(nil)
	if err != nil {
		log.Fatal(err)
	}
	p, err := Load(ctx, engine, wasm)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	var f Filter = p
	name, err := f.Name(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, text := range []string{"Hello, plugin!", "", "naïve café"} {
		changed, err := f.Apply(ctx, text)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s(%q) = %q\n", name, text, changed)
	}
}

// pluginBytes is the module named on the command line, or the one in guest.
func pluginBytes() ([]byte, error) {
	if len(os.Args) > 1 {
		return os.ReadFile(os.Args[1])
	}
	dir, err := os.MkdirTemp("", "plugin")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("it is not known what package this program was built from: name a plugin")
	}
	out := filepath.Join(dir, "plugin.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, info.Path+"/guest")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the plugin: %w\n%s", err, text)
	}
	return os.ReadFile(out)
}

// Plugin is a Filter that is a WebAssembly module. Texts go through buffers in
// the module's memory: the host asks for one of the right size and fills it; the
// module says where it has put its own text, until the next call.
type Plugin struct {
	system *wasip1.Process
	store  *davit.Store
	memory *davit.Memory
	name   func(context.Context) (uint64, error)
	buffer func(ctx context.Context, size uint32) (uint32, error)
	apply  func(ctx context.Context, size uint32) (uint64, error)
}

// Load makes a plugin of a module. Close it when it is not needed any more.
func Load(ctx context.Context, engine *davit.Engine, wasm []byte) (_ *Plugin, err error) {
	p := &Plugin{}
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	module, err := engine.Compile(ctx, wasm)
	if err != nil {
		return nil, err
	}
	defer module.Close() // the store keeps what it uses
	// The plugin can print, and nothing else.
	if p.system, err = wasip1.New(&wasip1.Config{Stdout: os.Stdout, Stderr: os.Stderr}); err != nil {
		return nil, err
	}
	if p.store, err = davit.NewStore(engine, &davit.StoreConfig{MaxMemoryBytes: 64 << 20}); err != nil {
		return nil, err
	}
	linker := davit.NewLinker(engine)
	if err := p.system.Define(linker); err != nil {
		return nil, err
	}
	instance, err := linker.Instantiate(ctx, p.store, module)
	if err != nil {
		return nil, err
	}
	if p.memory = instance.Memory("memory"); p.memory == nil {
		return nil, errors.New("the plugin exports no memory")
	}
	var errName, errBuffer, errApply error
	p.name, errName = davit.Func0[uint64](instance.Func("name"))
	p.buffer, errBuffer = davit.Func1[uint32, uint32](instance.Func("buffer"))
	p.apply, errApply = davit.Func1[uint32, uint64](instance.Func("apply"))
	if err := errors.Join(errName, errBuffer, errApply); err != nil {
		return nil, fmt.Errorf("not a filter: %w", err)
	}
	// Modules that are libraries, not programs, begin with this.
	if start := instance.Func("_initialize"); start != nil {
		if _, err := start.Call(ctx); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// Close frees the plugin.
func (p *Plugin) Close() error {
	var errs []error
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	if p.system != nil {
		errs = append(errs, p.system.Close())
	}
	return errors.Join(errs...)
}

// Name implements Filter.
func (p *Plugin) Name(ctx context.Context) (string, error) {
	return p.text(p.name(ctx))
}

// Apply implements Filter.
func (p *Plugin) Apply(ctx context.Context, text string) (string, error) {
	at, err := p.buffer(ctx, uint32(len(text)))
	if err != nil {
		return "", err
	}
	if _, err := p.memory.WriteAt([]byte(text), int64(at)); err != nil {
		return "", err
	}
	return p.text(p.apply(ctx, uint32(len(text))))
}

// text is a text of the module: its address in the high half of r, its length
// in the low half.
func (p *Plugin) text(r uint64, err error) (string, error) {
	if err != nil {
		return "", err
	}
	s, ok := p.memory.ReadString(r>>32, r&(1<<32-1))
	if !ok {
		return "", fmt.Errorf("the plugin's text at %#x: %w", r, davit.ErrOutOfBounds)
	}
	return s, nil
}
