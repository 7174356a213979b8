package davit_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

// TestBulkSizes copies and fills with sizes around those where the compiled
// code changes its way, at all kinds of overlap, and compares with Go's copy.
func TestBulkSizes(t *testing.T) {
	const memory = 1 << 21
	sizes := []int{511, 512, 513, 4096, 9001, 1<<14 - 1, 1 << 14, 1<<16 + 1, 1<<18 - 1, 1 << 18, 1<<18 + 1}
	for n := range 300 {
		sizes = append(sizes, n)
	}
	constants := []int{1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65}
	var modules []string
	for _, index := range []string{"i32", "i64"} {
		var text strings.Builder
		fmt.Fprintf(&text, `(module (memory (export "memory") %[1]s 32 32)
			(func (export "copy") (param %[1]s %[1]s %[1]s) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
			(func (export "fill") (param %[1]s i32 %[1]s) (memory.fill (local.get 0) (local.get 1) (local.get 2)))`, index)
		for _, n := range constants {
			fmt.Fprintf(&text, `
				(func (export "copy%[2]d") (param %[1]s %[1]s) (memory.copy (local.get 0) (local.get 1) (%[1]s.const %[2]d)))
				(func (export "fill%[2]d") (param %[1]s i32) (memory.fill (local.get 0) (local.get 1) (%[1]s.const %[2]d)))
				(func (export "fill5a%[2]d") (param %[1]s) (memory.fill (local.get 0) (i32.const 0x15a) (%[1]s.const %[2]d)))`, index, n)
		}
		modules = append(modules, text.String()+")")
	}
	for _, config := range []davit.Config{{}, {ExplicitBounds: true}, {CPU: "x86-64-v2"}} {
		for _, module := range modules {
			w := newWorld(t, &config, nil)
			in := w.instantiate(module)
			want := make([]byte, memory)
			for i := range want {
				want[i] = byte(i*7 + i>>8)
			}
			got, _ := in.Memory("memory").View(0, memory)
			copy(got, want)
			call := func(name string, trap bool, args ...uint64) {
				t.Helper()
				err := in.Func(name).CallRaw(ctx, args)
				var tr *davit.Trap
				if trap != errors.As(err, &tr) || err != nil && !trap {
					t.Fatalf("%s%v: error %v", name, args, err)
				}
				if !bytes.Equal(got, want) {
					t.Fatalf("%+v: %s%v: memory differs", config, name, args)
				}
			}
			const at = 1_000_000
			for _, n := range sizes {
				for _, d := range []int{-n, 1 - n, -65, -17, -3, -1, 0, 1, 2, 16, 63, n - 1, n, n + 1} {
					copy(want[at+d:at+d+n], want[at:at+n])
					call("copy", false, uint64(at+d), at, uint64(n))
				}
				copy(want[memory-n:], bytes.Repeat([]byte{byte(n)}, n))
				call("fill", false, uint64(memory-n), uint64(n)|0x100, uint64(n))
				call("fill", true, uint64(memory-n+1), 1, uint64(n))
				call("copy", true, uint64(memory-n+1), 0, uint64(n))
				call("copy", true, 0, uint64(memory-n+1), uint64(n))
			}
			for _, n := range constants {
				name := fmt.Sprint("copy", n)
				for _, d := range []int{-n, -n / 2, -1, 0, 1, n / 2, n} {
					copy(want[at+d:at+d+n], want[at:at+n])
					call(name, false, uint64(at+d), at)
				}
				copy(want[memory-n:], want[:n])
				call(name, false, uint64(memory-n), 0)
				call(name, true, uint64(memory-n+1), 0)
				call(name, true, 0, uint64(memory-n+1))
				copy(want[at:], bytes.Repeat([]byte{byte(n)}, n))
				call(fmt.Sprint("fill", n), false, at, uint64(n)|0x300)
				copy(want[memory-n:], bytes.Repeat([]byte{0x5a}, n))
				call(fmt.Sprint("fill5a", n), false, uint64(memory-n))
				call(fmt.Sprint("fill5a", n), true, uint64(memory-n+1))
			}
			call("copy", true, 1<<31, 0, 0)
			call("fill", true, memory+1, 0, 0)
			call("copy", false, memory, memory, 0)
		}
	}
}

// TestBulkBacktrace: an instruction that a routine stands for traps where the
// instruction is.
func TestBulkBacktrace(t *testing.T) {
	w := newWorld(t, nil, nil)
	in := w.instantiate(`(module (memory 1) (func $inner (param i32) (memory.fill (local.get 0) (i32.const 1) (local.get 0)))
		(func $outer (export "f") (call $inner (i32.const 0x9000))))`)
	_, err := in.Func("f").Call(ctx)
	var trap *davit.Trap
	if !errors.As(err, &trap) || len(trap.Frames) != 2 || trap.Frames[0].FuncName != "inner" || trap.Frames[0].Offset <= trap.Frames[1].Offset-64 {
		t.Fatalf("error %v with frames %+v", err, trap)
	}
	if trap.Code != davit.TrapMemoryOutOfBounds {
		t.Errorf("code %v", trap.Code)
	}
}
