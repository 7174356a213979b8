package main

import (
	"path/filepath"
	"regexp"
	"runtime"
)

// deadlinePrograms are programs of the corpus with loops and calls of all kinds.
var deadlinePrograms = regexp.MustCompile(`^(blake3-scalar|bz2|libsodium-scalarmult|meshoptimizer|quicksort|regex|shootout-(base64|ctype|fib2|matrix|sieve|switch)|sqlite3|tinygo-json)$`)

var quickDeadlinePrograms = regexp.MustCompile(`^(bz2|quicksort|shootout-matrix)$`)

// interruptible are engines, and the same engines when what they run can be stopped.
var interruptible = []struct{ name, without, with string }{
	{"davit", "davit", "davit:deadline"},
	{"davit, epochs", "davit", "davit:epoch+deadline"},
	{"wazero", "wazero", "wazero:deadline"},
	{"wasmtime, epochs", "wasmtime", "wasmtime:epoch"},
}

// deadlines measures what it costs running programs that they can be stopped.
func (b *bench) deadlines() ([]*table, error) {
	match := b.match
	if match.String() == "" {
		if match = deadlinePrograms; b.quick {
			match = quickDeadlinePrograms
		}
	}
	list, skipped, err := findCorpus(b.corpus, match)
	if err != nil {
		return nil, err
	}
	cols := []string{"without"}
	var specs []string
	index := map[string]int{}
	for _, x := range interruptible {
		cols = append(cols, x.name)
		for _, s := range []string{x.without, x.with} {
			if _, ok := index[s]; !ok {
				index[s] = len(specs)
				specs = append(specs, s)
			}
		}
	}
	engines, err := b.engines(specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	t := b.newTable("deadline", "What being interruptible costs", "×", cols)
	t.Base, t.Skipped = 0, skipped
	t.About = "Processor time of programs with an active deadline, far away, relative to that of the same engine without: davit's context with interruption by signals (as by default) and by epochs, wazero's WithCloseOnContextDone, Wasmtime's epoch interruption."
	for _, p := range list {
		b.progress(t, p.name)
		r := t.add(p.name)
		times := make([]cell, len(specs))
		modules := make([]module, len(specs))
		for i, e := range engines {
			if specs[i] == "davit:deadline" { // the very code that runs without
				if m, ok := modules[index["davit"]].(*davitModule); ok {
					modules[i] = &davitModule{m.engine, m.module, m.stores, true}
				} else {
					times[i] = times[index["davit"]]
				}
				continue
			}
			m, _, err := e.compile(p.wasm)
			if err != nil {
				times[i].fail(err)
				continue
			}
			defer m.close()
			modules[i] = m
		}
		b.sample(times, b.runs, func(i int) (float64, error) {
			d, _, err := runProgram(modules[i], filepath.Dir(p.path), p.want)
			return millis(d), err
		})
		r.Cells[0].Samples = []float64{1}
		for i, x := range interruptible {
			c, without, with := &r.Cells[i+1], &times[index[x.without]], &times[index[x.with]]
			if c.Error = without.Error + with.Error; c.Error != "" {
				continue
			}
			for k := range with.Samples {
				c.Samples = append(c.Samples, with.Samples[k]/without.Samples[k])
			}
		}
	}
	return []*table{t}, nil
}
