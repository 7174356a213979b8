package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/davit-wasm/davit/wasm"
)

// bench is what all tables need to be measured.
type bench struct {
	specs []string // the engines' names with options
	base  string   // the engine that others are compared with
	runs  int
	// compilations is how many samples there are of what is compiled.
	compilations int
	budget       time.Duration // after which a row has enough samples, if there are three
	quick        bool
	match        *regexp.Regexp // programs and kernels
	corpus       string         // folder of the Sightglass suite
	kernels      string         // folder of kernels; "" for the built-in ones
	real         string         // folder of larger modules
	temp         string         // folder for what is built
	log          io.Writer      // says what is under way
	noise        *noise

	absent []string // what is not installed, a line each
}

// leastRuns is how many samples there are in any case.
const leastRuns = 3

// engines are the peers of specs that are on this machine.
func (b *bench) engines(specs []string, threads int) (list []engine, err error) {
	for _, spec := range specs {
		e, err := newEngine(spec, threads)
		if errors.Is(err, errAbsent) {
			b.skip(fmt.Sprintf("%s is left out: %v", spec, err))
			continue
		}
		if err != nil {
			closeAll(list)
			return nil, fmt.Errorf("%s: %w", spec, err)
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil, errors.New("there is no engine")
	}
	return list, nil
}

func closeAll(list []engine) {
	for _, e := range list {
		e.close()
	}
}

// skip notes once that something is absent.
func (b *bench) skip(line string) {
	if !slices.Contains(b.absent, line) {
		b.absent = append(b.absent, line)
	}
}

// newTable is a table with a column for each name.
func (b *bench) newTable(id, title, unit string, cols []string) *table {
	t := &table{ID: id, Title: title, Unit: unit, Cols: cols, Base: len(cols) - 1}
	base := b.base
	if base == "" {
		base = "wasmtime"
	}
	if i := slices.Index(cols, base); i >= 0 {
		t.Base = i
	} else if i := slices.IndexFunc(cols, func(c string) bool { return strings.HasPrefix(c, base+":") }); i >= 0 {
		t.Base = i
	}
	return t
}

func names(list []engine) (names []string) {
	for _, e := range list {
		names = append(names, e.name())
	}
	return names
}

// add adds a row.
func (t *table) add(name string) *row {
	r := &row{Name: name, Cells: make([]cell, len(t.Cols))}
	t.Rows = append(t.Rows, r)
	return r
}

// sample measures the columns of a row in turn: once to warm up, and then as
// often as runs says, unless it takes too long. Each round begins with another column
// and goes the other way round, so that none is always the one after the longest. Columns that fail, or that the caller has
// failed before, are left out.
func (b *bench) sample(cells []cell, runs int, do func(col int) (float64, error)) {
	b.rounds(cells, 1, runs, do)
}

// sampleApart is sample for compilations that have processes of their own, where
// there is nothing to warm up.
func (b *bench) sampleApart(cells []cell, do func(col int) (float64, error)) {
	b.rounds(cells, 0, b.compilations, do)
}

func (b *bench) rounds(cells []cell, warm, runs int, do func(col int) (float64, error)) {
	runtime.GC() // what was before does not count
	b.noise.spin()
	start := time.Now()
	for k := range warm + runs {
		if k >= warm+leastRuns && time.Since(start) > b.budget {
			break
		}
		for j := range cells {
			i := (j + k) % len(cells)
			if k%2 == 1 {
				i = (k + len(cells) - j) % len(cells) // so that each is not always after the same
			}
			c := &cells[i]
			if c.Error != "" || c.Absent {
				continue
			}
			x, err := do(i)
			switch {
			case err != nil:
				c.fail(err)
			case k >= warm:
				c.Samples = append(c.Samples, x)
			}
		}
	}
}

// fail makes a cell one that has failed.
func (c *cell) fail(err error) {
	c.Samples = nil
	c.Error, _, _ = strings.Cut(err.Error(), "\n")
	if errors.Is(err, errNoSize) {
		c.Error, c.Absent = "", true
	}
}

// benchmark is a program of the corpus with what it must print.
type benchmark struct {
	name, path string
	wasm, want []byte
	vector     bool
}

// unrunnable are programs of the suite that nobody can run here.
var unrunnable = map[string]string{
	"splay":          "needs garbage collection, which not all engines here have",
	"pulldown-cmark": "its input is not in the folder, and it traps without",
}

// findCorpus is the benchmarks below a folder that match, and lines about those
// that cannot be run.
func findCorpus(dir string, match *regexp.Regexp) (list []*benchmark, skipped []string, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, nil, err
	}
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.wasm"))
	if err != nil {
		return nil, nil, err
	}
	for _, p := range paths {
		folder, base := filepath.Split(p)
		base = strings.TrimSuffix(base, ".wasm")
		b := &benchmark{name: base, path: p}
		if base == "benchmark" {
			b.name = filepath.Base(folder)
		}
		if !match.MatchString(b.name) {
			continue
		}
		if b.wasm, err = os.ReadFile(p); err != nil {
			return nil, nil, err
		}
		reason, bad := unrunnable[b.name]
		if bytes.HasPrefix(b.wasm, []byte("\x00asm\x0d\x00\x01\x00")) {
			reason, bad = "is a component", true
		}
		if bad {
			skipped = append(skipped, b.name+": "+reason)
			continue
		}
		if features, err := wasm.UsedFeatures(b.wasm); err == nil {
			b.vector = features&wasm.FeatureSIMD != 0
		}
		for _, stem := range []string{base, "default"} {
			if b.want, err = os.ReadFile(folder + stem + ".stdout.expected"); err == nil || !errors.Is(err, os.ErrNotExist) {
				break
			}
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, nil, err
		}
		list = append(list, b)
	}
	slices.SortFunc(list, func(a, b *benchmark) int { return strings.Compare(a.name, b.name) })
	if len(list) == 0 {
		return nil, nil, fmt.Errorf("no benchmark in %s matches %q", dir, match)
	}
	return list, skipped, nil
}

// runProgram runs a program once and checks what it prints, unless want is nil.
func runProgram(p program, dir string, want []byte) (time.Duration, []byte, error) {
	stdout, err := os.CreateTemp("", "bench")
	if err != nil {
		return 0, nil, err
	}
	defer os.Remove(stdout.Name())
	defer stdout.Close()
	d, err := p.run(dir, stdout)
	if err != nil {
		return 0, nil, err
	}
	got, err := os.ReadFile(stdout.Name())
	if err != nil {
		return 0, nil, err
	}
	if want != nil && !bytes.Equal(got, want) {
		return 0, nil, fmt.Errorf("prints %.60q, expected is %.60q", got, want)
	}
	if d <= 0 {
		return 0, nil, errors.New("bench.start and bench.end were not called")
	}
	return d, got, nil
}

// codeBytes is how many bytes of code are in the functions of a module.
func codeBytes(b []byte) (int, error) {
	m, err := wasm.Decode(b, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range m.Code {
		n += len(m.Code[i].Body)
	}
	return n, nil
}

// another is the same module with a section that no other has, for engines that
// remember what they have compiled.
func another(code []byte, k int) []byte {
	name := fmt.Sprintf("another%d", k)
	section := append([]byte{0, byte(len(name) + 2), byte(len(name))}, name+"\x00"...) // wazero wants something behind the name
	return append(slices.Clone(code), section...)
}

// progress says what is under way.
func (b *bench) progress(t *table, name string) { fmt.Fprintf(b.log, "%s: %s\n", t.ID, name) }

func millis(d time.Duration) float64 { return float64(d) / 1e6 }
