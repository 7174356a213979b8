package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit/internal/wasmgen"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// TestFuzz: engines agree on random modules.
func TestFuzz(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 20
	}
	if err := fuzz("davit,davit:opt_level=none,davit:bounds+epoch+fuel,davit:cpu=x86-64-v2,wasmtime,wazero", 1, n, t.TempDir(), false); err != nil {
		t.Error(err)
	}
}

// wrong is davit's interpreter, but what a call of a module with some instruction leads
// to is wrong.
type wrong struct {
	oracleFuzz
	op wasm.Opcode
}

func (e wrong) run(code []byte, calls []fuzzCall, globals []string) ([]string, error) {
	lines, err := e.oracleFuzz.run(code, calls, globals)
	if err != nil {
		return nil, err
	}
	m, err := wasm.Decode(code, nil)
	if err != nil {
		return nil, err
	}
	var r wasm.InstrReader
	for _, c := range m.Code {
		r.Reset(c.Body, 0, &wasm.Config{Features: wasm.FeaturesAll})
		var in wasm.Instr
		for {
			more, err := r.Next(&in)
			if err != nil {
				return nil, err
			}
			if !more {
				break
			}
			if in.Op == e.op && len(lines) > 0 {
				lines[0] = "trap: wrong"
			}
		}
	}
	return lines, nil
}

