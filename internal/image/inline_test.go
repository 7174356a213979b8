package image

import (
	"slices"
	"testing"

	"github.com/davit-wasm/davit/wasm"
)

// TestPositionsAt: chains of inlined bodies, and what a damaged file may say.
func TestPositionsAt(t *testing.T) {
	fn := &Function{Offset: 0, Size: 100, Index: 3}
	im := &Image{
		Module:  &wasm.Module{Funcs: make([]wasm.Func, 6)},
		AddrMap: []Address{{0, 1000}, {10, 500}, {20, 600}, {30, NoAddress}, {40, 700}},
		Inlined: []Inlined{{10, 0}, {20, 1}, {35, NoSite}, {50, 2}, {60, 3}, {70, 4}, {80, 99}, {90, 5}},
		InlineSites: []InlineSite{
			{Func: 4, Call: 1001, Outer: NoSite},
			{Func: 5, Call: 501, Outer: 0},
			{Func: 4, Call: 1002, Outer: Replaced},
			{Func: 9, Call: 1, Outer: NoSite}, // no such function
			{Func: 4, Call: 2, Outer: 4},      // within itself
			{Func: 4, Call: 3, Outer: 77},     // within a site that is not there
		},
	}
	for off, want := range map[uint32][]Position{
		0:  {{3, 1000}},
		15: {{4, 500}, {3, 1001}},
		25: {{5, 600}, {4, 501}, {3, 1001}},
		34: {{5, NoAddress}, {4, 501}, {3, 1001}},
		36: {{3, NoAddress}},
		55: {{4, 700}},
		65: {{3, 700}},
		75: {{4, 700}, {3, 2}},
		85: {{3, 700}},
		95: {{4, 700}, {3, 3}},
	} {
		if got := im.PositionsAt(nil, fn, off); !slices.Equal(got, want) {
			t.Errorf("at %d: %v, want %v", off, got, want)
		}
	}
}
