package main

import (
	"fmt"
	"os"
	"slices"
)

// sizes measures the machine code of the corpus and of large modules. It is the
// same every time.
func (b *bench) sizes() ([]*table, error) {
	match := b.match
	if b.quick && match.String() == "" {
		match = quickPrograms
	}
	list, _, err := findCorpus(b.corpus, match)
	if err != nil {
		return nil, err
	}
	if !b.quick {
		big, err := b.bigModules()
		if err != nil {
			return nil, err
		}
		for _, m := range big {
			if slices.ContainsFunc(list, func(p *benchmark) bool { return p.name == m.name }) {
				continue
			}
			code, err := os.ReadFile(m.path)
			if err != nil {
				return nil, err
			}
			list = append(list, &benchmark{name: m.name, wasm: code})
		}
	}
	engines, err := b.engines(b.specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	t := b.newTable("size", "Size of the machine code", "bytes", names(engines))
	t.About = "Bytes of machine code, without data and tables, for each byte of code in the module. V8 does not tell."
	for _, p := range list {
		b.progress(t, p.name)
		size, err := codeBytes(p.wasm)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		r := t.add(p.name)
		r.Vector = p.vector
		for i, e := range engines {
			n, err := e.textSize(p.wasm)
			if err != nil {
				r.Cells[i].fail(err)
				continue
			}
			r.Cells[i].Samples = []float64{float64(n) / float64(size)}
		}
	}
	return []*table{t}, nil
}
