package main

import (
	"testing"

	. "github.com/davit-wasm/davit/codegen/internal/x64/asm"
	"github.com/davit-wasm/davit/internal/native"
)

// TestLand continues in the caller of the function that called the host, with
// and without calls of native code in between on the same stack.
func TestLand(t *testing.T) {
	p := sumProgram()
	p.function("outer", func() {
		p.Push(RSI)
		p.Push(RSI)
		p.Call32()
		p.ref("ask")
		p.label("outer.return")
		p.Pop(RSI)
		p.Pop(RSI)
		p.MI(MOV, S64, At(RSI, 8), 5)
		p.jmp("outer.end")
		p.label("outer.landing")
		p.Pop(RSI)
		p.Pop(RSI)
		p.MR(MOV, S64, At(RSI, 0), RAX)
		p.MR(MOV, S64, At(RSI, 8), RDX)
		p.label("outer.end")
	})
	l := p.load(t)
	s := newStack(t)
	defer s.Release()
	const none = ^uintptr(0)
	for _, c := range []struct {
		nested int
		land   bool
		want   [2]uintptr
	}{
		{0, true, [2]uintptr{111, 222}},
		{1, true, [2]uintptr{111, 222}},
		{3, true, [2]uintptr{111, 222}},
		{1, false, [2]uintptr{41, 5}},
	} {
		var pcs []uintptr
		h := &host{exit: func(s *native.Stack, e native.Exit) error {
			for range c.nested {
				if got, err := l.call(s, "add", &host{}, 30, 12); err != nil || got[0] != 42 {
					t.Errorf("nested: %v, %v", got, err)
				}
			}
			pcs = nil
			for f := range s.Frames() {
				pcs = append(pcs, f.PC)
				if c.land && f.PC == l.at("outer.return") {
					s.Land(l.at("outer.landing"), f.FP-16, f.FP, [2]uintptr{111, 222})
					break
				}
			}
			return nil
		}}
		got, err := l.call(s, "outer", h, 40, none)
		if err != nil || [2]uintptr(got) != c.want {
			t.Errorf("%+v: got %v, %v", c, got, err)
		}
		// The function that leaves, its caller, and unless that ended it the entry.
		if want := map[bool]int{true: 2, false: 3}[c.land]; len(pcs) != want {
			t.Errorf("%+v: frames %#x, want %d", c, pcs, want)
		}
	}
	// The stack is as before.
	if got, err := l.call(s, "add", &host{}, 1, 2); err != nil || got[0] != 3 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}
