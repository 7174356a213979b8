package davit_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/davit-wasm/davit"
)

// dumped is a function in a dump of code, read as the kernel's
// tools/perf/Documentation/jitdump-specification.txt says.
type dumped struct {
	name           string
	address, index uint64
	code           []byte
	places         []string // file:line, by address
	places0        uint64   // address of the first
}

// readDump reads a dump of code.
func readDump(t *testing.T, data []byte) (list []dumped) {
	t.Helper()
	ne := binary.NativeEndian
	if len(data) < 40 || ne.Uint32(data) != 0x4A695444 || ne.Uint32(data[4:]) != 1 || ne.Uint32(data[8:]) != 40 || int(ne.Uint32(data[20:])) != os.Getpid() || ne.Uint64(data[32:]) != 0 {
		t.Fatalf("header %x", data[:min(len(data), 40)])
	}
	if machine := ne.Uint32(data[12:]); runtime.GOARCH == "amd64" && machine != 62 {
		t.Errorf("machine %d", machine)
	}
	text := func(b []byte) (string, []byte) {
		s, rest, ok := bytes.Cut(b, []byte{0})
		if !ok {
			t.Fatal("a string does not end")
		}
		return string(s), rest
	}
	last := ne.Uint64(data[24:]) // time
	places := map[uint64]*dumped{}
	for data = data[40:]; len(data) > 0; {
		if len(data) < 16 || int(ne.Uint32(data[4:])) > len(data) {
			t.Fatalf("record %x", data[:min(len(data), 16)])
		}
		r := data[:ne.Uint32(data[4:])]
		data = data[len(r):]
		if now := ne.Uint64(r[8:]); now < last {
			t.Errorf("a record is older than the one before it")
		} else {
			last = now
		}
		id, r := ne.Uint32(r), r[16:]
		switch id {
		case 0: // code
			f := dumped{address: ne.Uint64(r[16:]), index: ne.Uint64(r[32:])}
			if int(ne.Uint32(r)) != os.Getpid() || ne.Uint64(r[8:]) != f.address {
				t.Errorf("code load %x", r[:40])
			}
			size := ne.Uint64(r[24:])
			f.name, f.code = text(r[40:])
			if uint64(len(f.code)) != size || f.index != uint64(len(list)) {
				t.Errorf("%s: %d bytes of %d, index %d", f.name, len(f.code), size, f.index)
			}
			if p := places[f.address]; p != nil {
				f.places, f.places0 = p.places, p.places0
				delete(places, f.address)
			}
			list = append(list, f)
		case 2: // debug information, of the code that follows
			p := &dumped{}
			n := ne.Uint64(r[8:])
			places[ne.Uint64(r)] = p
			r = r[16:]
			for i := range n {
				if i == 0 {
					p.places0 = ne.Uint64(r)
				}
				line := ne.Uint32(r[8:])
				var file string
				file, r = text(r[16:])
				p.places = append(p.places, fmt.Sprintf("%s:%d", filepath.Base(file), line))
			}
			if len(r) != 0 {
				t.Errorf("%d bytes too many", len(r))
			}
		default:
			t.Fatalf("record %d", id)
		}
	}
	if len(places) > 0 {
		t.Errorf("debug information without code: %v", places)
	}
	return list
}

// TestPerf: modules that are loaded at the same time are in the map for perf and in
// the dump of code, with names, code and lines.
func TestPerf(t *testing.T) {
	dir := t.TempDir()
	e := newEngine(t, &davit.Config{PerfMap: true, JITDump: dir, Demangle: func(name string) string { return "<" + name + ">" }})
	code := deep(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			m, err := e.Compile(ctx, code)
			if err != nil {
				t.Error(err)
				return
			}
			s, err := davit.NewStore(e, nil)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := in.Func("run").Call(ctx, davit.ValueI32(4)); !errors.Is(err, davit.TrapIntegerDivideByZero) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	data, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("jit-%d.dump", os.Getpid())))
	if err != nil {
		t.Fatal(err)
	}
	list := readDump(t, data)
	name := fmt.Sprintf("/tmp/perf-%d.map", os.Getpid())
	symbols, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(name)
	if mode, err := os.Stat(name); err != nil || mode.Mode().Perm() != 0o600 {
		t.Error(mode.Mode(), err)
	}
	runs, entries, placed := 0, 0, 0
	for _, f := range list {
		if line := fmt.Sprintf("%x %x %s\n", f.address, len(f.code), f.name); !strings.Contains("\n"+string(symbols), "\n"+line) {
			t.Errorf("no line %q in the map", line)
		}
		switch {
		case strings.HasSuffix(f.name, "<run>"):
			runs++
		case strings.Contains(f.name, "entry["):
			entries++
		}
		for _, p := range f.places {
			placed++
			if !strings.HasPrefix(p, "deep.cpp:") || strings.HasSuffix(p, ":0") {
				t.Errorf("%s: line %s", f.name, p)
			}
		}
		if len(f.places) > 0 && (f.places0 < f.address || f.places0 >= f.address+uint64(len(f.code))) {
			t.Errorf("%s is at %#x, its first line at %#x", f.name, f.address, f.places0)
		}
	}
	if runs != 4 || entries < 4 || placed < 4*5 {
		t.Errorf("%d functions run, %d entries, %d lines", runs, entries, placed)
	}
}

// TestPerfRefused: files that cannot be made are errors of the engine.
func TestPerfRefused(t *testing.T) {
	newEngine(t, nil)
	if _, err := davit.NewEngine(&davit.Config{JITDump: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
