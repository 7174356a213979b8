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

// v8Corpus is a process of node, to which requests go by its standard input.
type v8Corpus struct {
	label  string
	script string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
}

// newV8Corpus starts node. Modules are compiled at once by the optimizing
// compiler, or with the option liftoff by the quick one alone.
func newV8Corpus(option string) (corpusEngine, error) {
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
	f, err := os.CreateTemp("", "bench-*.mjs")
	if err != nil {
		return nil, err
	}
	_, err = f.Write(v8Script)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	e := &v8Corpus{label: label("v8", option), script: f.Name(), cmd: exec.Command("node", append(flags, f.Name())...)}
	e.cmd.Stderr = os.Stderr
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	e.out = bufio.NewReader(out)
	return e, e.cmd.Start()
}

func (e *v8Corpus) name() string { return e.label }

func (e *v8Corpus) close() {
	e.in.Close()
	e.cmd.Wait()
	os.Remove(e.script)
}

// newV8 is V8 as an engine for kernels.
func newV8() (*v8Kernels, error) {
	e, err := newV8Corpus("")
	if err != nil {
		return nil, err
	}
	return &v8Kernels{e.(*v8Corpus)}, nil
}

// v8Kernels runs the kernels; the time of a request is part of what is measured.
type v8Kernels struct{ *v8Corpus }

func (e *v8Kernels) load(wasm []byte) (kernelModule, error) {
	p, _, err := e.program(wasm)
	if err != nil {
		return nil, err
	}
	return v8Module{p.(*v8Program)}, nil
}

func (e *v8Kernels) compile(wasm []byte) error {
	p, _, err := e.program(wasm)
	if err == nil {
		p.close()
	}
	return err
}

type v8Module struct{ *v8Program }

func (m v8Module) call(export string, arg int32, n int) (int32, error) {
	a, err := m.engine.ask(v8Request{Op: "call", ID: m.id, Export: export, Arg: arg, N: n})
	return a.Result, err
}

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
	Took   float64 `json:"took"` // nanoseconds
	Result int32   `json:"result"`
	Error  string  `json:"error"`

	Traps       []string   `json:"traps"`
	Values      []jsonBits `json:"values"`
	Size        int        `json:"size"`
	Hash        string     `json:"hash"`
	Globals     jsonBits   `json:"globals"`
	GlobalTypes []string   `json:"globalTypes"`
}

func (e *v8Corpus) ask(r v8Request) (a v8Answer, err error) {
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

func (e *v8Corpus) program(wasm []byte) (program, time.Duration, error) {
	f, err := os.CreateTemp("", "bench-*.wasm")
	if err != nil {
		return nil, 0, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(wasm)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, 0, err
	}
	a, err := e.ask(v8Request{Op: "compile", Path: f.Name()})
	return &v8Program{e, a.ID}, time.Duration(a.Took), err
}

type v8Program struct {
	engine *v8Corpus
	id     int
}

func (p *v8Program) run(dir string, stdout *os.File) (time.Duration, error) {
	a, err := p.engine.ask(v8Request{Op: "run", ID: p.id, Dir: dir, Stdout: stdout.Name()})
	return time.Duration(a.Took), err
}

func (p *v8Program) close() { p.engine.ask(v8Request{Op: "forget", ID: p.id}) }