// TestReduce: of a random module, what makes an engine go wrong is left and little more.
func TestReduce(t *testing.T) {
	m := wasmgen.Module(rand.New(rand.NewPCG(4, 0)), wasmgen.Config{Size: 60, Fuel: 200})
	code := wasm.Encode(m)
	calls, globals := fuzzCalls(rand.New(rand.NewPCG(4, 1)), m)
	whole, err := wat.Print(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := wasm.OpI32RemU
	if !strings.Contains(string(whole), op.String()) {
		t.Fatalf("the module has no %v", op)
	}
	text, needed, err := reduce(code, calls, globals, oracleFuzz{label: "right"}, wrong{oracleFuzz{label: "wrong"}, op})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(text, op.String()); n != 1 || len(needed) != 1 || len(text) > len(whole)/4 {
		t.Errorf("%d times %v, %d calls, %d of %d bytes:\n%s", n, op, len(needed), len(text), len(whole), text)
	}
	same := oracleFuzz{label: "same"}
	if _, _, err := reduce(code, calls, globals, same, same); err == nil {
		t.Error("an engine differs from itself")
	}
}

// testBench measures as little as there is.
func testBench(t *testing.T, specs ...string) *bench {
	return &bench{specs: specs, runs: 1, compilations: 1, budget: time.Hour, quick: true, match: regexp.MustCompile(""), temp: t.TempDir(), log: io.Discard, noise: newNoise()}
}

// TestErrors: a corpus that is not there is an error, and so are unknown
// engines and options.
func TestErrors(t *testing.T) {
	b := testBench(t, "davit")
	b.corpus = t.TempDir()
	if _, err := b.execution(); err == nil {
		t.Error("an empty corpus runs")
	}
	for _, spec := range []string{"", "wasm3", "davit:fast", "wasmtime:fast", "wazero:fast", "v8:fast"} {
		if e, err := newEngine(spec, 0); err == nil {
			e.close()
			t.Errorf("engine %q is known", spec)
		}
	}
	if err := b.measure([]string{"speed"}, &outputs{}); err == nil || !strings.Contains(err.Error(), "unknown table") {
		t.Error(err)
	}
}

// commandText is a program that prints a text between its marks.
const commandText = `(module
  (import "bench" "start" (func $start)) (import "bench" "end" (func $end))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\03\00\00\00") (data (i32.const 16) "%s")
  (func (export "_start") (local $i i32)
    (call $start)
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000000))))
    (call $end)))`

// writeCorpus makes a corpus of two programs, of which one prints something
// wrong, a component, and one that cannot be run.
func writeCorpus(t *testing.T) string {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"good": "ok\\n", "bad": "no\\n"} {
		code, err := wat.Compile(fmt.Appendf(nil, commandText, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		write(name+"/benchmark.wasm", code)
		write(name+"/benchmark.stdout.expected", []byte("ok\n"))
	}
	write("part/part.wasm", []byte("\x00asm\x0d\x00\x01\x00"))
	write("splay/splay.wasm", []byte("\x00asm\x01\x00\x00\x00"))
	return dir
}

// TestExecution: programs are timed, a wrong output is a failure, and what cannot
// be run is told in a line.
func TestExecution(t *testing.T) {
	b := testBench(t, "davit", "davit:quick", "wasmtime", "wazero")
	b.corpus, b.match = writeCorpus(t), regexp.MustCompile(".")
	tables, err := b.execution()
	if err != nil {
		t.Fatal(err)
	}
	run := tables[0]
	if got := fmt.Sprint(run.Skipped); got != "[part: is a component splay: needs garbage collection, which not all engines here have]" {
		t.Error(got)
	}
	if len(run.Rows) != 2 || run.Rows[0].Name != "bad" || run.Rows[1].Name != "good" {
		t.Fatalf("rows %v", run.Rows)
	}
	for i, name := range run.Cols {
		if c := run.Rows[0].Cells[i]; !strings.Contains(c.Error, `prints "no\n"`) {
			t.Errorf("%s prints something wrong: %+v", name, c)
		}
		if c := run.Rows[1].Cells[i]; c.Error != "" || len(c.Samples) != b.runs {
			t.Errorf("%s: %+v", name, c)
		}
		if c := tables[1].Rows[1].Cells[i]; !c.ok() || c.Samples[0] <= 0 {
			t.Errorf("%s compiles: %+v", name, c)
		}
	}
	if n := len(run.failures()); n != len(run.Cols) {
		t.Errorf("%d failures", n)
	}
}

// TestEngines: all engines that are here do what modules can do.
func TestEngines(t *testing.T) {
	code, list, err := readKernels("")
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []string{"davit", "wasmtime", "wazero", "v8"} {
		e, err := newEngine(spec, 1)
		if errors.Is(err, errAbsent) {
			t.Logf("%s: %v", spec, err)
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		defer e.close()
		m, c, err := e.compile(code)
		if err != nil || c.wall <= 0 {
			t.Fatalf("%s: %+v, %v", spec, c, err)
		}
		defer m.close()
		if c, err := m.instantiate(3); err != nil || c.wall <= 0 {
			t.Errorf("%s: instances: %+v, %v", spec, c, err)
		}
		x, err := m.exports()
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		if r, _, err := x.call("fib", 10, 2); r != 55 || err != nil {
			t.Errorf("%s: fib(10) is %d, %v", spec, r, err)
		}
		for _, k := range list {
			if _, _, err := x.call(k.Export, 1, 1); err != nil {
				t.Errorf("%s: %s: %v", spec, k.Name, err)
			}
		}
		x.close()
		if n, err := e.textSize(code); (err != nil || n < 50 || n > 10000) && !errors.Is(err, errNoSize) {
			t.Errorf("%s: %d bytes, %v", spec, n, err)
		}
	}
}

func TestStatistics(t *testing.T) {
	if q := quantile([]float64{4, 1, 3, 2}, 0.5); q != 2.5 {
		t.Error(q)
	}
	if s := spread([]float64{1, 2, 3, 4, 5}); math.Abs(s-2.0/3) > 1e-9 {
		t.Error(s)
	}
	if m := geometricMean([]float64{2, 8}); math.Abs(m-4) > 1e-9 {
		t.Error(m)
	}
	if kept := withoutOutliers([]float64{1, 1.1, 0.9, 1.05, 40, 0.95}); len(kept) != 5 {
		t.Error(kept)
	}
}

// TestMeans: small rows and failures are left out of means; outliers and vectors
// have means of their own.
func TestMeans(t *testing.T) {
	tab := &table{ID: "t", Title: "T", Unit: "ms", Cols: []string{"a", "base"}, Base: 1, Floor: 0.1}
	for i, x := range []float64{2, 2, 2, 2, 2, 2, 2, 200, 3} {
		r := tab.add(fmt.Sprint("row", i))
		r.Vector = i < 2
		r.Cells[0].Samples, r.Cells[1].Samples = []float64{x}, []float64{1}
	}
	tab.Rows[8].Cells[0].Samples, tab.Rows[8].Cells[1].Samples = []float64{0.5}, []float64{0.05}
	tab.add("failed").Cells[0].fail(errors.New("why\nstack"))
	got := ""
	for _, m := range tab.means() {
		got += fmt.Sprintf("%s %.2f; ", m.Name, m.Ratios[0])
	}
	if want := "geometric mean of 8 3.56; mean of 2 with vectors 2.00; mean of 7 without outliers 2.00; "; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if list := tab.failures(); len(list) != 1 || list[0] != "t: a: failed: why" {
		t.Error(list)
	}
	alone := tab.add("alone")
	alone.Cells[0].Samples, alone.Cells[1].Absent = []float64{7}, true
	var text bytes.Buffer
	tab.print(&text)
	tab.markdown(&text)
	for _, want := range []string{"(10.00)", "| row7 | 1.00 | 200.00 |", "| alone | – | 7.00 ms |", "| **geometric mean of 8** | | **3.56** |", "failed"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}

// TestReport: what is written can be read, compared and shown.
func TestReport(t *testing.T) {
	tab := &table{ID: "t", Title: "<Speed>", Unit: "ms", Cols: []string{"davit", "wasmtime"}, Base: 1}
	r := tab.add("a</script>")
	r.Cells[0].Samples, r.Cells[1].Samples = []float64{2, 2.01, 2.02}, []float64{1, 1, 1.1}
	tab.add("b").Cells[0].fail(errors.New("trap"))
	n := newNoise()
	n.spin()
	rep := &report{Started: time.Unix(0, 0), Machine: "a machine", Noise: n, Tables: []*table{tab}, Absent: []string{"v8 is left out"}}
	dir := t.TempDir()
	if err := rep.write(filepath.Join(dir, "r.json")); err != nil {
		t.Fatal(err)
	}
	old, err := readReport(filepath.Join(dir, "r.json"))
	if err != nil {
		t.Fatal(err)
	}
	r.Cells[0].Samples = []float64{1, 1.01, 1.02}
	var text bytes.Buffer
	compare(&text, old, rep)
	for _, want := range []string{"t: davit", "0.502", "a</script>", "2.01 → 1.01 ms", "t: wasmtime", "1.000"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	if err := rep.writePage(filepath.Join(dir, "r.html")); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(dir, "r.html"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "&lt;Speed&gt;", "a&lt;/script&gt;", "v8 is left out", "trap"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("%q is not in the page", want)
		}
	}
	if bytes.Contains(page, []byte("http://")) || bytes.Contains(page, []byte("https://")) || bytes.Contains(page, []byte("ZgotmplZ")) {
		t.Error("the page needs others, or has unsafe text")
	}
	for name, text := range map[string]string{"none": "{", "cells": `{"tables":[{"id":"t","columns":["a"],"rows":[{"name":"r","cells":[]}]}]}`} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := readReport(path); err == nil {
			t.Errorf("%s is a report", name)
		}
	}
}

// TestMakeC: the program that is made for C compilers is always the same.
func TestMakeC(t *testing.T) {
	if a, b := makeC(20), makeC(20); !bytes.Equal(a, b) || len(a) < 5000 {
		t.Errorf("%d and %d bytes", len(a), len(b))
	}
}

// TestLoading: a program goes from its file to its first call by all engines, and one
// that never calls the host is an error.
func TestLoading(t *testing.T) {
	b := testBench(t)
	b.corpus = t.TempDir()
	path := filepath.Join(b.corpus, "sqlite3", "sqlite3.wasm")
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := b.loading(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a program: %v", err)
	}
	for text, ok := range map[string]bool{
		fmt.Sprintf(commandText, "ok"):            true,
		`(module (func (export "_start") (nop)))`: false,
	} {
		if err := os.WriteFile(path, compileText(text), 0o666); err != nil {
			t.Fatal(err)
		}
		tables, err := b.loading()
		if err != nil || len(tables) != 1 || len(tables[0].Rows) != 1 {
			t.Fatalf("%v, %v", tables, err)
		}
		for i, c := range tables[0].Rows[0].Cells {
			if c.ok() != ok || ok && c.Samples[0] <= 0 || !ok && c.Error == "" {
				t.Errorf("%s: %+v, want success: %v", tables[0].Cols[i], c, ok)
			}
		}
	}
}

// TestLive: each engine keeps instances alive, and one that is not known fails.
func TestLive(t *testing.T) {
	if spec := os.Getenv("BENCH_TEST_LIVE"); spec != "" {
		if err := liveChild(spec, 200); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, spec := range []string{"davit", "wazero", "wasmtime"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestLive$")
		cmd.Env = append(os.Environ(), "BENCH_TEST_LIVE="+spec)
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: %v\n%s", spec, err, out)
			continue
		}
		var l live
		if err := json.NewDecoder(bytes.NewReader(out)).Decode(&l); err != nil || l.Called.Memory <= 0 {
			t.Errorf("%s: %+v, %v", spec, l, err)
		}
	}
	if err := liveChild("v8", 1); err == nil {
		t.Error("instances of v8 are counted")
	}
}

// TestDeadlines: programs are timed with and without, and one that prints something
// wrong has no ratio.
func TestDeadlines(t *testing.T) {
	b := testBench(t)
	b.corpus, b.match = writeCorpus(t), regexp.MustCompile(".")
	tables, err := b.deadlines()
	if err != nil {
		t.Fatal(err)
	}
	tab := tables[0]
	if len(tab.Rows) != 2 || len(tab.Cols) != 1+len(interruptible) || tab.Cols[tab.Base] != "without" {
		t.Fatalf("%+v", tab)
	}
	for i, name := range tab.Cols[1:] {
		if c := tab.Rows[0].Cells[i+1]; c.Error == "" {
			t.Errorf("%s prints something wrong: %+v", name, c)
		}
		if x, ok := tab.ratio(tab.Rows[1], i+1); !ok || x <= 0 {
			t.Errorf("%s: %v, %v", name, x, ok)
		}
	}
	for spec, want := range map[string]string{"davit:deadline": "davit:deadline", "davit:epoch+deadline": "davit:epoch+deadline", "wazero:deadline": "wazero:deadline", "wasmtime:epoch": "wasmtime:epoch"} {
		e, err := newEngine(spec, 0)
		if err != nil || e.name() != want {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		e.close()
	}
}
