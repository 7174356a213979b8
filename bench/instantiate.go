package main

import (
	"regexp"
	"time"

	"github.com/davit-wasm/davit/wat"
)

// instantiatedPrograms are programs of different sizes of code and data.
var instantiatedPrograms = regexp.MustCompile(`^(bz2|quicksort|sqlite3|shootout-fib2|tinygo-json)$`)

var quickInstantiated = regexp.MustCompile(`^(quicksort|sqlite3)$`)

// instantiations measures how long instances take to make and to free.
func (b *bench) instantiations() ([]*table, error) {
	match := instantiatedPrograms
	if b.quick {
		match = quickInstantiated
	}
	list, _, err := findCorpus(b.corpus, match)
	if err != nil {
		return nil, err
	}
	small, err := wat.Compile(kernelText, nil)
	if err != nil {
		return nil, err
	}
	list = append([]*benchmark{{name: "four small functions", wasm: small}}, list...)
	engines, err := b.engines(b.specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	t := b.newTable("instantiate", "Making an instance", "µs", names(engines))
	t.About = "Processor time, all threads together, for making a store and an instance of a compiled module, linked before where that is possible, and closing them. V8 frees instances when it collects."
	for _, p := range list {
		b.progress(t, p.name)
		r := t.add(p.name)
		modules := make([]module, len(engines))
		counts := make([]int, len(engines))
		for i, e := range engines {
			m, _, err := e.compile(p.wasm)
			if err != nil {
				r.Cells[i].fail(err)
				continue
			}
			defer m.close()
			modules[i] = m
			// As many as take some 30 ms are made for a sample.
			const trial = 10
			c, err := m.instantiate(trial)
			if err != nil {
				r.Cells[i].fail(err)
				continue
			}
			counts[i] = min(max(trial*int(30*time.Millisecond/max(c.cpu, time.Microsecond)), trial), 2000)
		}
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			c, err := modules[i].instantiate(counts[i])
			return float64(c.cpu) / float64(counts[i]) / 1e3, err
		})
	}
	return []*table{t}, nil
}
