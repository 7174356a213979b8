package main

import (
	"path/filepath"
	"regexp"
	"runtime"
)

// quickPrograms are a few short programs of different kinds.
var quickPrograms = regexp.MustCompile(`^(blake3-(scalar|simd)|bz2|libsodium-generichash|meshoptimizer|quicksort|regex|shootout-(ackermann|matrix))$`)

// execution runs the programs of the corpus. What it takes to compile them is in
// a table of its own.
func (b *bench) execution() ([]*table, error) {
	match := b.match
	if b.quick && match.String() == "" {
		match = quickPrograms
	}
	list, skipped, err := findCorpus(b.corpus, match)
	if err != nil {
		return nil, err
	}
	engines, err := b.engines(b.specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	// Times are those of the thread that runs the program.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	run := b.newTable("execution", "How fast guests run", "ms", names(engines))
	run.About = "Programs of the Sightglass suite: processor time between the marks at start and end of the timed part."
	run.Floor, run.Skipped = 0.1, skipped
	compile := b.newTable("corpus-compile", "Compiling these programs", "ms", names(engines))
	compile.About = "Processor time of all threads together, in a process that has compiled before."
	for _, p := range list {
		b.progress(run, p.name)
		r, c := run.add(p.name), compile.add(p.name)
		r.Vector, c.Vector = p.vector, p.vector
		modules := make([]module, len(engines))
		compiled := 0
		b.sample(c.Cells, b.compilations, func(i int) (float64, error) {
			compiled++
			m, cost, err := engines[i].compile(another(p.wasm, compiled))
			if err != nil {
				return 0, err
			}
			if modules[i] == nil {
				modules[i] = m
			} else {
				m.close()
			}
			return millis(cost.cpu), nil
		})
		for i := range r.Cells {
			r.Cells[i].Error = c.Cells[i].Error
		}
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			d, _, err := runProgram(modules[i], filepath.Dir(p.path), p.want)
			return millis(d), err
		})
		for i, m := range modules {
			if m != nil {
				m.close()
			}
			if c.Cells[i].Error != "" { // told once
				c.Cells[i] = cell{Absent: true}
			}
		}
	}
	return []*table{run, compile}, nil
}
