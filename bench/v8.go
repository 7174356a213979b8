package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

//go:embed v8.mjs
var v8Script []byte

// v8Engine is a process of node, to which requests go by its standard input.
type v8Engine struct {
	label  string
	script string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
}

// newV8 starts node. Modules are compiled at once by the optimizing compiler, or
// with the option liftoff by the quick one alone.
func newV8(option string, threads int) (engine, error) {
	e, err := startV8(option, threads)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func startV8(option string, threads int) (*v8Engine, error) {
	// Without the last flag node 20 crashes now and then in WASI calls.
	flags := []string{"--no-warnings", "--no-wasm-lazy-compilation", "--no-wasm-tier-up", "--no-turbo-fast-api-calls"}
	switch option {
	case "":
		flags = append(flags, "--no-liftoff")
	case "liftoff":
		flags = append(flags, "--liftoff-only")
	default:
		return nil, fmt.Errorf("unknown option %q of v8", option)
	}
	if threads > 0 {
		// The thread that asks for a module compiles too.
		flags = append(flags, fmt.Sprintf("--wasm-num-compilation-tasks=%d", threads-1))
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, fmt.Errorf("node: %w", errAbsent)
	}
	f, err := os.CreateTemp("", "bench-*.mjs")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(v8Script)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	e := &v8Engine{label: label("v8", option), script: f.Name(), cmd: exec.Command(node, append(flags, f.Name())...)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	// The first module pays for what V8 sets up once.
	m, _, err := e.compile([]byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		e.close()
		return nil, err
	}
	m.close()
	return e, nil
}

func (e *v8Engine) name() string { return e.label }
func (e *v8Engine) pid() int     { return e.cmd.Process.Pid }

func (e *v8Engine) close() {
	e.in.Close()
	e.cmd.Wait()
	os.Remove(e.script)
}

func (e *v8Engine) textSize([]byte) (int, error) { return 0, errNoSize }

type v8Request struct {
	Op     string `json:"op"`
	ID     int    `json:"id"`
	Path   string `json:"path,omitempty"`
	Dir    string `json:"dir,omitempty"`
	Stdout string `json:"stdout,omitempty"`
	Export string `json:"export,omitempty"`
	Arg    int32  `json:"arg"`
	N      int    `json:"n"`

	Calls   []fuzzCall `json:"calls,omitempty"`
	Globals []string   `json:"globals,omitempty"`
}

// jsonBits is numbers of 64 bits, in JSON as texts.
type jsonBits []uint64

// UnmarshalJSON reads numbers as texts.
func (b *jsonBits) UnmarshalJSON(data []byte) error {
	var list []string
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	*b = nil
	for _, s := range list {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return err
		}
		*b = append(*b, v)
	}
	return nil
}

type v8Answer struct {
	ID     int     `json:"id"`
	Took   float64 `json:"took"` // nanoseconds of all processors
	Wall   float64 `json:"wall"` // nanoseconds
	Result int32   `json:"result"`
	Error  string  `json:"error"`

	Traps       []string   `json:"traps"`
	Values      []jsonBits `json:"values"`
	Size        int        `json:"size"`
	Hash        string     `json:"hash"`
	Globals     jsonBits   `json:"globals"`
	GlobalTypes []string   `json:"globalTypes"`
}

func (e *v8Engine) ask(r v8Request) (a v8Answer, err error) {
	if err := json.NewEncoder(e.in).Encode(r); err != nil {
		return a, err
	}
	line, err := e.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("node has ended: %w", errors.Join(err, e.cmd.Wait()))
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (e *v8Engine) compile(wasm []byte) (module, cost, error) {
	f, err := os.CreateTemp("", "bench-*.wasm")
	if err != nil {
		return nil, cost{}, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(wasm)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, cost{}, err
	}
	a, err := e.ask(v8Request{Op: "compile", Path: f.Name()})
	return &v8Module{e, a.ID}, a.cost(), err
}

func (a *v8Answer) cost() cost { return cost{time.Duration(a.Wall), time.Duration(a.Took)} }

type v8Module struct {
	engine *v8Engine
	id     int
}

func (m *v8Module) close() { m.engine.ask(v8Request{Op: "forget", ID: m.id}) }

func (m *v8Module) run(dir string, stdout *os.File) (time.Duration, error) {
	a, err := m.engine.ask(v8Request{Op: "run", ID: m.id, Dir: dir, Stdout: stdout.Name()})
	return time.Duration(a.Took), err
}

func (m *v8Module) instantiate(n int) (cost, error) {
	a, err := m.engine.ask(v8Request{Op: "instantiate", ID: m.id, N: n})
	return a.cost(), err
}

func (m *v8Module) exports() (exports, error) {
	_, err := m.engine.ask(v8Request{Op: "exports", ID: m.id})
	return v8Exports{m}, err
}

// v8Exports is the instance that node keeps of a module.
type v8Exports struct{ *v8Module }

func (x v8Exports) close() { x.engine.ask(v8Request{Op: "drop", ID: x.id}) }

func (x v8Exports) call(export string, arg int32, n int) (int32, time.Duration, error) {
	a, err := x.engine.ask(v8Request{Op: "call", ID: x.id, Export: export, Arg: arg, N: n})
	return a.Result, time.Duration(a.Took), err
}
