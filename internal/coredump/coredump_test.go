package coredump_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/davit-wasm/davit/internal/coredump"
	"github.com/davit-wasm/davit/wasm"
)

// reader reads a dump's sections as the conventions describe them; it shares nothing with what wrote them.
type reader struct {
	t *testing.T
	b []byte
}

func (r *reader) u32() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > 1<<32-1 {
		r.t.Fatalf("no number at %x", r.b)
	}
	r.b = r.b[n:]
	return uint32(v)
}

func (r *reader) tag() {
	if r.b[0] != 0 {
		r.t.Fatalf("%#x where 0 must be", r.b[0])
	}
	r.b = r.b[1:]
}

func (r *reader) name() string {
	n := r.u32()
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}

func (r *reader) list() (list []uint32) {
	for range r.u32() {
		list = append(list, r.u32())
	}
	return list
}

func TestEncode(t *testing.T) {
	data := make([]byte, 2<<16)
	data[5], data[100000] = 1, 2
	d := &coredump.Dump{
		Name:    "program",
		Modules: []string{"one", "two"},
		Instances: []coredump.Instance{
			{Module: 1, Memories: []uint32{0}, Globals: []uint32{0}},
			{Module: 0, Memories: []uint32{0, 1}},
		},
		Memories: []coredump.Memory{
			{Type: wasm.MemoryType{Limits: wasm.Limits{Min: 2}, PageBits: 16}, Data: data},
			{Type: wasm.MemoryType{Limits: wasm.Limits{Min: 1, Is64: true}, PageBits: 16}, Data: make([]byte, 1<<16)},
		},
		Globals: []wasm.Global{{Type: wasm.GlobalType{Type: wasm.I32}, Init: wasm.ConstExpr{Code: []byte{0x41, 42, 0x0b}}}},
		Threads: []coredump.Thread{{Name: "main", Frames: []coredump.Frame{{Instance: 1, Func: 300, Offset: 7, Locals: 3}, {Func: 2}}}},
	}
	m, err := wasm.Decode(coredump.Encode(d), &wasm.Config{Features: wasm.FeaturesAll})
	if err != nil {
		t.Fatal(err)
	}
	if err := wasm.Validate(m, &wasm.Config{Features: wasm.FeaturesAll}); err != nil {
		t.Fatal(err)
	}
	var have string
	for i := range m.Customs {
		r := &reader{t, m.Customs[i].Data}
		have += m.Customs[i].Name + ":"
		switch m.Customs[i].Name {
		case "core":
			r.tag()
			have += fmt.Sprintf(" %s\n", r.name())
		case "coremodules":
			for range r.u32() {
				r.tag()
				have += " " + r.name()
			}
			have += "\n"
		case "coreinstances":
			for range r.u32() {
				r.tag()
				have += fmt.Sprintf(" %d%v%v", r.u32(), r.list(), r.list())
			}
			have += "\n"
		case "corestack":
			r.tag()
			have += fmt.Sprintf(" %s", r.name())
			for range r.u32() {
				r.tag()
				have += fmt.Sprintf(" %d/%d/%d", r.u32(), r.u32(), r.u32())
				n := r.u32()
				for range n {
					if r.b[0] != 1 {
						t.Errorf("a local is given as %#x", r.b[0])
					}
					r.b = r.b[1:]
				}
				have += fmt.Sprintf("/%d/%d", n, r.u32())
			}
			have += "\n"
		}
		if len(r.b) > 0 {
			t.Errorf("%s ends with %x", m.Customs[i].Name, r.b)
		}
	}
	want := "core: program\ncoremodules: one two\ncoreinstances: 1[0][0] 0[0 1][]\ncorestack: main 1/300/7/3/0 0/2/0/0/0\n"
	if have != want {
		t.Errorf("have\n%swant\n%s", have, want)
	}
	if len(m.Memories) != 2 || m.Memories[0].Min != 2 || !m.Memories[1].Is64 || len(m.Globals) != 1 || len(m.Datas) != 2 {
		t.Errorf("memories %+v, globals %+v, data %+v", m.Memories, m.Globals, m.Datas)
	}
}
