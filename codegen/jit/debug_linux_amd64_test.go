package jit

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unsafe"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/perf"
)

// debugged are functions that a debugger looks at.
var debugged = []string{
	"function %outer(i64) -> i64 system_v {\n fn0 = %inner(i64) -> i64 system_v\nblock0(v0: i64):\n@0005 v1 = imul v0, v0\n@0006 v2 = call fn0(v1)\n@0007 v3 = iadd v2, v0\n return v3\n}",
	"function %inner(i64) -> i64 system_v {\nblock0(v0: i64):\n@0015 v1 = iadd v0, v0\n@0016 v2 = imul v1, v1\n@0017 v3 = iadd v2, v1\n@0018 return v3\n}",
}

func debugConfig() Config {
	return Config{Debugger: true, PerfMap: true, Name: "calc.toy", Dir: "/src", Lines: func(l ir.SourceLoc) (string, int, int) { return "calc.toy", int(l), 0 }}
}

// TestMain is the debugged program, if the environment says so.
func TestMain(m *testing.M) {
	if os.Getenv("DAVIT_JIT_DEBUGGED") == "" {
		os.Exit(m.Run())
	}
	t := &testing.T{}
	mod := newWith(t, debugConfig())
	id := define(t, mod, debugged...)[0]
	buf := make([]byte, SlotSize)
	buf[0] = 3
	err := mod.Call(context.Background(), id, buf)
	mod.Close()
	fmt.Println("result", buf[0], err)
}

// TestDebugger lets gdb find a function by its name, stop in it, and show the
// stack with lines.
func TestDebugger(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("gdb is not installed")
	}
	// go test links without symbols, and gdb needs two.
	program := filepath.Join(t.TempDir(), "debugged")
	if out, err := exec.Command("go", "test", "-c", "-ldflags=-s=false -w=false", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(gdb, "-batch", "-nx", "-ex", "set confirm off", "-ex", "set breakpoint pending on",
		"-ex", "handle SIGURG nostop noprint pass", "-ex", "break inner", "-ex", "run",
		"-ex", "info symbol $pc", "-ex", "backtrace", "-ex", "kill", program)
	// Go preempts who has run for 10 ms, by a signal, and gdb may take longer for each
	// signal: then the program never gets on.
	cmd.Env = append(os.Environ(), "DAVIT_JIT_DEBUGGED=1", "LC_ALL=C", "DEBUGINFOD_URLS=", "GODEBUG=asyncpreemptoff=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !regexp.MustCompile(`(?s)Breakpoint 1, .*inner \(\) at calc\.toy:21.*inner.* in section \.text.*#0 .*inner \(\) at calc\.toy:2[12]\n#1 .* in outer \(\) at calc\.toy:6\n#2 .* in entry from Go \(\)`).Match(out) {
		t.Errorf("no stop in inner, or no stack, in\n%s", out)
	}
}

// TestImages reads the images that debuggers are given, and the list they are
// in.
func TestImages(t *testing.T) {
	m := newWith(t, debugConfig())
	before := len(images())
	ids := define(t, m, debugged...)
	list := images()
	if len(list) != before+2 { // trampolines, functions
		t.Fatalf("%d images, want two more than %d", len(list), before)
	}
	f, err := elf.NewFile(bytes.NewReader(list[0]))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, s := range syms {
		for i, name := range []string{"outer", "inner"} {
			if s.Name == name && uintptr(s.Value) == m.Address(ids[i]) {
				found++
			}
		}
	}
	if found != 2 {
		t.Errorf("symbols %v", syms)
	}
	d, err := f.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	if cu, err := d.Reader().Next(); err != nil || cu == nil {
		t.Errorf("unit %v, %v", cu, err)
	}
	text, err := os.ReadFile(perf.MapName())
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(perf.MapName())
	for i, name := range []string{"outer", "inner"} {
		if want := fmt.Sprintf("%x %x %s\n", m.Address(ids[i]), m.Size(ids[i]), name); !strings.Contains(string(text), want) {
			t.Errorf("no line %q in the map for perf:\n%s", want, text)
		}
	}
	if err := m.Free(ids...); err != nil {
		t.Fatal(err)
	}
	if n := len(images()); n != before+1 {
		t.Errorf("%d images after the functions have been freed", n)
	}
	m.Close()
	if n := len(images()); n != before {
		t.Errorf("%d images after the module has been closed", n)
	}
}

// images are those in the list, newest first.
func images() (list [][]byte) {
	debugMutex.Lock()
	defer debugMutex.Unlock()
	for e := debugList.first; e != nil; e = e.next {
		if e.next != nil && e.next.prev != e {
			panic("the list is broken")
		}
		list = append(list, bytesOf(e))
	}
	return list
}

func bytesOf(e *debugEntry) []byte { return unsafe.Slice((*byte)(e.image), e.size) }
