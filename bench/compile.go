package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// A compilation is what compiling a module costs in a process that does nothing
// else.
type compilation struct {
	Wall, CPU    float64 // seconds
	Growth, Peak float64 // of the memory that is in use, MB: after it, at most
}

// compileChild is the process in which a module is compiled once: it prints a
// compilation. What an engine sets up once is not part of it.
func compileChild(spec string, threads int, path string) error {
	code, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	e, err := newEngine(spec, threads)
	if err != nil {
		return err
	}
	defer e.close()
	m, _, err := e.compile([]byte("\x00asm\x01\x00\x00\x00"))
	if err != nil {
		return err
	}
	m.close()
	if err := resetPeak(e.pid()); err != nil {
		return err
	}
	before, _, err := memoryOf(e.pid())
	if err != nil {
		return err
	}
	m, c, err := e.compile(code)
	if err != nil {
		return err
	}
	defer m.close()
	after, peak, err := memoryOf(e.pid())
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(compilation{c.wall.Seconds(), c.cpu.Seconds(), after - before, peak - before})
}

// resetPeak makes the process forget what it used at most (proc(5), clear_refs).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// memoryOf is the memory of a process in use now, and at most, in MB.
func memoryOf(pid int) (rss, peak float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		kb, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			rss = kb * 1024 / 1e6
		case "VmHWM":
			peak = kb * 1024 / 1e6
		default:
			continue
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return rss, peak, nil
}

// compileApart compiles a module in a process of its own.
func compileApart(spec string, threads int, path string) (c compilation, err error) {
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	cmd := exec.Command(self, "-child", spec, "-threads", strconv.Itoa(threads), path)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return c, errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return c, err
	}
	return c, json.Unmarshal(out, &c)
}

// quickOf is the spec of an engine's quick compiler; "" if it has none.
func quickOf(spec string) string {
	switch spec {
	case "davit":
		return "davit:quick"
	case "wasmtime":
		return "wasmtime:none"
	case "v8":
		return "v8:liftoff"
	}
	return ""
}

// bigModule is a module whose compilation takes long.
type bigModule struct{ name, path string }

// bigModules are modules of some size, built where they are not found.
func (b *bench) bigModules() (list []bigModule, err error) {
	add := func(path string) {
		if _, err := os.Stat(path); err != nil {
			b.skip(fmt.Sprintf("%s is left out: it is not there", path))
			return
		}
		list = append(list, bigModule{strings.TrimSuffix(filepath.Base(path), ".wasm"), path})
	}
	add(filepath.Join(b.corpus, "sqlite3", "sqlite3.wasm"))
	if b.quick {
		return list, nil
	}
	add(filepath.Join(b.real, "esbuild.wasm"))
	for _, name := range []string{"gofmt", "compile"} {
		path := filepath.Join(b.temp, "go-"+name+".wasm")
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintf(b.log, "building cmd/%s\n", name)
			cmd := exec.Command("go", "build", "-o", path, "cmd/"+name)
			cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
			cmd.Stderr = os.Stderr
			if err := cmd.Run(); err != nil {
				return nil, fmt.Errorf("building cmd/%s: %w", name, err)
			}
		}
		add(path)
	}
	return list, nil
}

// compiling measures the compilation of large modules, each in a process of
// its own, with the memory that it needs.
func (b *bench) compiling() ([]*table, error) {
	list, err := b.bigModules()
	if err != nil {
		return nil, err
	}
	specs, err := b.present(b.specs)
	if err != nil {
		return nil, err
	}
	var quick []string
	for _, s := range specs {
		if q := quickOf(s); q != "" {
			quick = append(quick, q)
		}
	}
	one := b.newTable("compile-thread", "Compiling on one thread", "s", specs)
	one.About = "Processor time in a new process, all threads together. Behind it: megabytes of wasm code per second."
	wall := b.newTable("compile-parallel", "Compiling on all processors", "s", specs)
	wall.About = "Time that passes. Behind it: how many times as fast as on one thread."
	cpu := b.newTable("compile-parallel-cpu", "Compiling on all processors, processor time", "s", specs)
	cpu.About = "Processor time of all threads together: what the speed-up costs is the distance to one thread."
	fast := b.newTable("compile-quick", "Quick compilers on one thread", "s", quick)
	fast.About = "Processor time with what each engine has to compile fast: davit's opt_level=none with the single-pass allocator, Wasmtime's opt level none, V8's Liftoff. Behind it: megabytes of wasm code per second."
	growth := b.newTable("memory", "Memory of a compiled module", "MB", specs)
	growth.About = "By how much the resident set of a process has grown when it has compiled on all processors and holds the module."
	peak := b.newTable("memory-peak", "Memory while compiling", "MB", specs)
	peak.About = "By how much the resident set grows at most meanwhile."

	for _, m := range list {
		code, err := os.ReadFile(m.path)
		if err != nil {
			return nil, err
		}
		size, err := codeBytes(code)
		if err != nil {
			return nil, err
		}
		rate := func(r *row) {
			for i := range r.Cells {
				if c := &r.Cells[i]; c.ok() {
					c.Note = fmt.Sprintf("%.1f MB/s", float64(size)/1e6/median(c.Samples))
				}
			}
		}
		b.progress(one, m.name)
		oneRow := one.add(m.name)
		walls := make([][]float64, len(specs))
		b.sampleApart(oneRow.Cells, func(i int) (float64, error) {
			c, err := compileApart(specs[i], 1, m.path)
			walls[i] = append(walls[i], c.Wall)
			return c.CPU, err
		})
		rate(oneRow)

		b.progress(wall, m.name)
		wallRow, cpuRow, growthRow, peakRow := wall.add(m.name), cpu.add(m.name), growth.add(m.name), peak.add(m.name)
		all := make([][]compilation, len(specs))
		b.sampleApart(wallRow.Cells, func(i int) (float64, error) {
			c, err := compileApart(specs[i], 0, m.path)
			all[i] = append(all[i], c)
			return c.Wall, err
		})
		for i := range specs {
			if !wallRow.Cells[i].ok() {
				for _, r := range []*row{cpuRow, growthRow, peakRow} {
					r.Cells[i].Absent = true
				}
				continue
			}
			if oneRow.Cells[i].ok() {
				wallRow.Cells[i].Note = fmt.Sprintf("%.2f×", median(walls[i])/median(wallRow.Cells[i].Samples))
			}
			for _, c := range all[i] {
				cpuRow.Cells[i].Samples = append(cpuRow.Cells[i].Samples, c.CPU)
				growthRow.Cells[i].Samples = append(growthRow.Cells[i].Samples, c.Growth)
				peakRow.Cells[i].Samples = append(peakRow.Cells[i].Samples, c.Peak)
			}
		}
		if len(quick) == 0 {
			continue
		}
		b.progress(fast, m.name)
		fastRow := fast.add(m.name)
		b.sampleApart(fastRow.Cells, func(i int) (float64, error) {
			c, err := compileApart(quick[i], 1, m.path)
			return c.CPU, err
		})
		rate(fastRow)
	}
	tables := []*table{one, wall, cpu}
	if len(quick) > 0 {
		tables = append(tables, fast)
	}
	return append(tables, growth, peak), nil
}

// present are the specs of engines that are on this machine.
func (b *bench) present(specs []string) ([]string, error) {
	engines, err := b.engines(specs, 0)
	defer closeAll(engines)
	return names(engines), err
}
