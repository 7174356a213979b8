package object

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/module"
)

// tool finds a program that a test needs.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t *testing.T, dir string, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGINFOD_URLS=")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// files writes a module's object file and sources into a new directory.
func files(t *testing.T, m *Module, sources map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	sources["ours.o"] = string(finalize(t, m))
	for name, text := range sources {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLink makes programs of our file and a C program in all ways that gcc
// links, and runs them.
func TestLink(t *testing.T) {
	gcc := tool(t, "gcc")
	const program = `
#include <stdio.h>
#include <pthread.h>
#include <string.h>
extern long fib(long), visit(long (*)(long), long), call_c(long), read_c(void), bump(void), count;
extern const char *const strings[2];
extern long (*const funcs[2])(long);
extern long *tls_ours(void), *tls_theirs(void);
extern __thread long ours;
__thread long theirs = 7;
long shared = 1000;
static long helper = 5;
long twice(long x) { return 2 * x + helper; }
static long add1(long x) { return x + 1; }
static void *thread(void *arg) {
	*tls_ours() += 1; *tls_theirs() += 1;
	return (void *)(ours * 1000 + theirs);
}
int main(void) {
	pthread_t id; void *r;
	if (fib(20) != 6765) return 1;
	if (visit(add1, 3) != 4) return 2;
	if (call_c(10) != 25) return 3;
	if (read_c() != 1000) return 4;
	if (bump() != 1 || bump() != 2 || count != 2) return 5;
	if (strcmp(strings[0], "hello") || strcmp(strings[1], "lo")) return 6;
	if (funcs[0](10) != 55 || funcs[1](1) != 7) return 7;
	if (*tls_ours() != 42 || tls_ours() != &ours || tls_theirs() != &theirs) return 8;
	*tls_ours() = 1; *tls_theirs() = 2;
	if (pthread_create(&id, 0, thread, 0) || pthread_join(id, &r)) return 9;
	if ((long)r != 43008) return 10;
	if (ours != 1 || theirs != 2) return 11;
	puts("fine");
	return 0;
}`
	build := func(t *testing.T) string {
		m := newModule(t, "x86_64-linux", Options{})
		define(t, m, `
function %fib(i64) -> i64 system_v {
    fn0 = colocated %fib(i64) -> i64 system_v
block0(v0: i64):
    v1 = iconst.i64 2
    v2 = icmp ult v0, v1
    brif v2, block1, block2
block1:
    return v0
block2:
    v3 = iconst.i64 -1
    v4 = iadd v0, v3
    v5 = call fn0(v4)
    v6 = isub v0, v1
    v7 = call fn0(v6)
    v8 = iadd v5, v7
    return v8
}
function %visit(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
block0(v0: i64, v1: i64):
    v2 = call_indirect sig0, v0(v1)
    return v2
}
function %call_c(i64) -> i64 system_v {
    fn0 = %twice(i64) -> i64 system_v
block0(v0: i64):
    v1 = call fn0(v0)
    return v1
}
function %read_c() -> i64 system_v {
    gv0 = symbol %shared
block0:
    v0 = symbol_value.i64 gv0
    v1 = load.i64 v0
    return v1
}
function %bump() -> i64 system_v {
    gv0 = symbol %count
    gv1 = symbol colocated %step
block0:
    v0 = symbol_value.i64 gv0
    v1 = load.i64 v0
    v2 = symbol_value.i64 gv1
    v3 = load.i64 v2
    v4 = iadd v1, v3
    store v4, v0
    return v4
}`)
		if _, err := m.DeclareData(ir.TestName("theirs"), module.Import, module.DataAttr{TLS: true}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"ours", "theirs"} {
			define(t, m, strings.ReplaceAll(`
function %tls_NAME() -> i64 system_v {
    gv0 = symbol tls %NAME
block0:
    v0 = tls_value.i64 gv0
    return v0
}`, "NAME", name))
		}
		data(t, m, "count", module.Export, module.DataAttr{Writable: true}, &module.Data{Size: 8})
		data(t, m, "step", module.Local, module.DataAttr{}, &module.Data{Bytes: []byte{1, 0, 0, 0, 0, 0, 0, 0}})
		data(t, m, "ours", module.Export, module.DataAttr{TLS: true}, &module.Data{Bytes: []byte{42, 0, 0, 0, 0, 0, 0, 0}})
		data(t, m, "text", module.Local, module.DataAttr{}, &module.Data{Bytes: []byte("hello\x00"), Align: 1})
		data(t, m, "strings", module.Export, module.DataAttr{}, &module.Data{Size: 16, Relocs: []module.DataReloc{
			{Offset: 0, Name: ir.TestName("text")}, {Offset: 8, Name: ir.TestName("text"), Addend: 3}}})
		data(t, m, "funcs", module.Export, module.DataAttr{}, &module.Data{Size: 16, Relocs: []module.DataReloc{
			{Offset: 0, Name: ir.TestName("fib")}, {Offset: 8, Name: ir.TestName("twice")}}})
		// A definition that gives way to that of the C program.
		data(t, m, "shared", module.Preemptible, module.DataAttr{Writable: true}, &module.Data{Size: 8})
		return files(t, m, map[string]string{"main.c": program})
	}
	for name, steps := range map[string][][]string{
		"pie":    {{"-fPIE", "-pie", "main.c", "ours.o", "-o", "program", "-lpthread"}},
		"no-pie": {{"-fno-PIE", "-no-pie", "main.c", "ours.o", "-o", "program", "-lpthread"}},
		"static": {{"-static", "main.c", "ours.o", "-o", "program", "-lpthread"}},
		"shared": {
			{"-shared", "ours.o", "-o", "libours.so", "-Wl,-z,text"},
			{"main.c", "-L.", "-lours", "-Wl,-rpath,$ORIGIN", "-Wl,-E", "-o", "program", "-lpthread"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := build(t)
			for _, args := range steps {
				run(t, dir, gcc, append([]string{"-Wall", "-Werror", "-Wl,--fatal-warnings"}, args...)...)
			}
			if out := run(t, dir, filepath.Join(dir, "program")); out != "fine\n" {
				t.Errorf("output %q", out)
			}
		})
	}
}

// through calls the function at its first argument with saved registers full
// of values that must survive.
const through = `
function %through(i64, i64) -> i64 system_v {
    sig0 = (i64) -> i64 system_v
    ss0 = explicit_slot 200
block0(v0: i64, v1: i64):
@0005  v22 = iconst.i64 1
    v2 = iadd v1, v22
    v23 = iconst.i64 2
    v3 = iadd v1, v23
    v24 = iconst.i64 3
    v4 = iadd v1, v24
    v25 = iconst.i64 4
    v5 = iadd v1, v25
    v26 = iconst.i64 5
    v6 = iadd v1, v26
    v27 = iconst.i64 6
    v7 = iadd v1, v27
@0009  v10 = call_indirect sig0, v0(v1)
@000c  v11 = iadd v10, v2
    v12 = imul v11, v3
    v13 = imul v12, v4
    v14 = imul v13, v5
    v15 = imul v14, v6
    v16 = imul v15, v7
    return v16
}`

// TestExceptions throws C++ exceptions across our frames: the unwinder restores
// the registers that we have saved.
func TestExceptions(t *testing.T) {
	gxx := tool(t, "g++")
	m := newModule(t, "x86_64-linux", Options{})
	define(t, m, through)
	dir := files(t, m, map[string]string{"main.cc": `
#include <cstdio>
#include <stdexcept>
extern "C" long through(long (*)(long), long);
static long thrower(long x) {
	if (x > 3) throw std::runtime_error("thrown");
	return through(thrower, x + 1);
}
// Values in registers that through must give back.
__attribute__((noinline)) static long work(long a, long b, long c, long d, long e) {
	long got = 0;
	try { got = through(thrower, 0); } catch (const std::runtime_error &) { got = -1; }
	return got + a + 10 * b + 100 * c + 1000 * d + 10000 * e;
}
int main(int argc, char **) {
	long a = argc, r = work(a, a + 1, a + 2, a + 3, a + 4);
	if (r != -1 + 1 + 20 + 300 + 4000 + 50000) { printf("%ld\n", r); return 1; }
	puts("caught");
	return 0;
}`})
	run(t, dir, gxx, "-O2", "main.cc", "ours.o", "-o", "program")
	if out := run(t, dir, filepath.Join(dir, "program")); out != "caught\n" {
		t.Errorf("output %q", out)
	}
}

// TestReadelf looks at the frames as binutils understand them.
func TestReadelf(t *testing.T) {
	readelf := tool(t, "readelf")
	m := newModule(t, "x86_64-linux", Options{})
	define(t, m, through)
	dir := files(t, m, map[string]string{})
	out := run(t, dir, readelf, "--wide", "--debug-dump=frames-interp", "ours.o")
	// The rows: entry, pushed, ready, all saved; and those of the epilogue.
	for _, want := range []string{
		`rsp\+8 +u +u +u +u +u +u +c-8`,
		`rsp\+16 +u +c-16 +u +u +u +u +c-8`,
		`rbp\+16 +u +c-16 +u +u +u +u +c-8`,
		`rbp\+16 +c-\d+ +c-16 +c-\d+ +c-\d+ +c-\d+ +c-\d+ +c-8`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no row %s in\n%s", want, out)
		}
	}
	if out := run(t, dir, readelf, "--wide", "--all", "ours.o"); strings.Contains(out, "Warning") || strings.Contains(out, "Error") {
		t.Errorf("readelf complains:\n%s", out)
	}
}

// TestDebugger stops gdb in a function below ours, and looks at the stack, with
// lines of a source that only the line table knows.
func TestDebugger(t *testing.T) {
	gcc, gdb := tool(t, "gcc"), tool(t, "gdb")
	m := newModule(t, "x86_64-linux", Options{Name: "calc.toy", Dir: "/src", Lines: func(l ir.SourceLoc) (string, int, int) {
		return "calc.toy", int(l), 0
	}})
	define(t, m, through)
	dir := files(t, m, map[string]string{"main.c": `
extern long through(long (*)(long), long);
long __attribute__((noinline)) bottom(long x) { return x; }
long __attribute__((noinline)) middle(long x) { return through(bottom, x) + 1; }
int main(void) { return middle(1) == 0; }`})
	run(t, dir, gcc, "-g", "-O1", "-fno-optimize-sibling-calls", "main.c", "ours.o", "-o", "program")
	out := run(t, dir, gdb, "-batch", "-nx", "-ex", "set confirm off", "-ex", "break bottom", "-ex", "run", "-ex", "backtrace", "-ex", "up", "-ex", "info symbol $pc",
		"-ex", "break calc.toy:12", "-ex", "continue", "-ex", "backtrace", "-ex", "finish", "program")
	if !regexp.MustCompile(`(?s)#0 .*bottom.*#1 .* through \(\) at calc\.toy:9\s.*#2 .*middle.*#3 .*main`).MatchString(out) {
		t.Errorf("no backtrace through our frame in\n%s", out)
	}
	if !regexp.MustCompile(`(?s)Breakpoint 2, through \(\) at calc\.toy:12\s.*#0 +through \(\) at calc\.toy:12\s+#1 .*middle.*#2 .*main.*0x[0-9a-f]+ in middle`).MatchString(out) {
		t.Errorf("no stop in line 12, or no way out of it, in\n%s", out)
	}
	objdump := tool(t, "objdump")
	if out := run(t, dir, objdump, "-dl", "ours.o"); !strings.Contains(out, "calc.toy:9") || strings.Contains(out, "(bad)") {
		t.Errorf("objdump -dl:\n%s", out)
	}
}

// TestWindowsLink lets GNU ld make a Windows program of our file, and looks at
// the table of functions in that.
func TestWindowsLink(t *testing.T) {
	ld, objdump := tool(t, "ld"), tool(t, "objdump")
	if out, _ := exec.Command(ld, "-V").CombinedOutput(); !strings.Contains(string(out), "i386pep") {
		t.Skip("this ld does not link for Windows")
	}
	m := newModule(t, "x86_64-pc-windows-gnu", Options{})
	buildSample(t, m)
	dir := files(t, m, map[string]string{})
	run(t, dir, ld, "-m", "i386pep", "--image-base", "0x140000000", "-e", "sum", "--defsym", "abs=0x140001234", "--defsym", "elsewhere=0x140001235", "--defsym", "_tls_index=0x140001000", "ours.o", "-o", "ours.exe")
	out := run(t, dir, objdump, "-p", "ours.exe")
	// The second function saves a register, so its frame is described from the
	// stack pointer.
	for _, want := range []string{
		`0000000140001000 000000014000100a 00000001400\w+\n`, `FPReg: rbp = rsp \+ 0x0 .*\n\s+pc\+0x01: push rbp`,
		`save rsi at rsp \+ 0x28\n\s+pc\+0x08: alloc small area: rsp = rsp - 0x30\n\s+pc\+0x01: push rbp`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	// Relocations: the call of %add, and the constants.
	out = run(t, dir, objdump, "-d", "ours.exe")
	if !regexp.MustCompile(`call +140001000 <add>`).MatchString(out) {
		t.Errorf("no call of add in\n%s", out)
	}
	out = run(t, dir, objdump, "-s", "-j", ".rdata", "ours.exe")
	if !strings.Contains(out, "34120040 01000000") || !strings.Contains(out, "00100040 01000000") || !strings.Contains(out, "35120040 01000000") {
		t.Errorf("addresses are missing from\n%s", out)
	}
}
