package segments

import (
	"bytes"
	"testing"
)

// FuzzRuns: the parts of a memory and the zeros between them make it up.
func FuzzRuns(f *testing.F) {
	f.Add([]byte{}, 16)
	f.Add(append(make([]byte, 20), 1, 0, 0, 2), 2)
	f.Add(append([]byte{1}, make([]byte, 40)...), 16)
	f.Fuzz(func(t *testing.T, data []byte, gap int) {
		if gap < 1 || gap > 1<<20 {
			return
		}
		again := make([]byte, len(data))
		end := -gap
		for _, s := range runs(data, gap) {
			if s.start-end < gap || s.end <= s.start || data[s.start] == 0 || data[s.end-1] == 0 {
				t.Fatalf("part %v after %d", s, end)
			}
			end = s.end
			copy(again[s.start:s.end], data[s.start:s.end])
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x becomes %x", data, again)
		}
	})
}

// TestLimit: there are no more segments than are wanted, and none of what is zero.
func TestLimit(t *testing.T) {
	data := make([]byte, 1<<16)
	for i := 0; i < len(data); i += 100 {
		data[i] = 1
	}
	for _, limit := range []int{0, 1, 2, 10, 700} {
		list := Of(data, 0, false, limit)
		if len(list) == 0 || len(list) > max(limit, 1) {
			t.Errorf("%d segments, at most %d are wanted", len(list), limit)
		}
	}
	if list := Of(make([]byte, 1<<16), 0, false, 10); len(list) != 0 {
		t.Errorf("%d segments of zeros", len(list))
	}
}
