package debuginfo_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/debuginfo"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

func open(t testing.TB, file string) (*debuginfo.Info, *wasm.Module) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(data, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		t.Fatal(err)
	}
	return debuginfo.New(sections(m), nil), m
}

func sections(m *wasm.Module) func(string) []byte {
	return func(name string) []byte {
		for i := range m.Customs {
			if m.Customs[i].Name == name {
				return m.Customs[i].Data
			}
		}
		return nil
	}
}

// TestInlined asks for places in a small program, in functions that have been inlined among them.
func TestInlined(t *testing.T) {
	info, m := open(t, filepath.Join("testdata", "deep.wasm"))
	seen := map[string]bool{}
	for i := range m.Code {
		c := &m.Code[i]
		for at := c.Offset; at < c.Offset+len(c.Body); at++ {
			s := fmt.Sprint(i)
			for _, p := range info.Places(uint64(at-m.CodeOffset), uint64(at)) {
				s += fmt.Sprintf(" %s:%d %s", p.File, p.Line, p.Func)
			}
			seen[s] = true
		}
	}
	for _, want := range []string{
		"0 deep.cpp:35 ", // run
		"1 deep.cpp:7 _ZN4deep7Counter4doneEv deep.cpp:19 ",
		"1 deep.cpp:9 _ZN4deep7Counter4failEi deep.cpp:20 ",
		"1 deep.cpp:22 ",
		"2 deep.cpp:27 ",
	} {
		if !seen[want] {
			t.Errorf("nothing is at %q", want)
		}
		delete(seen, want)
	}
	for s := range seen {
		if strings.Contains(s, ":0 ") || !strings.Contains(s, "deep.cpp:") {
			t.Errorf("an instruction is at %q", s)
		}
	}
	for _, at := range []uint64{0, 1 << 20, 1<<32 - 1, 1<<64 - 1} {
		if p := info.Places(at, at); len(p) != 0 {
			t.Errorf("%#x, where no code is, comes from %+v", at, p)
		}
	}
}

// TestPrograms asks for the places of instructions in real programs: in C, and in Go by TinyGo.
func TestPrograms(t *testing.T) {
	for _, c := range []struct {
		file          string
		known, nested float64 // parts of the instructions whose place is known, and that are in inlined functions; at least
	}{{"bz2/benchmark.wasm", 0.6, 0.2}, {"tinygo/tinygo-json.wasm", 0.7, 0.4}, {"shootout/shootout-ed25519.wasm", 0.9, 0.9}} {
		info, m := open(t, filepath.Join(testdata.Bench(t), "sightglass", filepath.FromSlash(c.file)))
		known, nested, asked := 0, 0, 0
		for i := range m.Code {
			for at := m.Code[i].Offset; at < m.Code[i].Offset+len(m.Code[i].Body); at += 7 {
				asked++
				places := info.Places(uint64(at-m.CodeOffset), uint64(at))
				if len(places) > 0 {
					known++
				}
				if len(places) > 1 {
					nested++
				}
				for k, p := range places {
					if (p.Func == "") != (k == len(places)-1) {
						t.Fatalf("%s, offset %#x: %+v", c.file, at, places)
					}
				}
			}
		}
		if n := float64(asked); float64(known) < c.known*n || float64(nested) < c.nested*n {
			t.Errorf("%s: of %d places, %d are known, %d in inlined functions", c.file, asked, known, nested)
		}
	}
}

// TestSourceMap checks the numbers of a source map against one that was written by hand.
func TestSourceMap(t *testing.T) {
	// offset 10: a.ts 1:1; offset 12: a.ts 3:5; offset 20: from nowhere; offset 30: b.ts 2:1
	const text = `{"version":3,"sourceRoot":"src/","sources":["a.ts","b.ts"],"mappings":"UAAA,EAEI,Q,UCDJ"}`
	for _, address := range []string{"data:application/json," + strings.ReplaceAll(text, `"`, "%22"), "x.map"} {
		section := append([]byte{byte(len(address)&0x7f | 0x80), byte(len(address) >> 7)}, address...)
		info := debuginfo.New(func(name string) []byte {
			if name == "sourceMappingURL" {
				return section
			}
			return nil
		}, func(url string) ([]byte, error) {
			if url != "x.map" {
				return nil, fmt.Errorf("asked for %s", url)
			}
			return []byte(text), nil
		})
		for _, c := range []struct {
			at   uint64
			want string
		}{{9, "[]"}, {10, "[{ src/a.ts 1 1}]"}, {11, "[{ src/a.ts 1 1}]"}, {19, "[{ src/a.ts 3 5}]"}, {20, "[]"}, {1000, "[{ src/b.ts 2 1}]"}} {
			if have := fmt.Sprint(info.Places(0, c.at)); have != c.want {
				t.Errorf("offset %d: %s, want %s", c.at, have, c.want)
			}
		}
	}
}

// FuzzSourceMap: a source map is read, or not.
func FuzzSourceMap(f *testing.F) {
	f.Add([]byte(`{"version":3,"sources":["a"],"mappings":"AAAA;;,gB"}`), uint64(3))
	f.Add([]byte(`{"version":3,"sources":[null],"mappings":"////////////////f"}`), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, at uint64) {
		info := debuginfo.New(func(name string) []byte {
			if name == "sourceMappingURL" {
				return []byte("\x01x")
			}
			return nil
		}, func(string) ([]byte, error) { return data, nil })
		info.Places(at, at)
	})
}

// FuzzDwarf changes debug information, which then says something else, or nothing.
func FuzzDwarf(f *testing.F) {
	data, err := os.ReadFile(filepath.Join("testdata", "deep.wasm"))
	if err != nil {
		f.Fatal(err)
	}
	m, err := wasm.Decode(data, &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(100), byte(1), "info")
	f.Add(uint32(7), byte(0x80), "line")
	f.Add(uint32(3), byte(0xff), "abbrev")
	f.Add(uint32(40), byte(0xff), "ranges")
	f.Fuzz(func(t *testing.T, at uint32, flip byte, section string) {
		plain := sections(m)
		info := debuginfo.New(func(name string) []byte {
			b := plain(name)
			if name == ".debug_"+section && len(b) > 0 {
				b = append([]byte(nil), b...)
				b[int(at)%len(b)] ^= flip
			}
			return b
		}, nil)
		for i := 0; i < len(m.Code); i += len(m.Code)/10 + 1 {
			pc := m.Code[i].Offset + 5
			info.Places(uint64(pc-m.CodeOffset), uint64(pc))
		}
	})
}
