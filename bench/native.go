package main

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// native holds kernels in C, which become both WebAssembly and programs of this
// machine.
//
//go:embed native/*.c native/bench.h
var native embed.FS

// nativeDir writes the kernels to a folder, and lists their names.
func (b *bench) nativeDir() (dir string, list []string, err error) {
	dir = filepath.Join(b.temp, "native")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", nil, err
	}
	files, err := fs.ReadDir(native, "native")
	if err != nil {
		return "", nil, err
	}
	for _, f := range files {
		text, err := native.ReadFile("native/" + f.Name())
		if err != nil {
			return "", nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), text, 0o666); err != nil {
			return "", nil, err
		}
		if name, ok := strings.CutSuffix(f.Name(), ".c"); ok && b.match.MatchString(name) {
			list = append(list, name)
		}
	}
	return dir, list, nil
}

// command runs a program and is the processor time it took; what it says is the
// error if it fails.
func command(name string, args ...string) (time.Duration, error) {
	cmd := exec.Command(name, args...)
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return 0, fmt.Errorf("%s: %s", name, strings.TrimSpace(string(out)))
	}
	if err != nil {
		return 0, err
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// toWasm compiles C to WebAssembly, without a C library.
func toWasm(source, out string) error {
	_, err := command("clang", "--target=wasm32", "-O2", "-mbulk-memory", "-nostdlib", "-Wl,--no-entry", "-Wl,--export=_start", source, "-o", out)
	return err
}

// hasWasmCC reports whether C can be compiled to WebAssembly.
func (b *bench) hasWasmCC() bool {
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			b.skip(fmt.Sprintf("the kernels in C are left out: %s is not installed", tool))
			return false
		}
	}
	return true
}

// nativeCompilers are the C compilers of this machine.
func (b *bench) nativeCompilers() (list []string) {
	for _, cc := range []string{"clang", "gcc"} {
		if _, err := exec.LookPath(cc); err != nil {
			b.skip(fmt.Sprintf("%s is left out: not installed", cc))
			continue
		}
		list = append(list, cc)
	}
	return list
}

// nativeProgram is a program of this machine, which writes what it took, in
// nanoseconds, to its standard error stream.
type nativeProgram string

func (p nativeProgram) run(dir string, stdout *os.File) (time.Duration, error) {
	var stderr strings.Builder
	cmd := exec.Command(string(p))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, &stderr
	if err := cmd.Run(); err != nil {
		return 0, err
	}
	ns, err := strconv.ParseInt(strings.TrimSpace(stderr.String()), 10, 64)
	return time.Duration(ns), err
}

