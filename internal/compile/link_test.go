package compile

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// movingText is a text memory that has as little room as it may, moves whenever it
// grows, and spoils what it has given out before.
type movingText struct {
	text     []byte
	grown    int
	limit    int // how often it may grow; 0: always
	released bool
}

func (m *movingText) Grow(used, least, size int) ([]byte, error) {
	if m.grown++; m.grown == m.limit {
		return nil, errors.New("no more room")
	}
	if least > size || used > least {
		return nil, fmt.Errorf("asked for %d bytes, %d at least, of which %d are used", size, least, used)
	}
	text := make([]byte, used, least)
	copy(text, m.text[:used])
	old := m.text[:cap(m.text)]
	for i := range old {
		old[i] = 0xf4
	}
	m.text = text
	return text, nil
}

func (m *movingText) Release() { m.released = true }

// callingModule has functions of very different sizes that call one another, up and
// down.
func callingModule() []byte {
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true}},
		RecGroups: []wasm.RecGroup{{Len: 1}},
	}
	const n = 120
	for i := range n {
		calls := 1 + i%5
		switch i {
		case 7, 60, 61, 119:
			calls = 4200 + 5*i // large bodies
		}
		var body []byte
		for k := range calls {
			body = append(body, byte(wasm.OpCall), byte((i*31+k*17)%n))
		}
		m.Funcs = append(m.Funcs, wasm.Func{})
		m.Code = append(m.Code, wasm.Code{Body: append(body, byte(wasm.OpEnd))})
	}
	return wasm.Encode(m)
}

// TestLinking: whatever is compiled first, and wherever the text is put, the image is
// the same.
func TestLinking(t *testing.T) {
	data := callingModule()
	want, err := Module(data, &Options{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2, 5} {
		memory := &movingText{}
		have, err := Module(data, &Options{Workers: workers, Text: memory})
		if err != nil {
			t.Fatalf("%d workers: %v", workers, err)
		}
		if have.Memory != memory || !bytes.Equal(have.Text, memory.text[:len(have.Text)]) || memory.grown < 100 || memory.released {
			t.Errorf("%d workers: the text is not where it should be: grown %d times, released %v", workers, memory.grown, memory.released)
		}
		if d := cmp.Diff(want, have, cmpopts.IgnoreFields(image.Image{}, "Module", "Memory"), cmpopts.IgnoreUnexported(image.Image{}, image.InitialMemory{})); d != "" {
			t.Errorf("the image differs with %d workers:\n%s", workers, d)
		}
	}
	checkImage(t, "calling module", want)
}

// TestNoRoom: if there is no room for the text, or no image for another reason, the
// memory is released.
func TestNoRoom(t *testing.T) {
	memory := &movingText{limit: 20}
	if _, err := Module(callingModule(), &Options{Text: memory}); err == nil || err.Error() != "no more room" || !memory.released {
		t.Errorf("error %v, memory released: %v", err, memory.released)
	}
	m := &wasm.Module{
		Types:     []wasm.SubType{{Final: true}},
		RecGroups: []wasm.RecGroup{{Len: 1}},
		Funcs:     make([]wasm.Func, 1),
		Code:      []wasm.Code{{Body: []byte{byte(wasm.OpDrop), byte(wasm.OpEnd)}}},
	}
	for _, data := range [][]byte{wasm.Encode(m), []byte("no module")} {
		memory = &movingText{}
		var e *wasm.Error
		if _, err := Module(data, &Options{Text: memory}); !errors.As(err, &e) || !memory.released {
			t.Errorf("error %v, memory released: %v", err, memory.released)
		}
	}
}