// nativeKernels runs kernels in C as WebAssembly and as programs of this machine.
func (b *bench) nativeKernels() ([]*table, error) {
	if !b.hasWasmCC() {
		return nil, nil
	}
	dir, list, err := b.nativeDir()
	if err != nil || len(list) == 0 {
		return nil, err
	}
	engines, err := b.engines(b.specs, 0)
	if err != nil {
		return nil, err
	}
	defer closeAll(engines)
	compilers := b.nativeCompilers()
	cols := names(engines)
	for _, cc := range compilers {
		cols = append(cols, cc+" -O2")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	t := b.newTable("native", "Beside native code", "ms", cols)
	t.About = "Kernels in C, compiled by clang -O2 to WebAssembly without vectors, and by C compilers to native programs, which may use the vectors of the oldest x86-64."
	for _, name := range list {
		b.progress(t, name)
		r := t.add(name)
		source, path := filepath.Join(dir, name+".c"), filepath.Join(dir, name+".wasm")
		if err := toWasm(source, path); err != nil {
			return nil, err
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		programs := make([]program, len(cols))
		for i, e := range engines {
			m, _, err := e.compile(code)
			if err != nil {
				r.Cells[i].fail(err)
				continue
			}
			defer m.close()
			programs[i] = m
		}
		for i, cc := range compilers {
			out := filepath.Join(dir, name+"-"+cc)
			if _, err := command(cc, "-O2", source, "-o", out); err != nil {
				return nil, err
			}
			programs[len(engines)+i] = nativeProgram(out)
		}
		var want []byte // what the first one prints
		b.sample(r.Cells, b.runs, func(i int) (float64, error) {
			d, got, err := runProgram(programs[i], dir, want)
			if want == nil && err == nil {
				want = got
			}
			return millis(d), err
		})
	}
	return []*table{t}, nil
}

// nativeCompilation compares compiling C with compiling the WebAssembly that it
// becomes: the same functions, for the same machine.
func (b *bench) nativeCompilation() ([]*table, error) {
	if !b.hasWasmCC() {
		return nil, nil
	}
	specs, err := b.present(b.specs)
	if err != nil {
		return nil, err
	}
	var cols []string
	var compilers [][]string
	cols = append(cols, specs...)
	for _, cc := range b.nativeCompilers() {
		for _, level := range []string{"-O0", "-O2"} {
			cols = append(cols, cc+" "+level)
			compilers = append(compilers, []string{cc, level})
		}
	}
	t := b.newTable("native-compile", "Compiling beside C compilers", "s", cols)
	t.About = "Processor time, on one thread, for a C program that is made for this: C compilers from C to object files, engines from the WebAssembly that clang -O2 made of it to machine code in memory."
	sizes := []int{200, 2000}
	if b.quick {
		sizes = []int{40}
	}
	for _, n := range sizes {
		name := fmt.Sprintf("%d functions", n)
		b.progress(t, name)
		r := t.add(name)
		source, path := filepath.Join(b.temp, fmt.Sprintf("made%d.c", n)), filepath.Join(b.temp, fmt.Sprintf("made%d.wasm", n))
		if err := os.WriteFile(source, makeC(n), 0o666); err != nil {
			return nil, err
		}
		if err := toWasm(source, path); err != nil {
			return nil, err
		}
		b.sampleApart(r.Cells, func(i int) (float64, error) {
			if i < len(specs) {
				c, err := compileApart(specs[i], 1, path)
				return c.CPU, err
			}
			cc := compilers[i-len(specs)]
			d, err := command(cc[0], cc[1], "-c", source, "-o", filepath.Join(b.temp, "made.o"))
			return d.Seconds(), err
		})
	}
	return []*table{t}, nil
}

// makeC is a C program of n functions, always the same: loops over arrays,
// branches, switches, calls of functions before, arithmetic of several types.
func makeC(n int) []byte {
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var b strings.Builder
	b.WriteString("typedef unsigned u32;\ntypedef unsigned long long u64;\n" +
		"static u32 words[4096];\nstatic double reals[1024];\nstruct node { struct node *next; u32 key; u64 value; };\nstatic struct node nodes[512];\n\n")
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	expression := func() string {
		x := pick("a", "b", "s", "words[(a + i) & 4095]", "(u32)(w >> 7)")
		for range 1 + r.IntN(4) {
			x = fmt.Sprintf("(%s %s %s)", x, pick("+", "-", "*", "^", "|", "&"), pick("a", "b", "i", "s", "words[(b ^ i) & 4095]", strconv.Itoa(r.IntN(1000)), "(s >> 3)", "(b << 5)"))
		}
		return x
	}
	for k := range n {
		fmt.Fprintf(&b, "__attribute__((noinline)) u32 f%d(u32 a, u32 b) {\n\tu32 s = a ^ %du, i = 0;\n\tu64 w = b * %dull;\n\tdouble d = a;\n", k, r.Uint32(), r.Uint64()|1)
		for range 3 + r.IntN(6) {
			switch r.IntN(7) {
			case 0:
				fmt.Fprintf(&b, "\tfor (i = 0; i < (b & 63); i++)\n\t\ts += %s;\n", expression())
			case 1:
				fmt.Fprintf(&b, "\tif (%s > %s)\n\t\ts = %s;\n\telse\n\t\tw ^= s;\n", expression(), expression(), expression())
			case 2:
				b.WriteString("\tswitch (s & 7) {\n")
				for c := range 6 {
					fmt.Fprintf(&b, "\tcase %d:\n\t\ts = %s;\n\t\tbreak;\n", c, expression())
				}
				b.WriteString("\t}\n")
			case 3:
				fmt.Fprintf(&b, "\tfor (i = 0; i < 16; i++)\n\t\twords[(s + i * %d) & 4095] = %s;\n", 1+r.IntN(9), expression())
			case 4:
				fmt.Fprintf(&b, "\tfor (i = 0; i < 32; i++)\n\t\td = d * reals[(a + i) & 1023] + %d.5;\n\tif (d > 1e6 && d < 1e9)\n\t\ts += (u32)d;\n", r.IntN(100))
			case 5:
				fmt.Fprintf(&b, "\tfor (struct node *p = &nodes[s & 511]; p; p = p->next) {\n\t\tif (p->key == (u32)w)\n\t\t\tbreak;\n\t\tw += p->value %s %s;\n\t}\n", pick("*", "^", "+"), expression())
			case 6:
				if k > 0 {
					fmt.Fprintf(&b, "\ts ^= f%d(%s, b %s 1);\n", r.IntN(k), expression(), pick(">>", "&"))
				}
			}
		}
		b.WriteString("\treturn s ^ (u32)(w >> 32) ^ (u32)w;\n}\n\n")
	}
	b.WriteString("void _start(void) {\n")
	for k := range n {
		fmt.Fprintf(&b, "\twords[%d] += f%d(words[%d], %d);\n", k%4096, k, (k+1)%4096, k)
	}
	b.WriteString("}\n")
	return []byte(b.String())
}
