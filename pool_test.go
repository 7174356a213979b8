package davit_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestNothingIsLeft: instances in stores of their own, one after the other and
// several at a time, write to everything they have, and look at it first: it is as
// the module says, whatever was there before.
func TestNothingIsLeft(t *testing.T) {
	data := strings.Repeat("abcdefghijklmnop", 3<<10) // large enough to be mapped
	modules := []string{
		`(memory (export "memory") 1) (data (i32.const 16) "small")`,
		`(memory (export "memory") 3 9) (data (i32.const 70000) "` + data + `") (data (i32.const 70001) "B")`,
		// The third segment is not of a constant, those after it are copied.
		`(global $g i32 (i32.const 5)) (memory (export "memory") 2) (data (i32.const 0) "` + data + `") (data "passive")
			(data (global.get $g) "5") (data (i32.const 6) "6")`,
		// These are mapped from the file of an artifact.
		`(memory (export "memory") 3 9) (data (i32.const 9000) "` + data + `") (data "passive") (data (i32.const 70000) "far")`,
	}
	for i := range 6 {
		kept, files := []int{0, 2, -1}[i%3], i >= 3
		e := newEngine(t, &davit.Config{KeptMemories: kept})
		w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
		var pres []*davit.InstancePre
		var wants [][]byte
		for i, m := range modules {
			module := w.compile(`(module ` + m + `
				(table (export "table") 40 funcref) (elem (i32.const 3) $f)
				(global (export "global") (mut i64) (i64.const 7))
				(func $f (export "f") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
				(func (export "grow") (result i32) (memory.grow (i32.const 2))))`)
			if files {
				name := filepath.Join(t.TempDir(), "module.cwasm")
				if err := os.WriteFile(name, must(module.Serialize()), 0o600); err != nil {
					t.Fatal(err)
				}
				module = must(e.LoadModuleFile(name))
				defer module.Close()
			}
			pres = append(pres, must(w.linker.InstancePre(module)))
			want := make([]byte, []int{1, 3, 2, 3}[i]<<16)
			switch i {
			case 0:
				copy(want[16:], "small")
			case 1:
				copy(want[70000:], data)
				want[70001] = 'B'
			case 2:
				copy(want, data)
				copy(want[5:], "56")
			case 3:
				copy(want[9000:], data)
				copy(want[70000:], "far")
			}
			wants = append(wants, want)
		}
		var open []*davit.Store
		for round := range 60 {
			which := round % 7 % len(pres)
			s := must(davit.NewStore(e, nil))
			in := must(pres[which].Instantiate(ctx, s))
			memory, want := in.Memory("memory"), wants[which]
			have := make([]byte, memory.Size())
			if _, err := memory.ReadAt(have, 0); err != nil || !bytes.Equal(have, want) {
				t.Fatalf("keeping %d, files %v, round %d, module %d: other contents: %v", kept, files, round, which, err)
			}
			if g := in.Global("global").Get().I64(); g != 7 {
				t.Errorf("the global is %d", g)
			}
			table := in.Table("table")
			for i := range uint64(40) {
				if v, _ := table.Get(i); (v.Func() != nil) != (i == 3) {
					t.Errorf("element %d is %v", i, v)
				}
				table.Set(i, davit.ValueFunc(in.Func("f")))
			}
			in.Global("global").Set(davit.ValueI64(8))
			write := must(davit.Proc2[uint32, uint32](in.Func("f")))
			for i := uint32(round) % 50; i < uint32(len(want)); i += 1 + uint32(round)*500 {
				if err := write(ctx, i, 0xff); err != nil {
					t.Fatal(err)
				}
			}
			if round%3 == 0 {
				if _, err := in.Func("grow").Call(ctx); err != nil {
					t.Fatal(err)
				}
				memory.WriteAt([]byte("behind"), int64(memory.Size()-6))
			}
			if err := write(ctx, uint32(memory.Size()), 1); err == nil {
				t.Error("a store behind the end of the memory is no trap")
			}
			if round%4 == 0 {
				memory.View(0, 10)
			}
			if open = append(open, s); len(open) > 5 || round%5 == 0 {
				for _, s := range open {
					s.Close()
				}
				open = open[:0]
			}
		}
		for _, s := range open {
			s.Close()
		}
	}
}

// TestManyInstances: thousands of instances are alive at once, and take few
// mappings each.
func TestManyInstances(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 1000
	}
	e := newEngine(t, nil)
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	pre := must(w.linker.InstancePre(w.compile(`(module (memory (export "memory") 2)
		(data (i32.const 1000) "` + strings.Repeat("0123456789abcdef", 2000) + `")
		(func (export "f") (result i32) (i32.store (i32.const 70000) (i32.const 1)) (i32.load8_u (i32.const 1001))))`)))
	before := testdata.Holds(t)
	stores := make([]*davit.Store, n)
	for i := range stores {
		stores[i] = must(davit.NewStore(e, nil))
		in, err := pre.Instantiate(ctx, stores[i])
		if err != nil {
			t.Fatalf("instance %d: %v", i, err)
		}
		if i%10 == 0 { // a stack is for who has called something
			if r, err := must(davit.Func0[int32](in.Func("f")))(ctx); err != nil || r != '1' {
				t.Fatalf("%d, %v", r, err)
			}
		}
	}
	after := testdata.Holds(t)
	each := func(a, b int) string { return fmt.Sprintf("%.1f", float64(b-a)/float64(n)) }
	t.Logf("each instance takes %s mappings and %s bytes of memory", each(before.Mappings, after.Mappings), each(before.Resident, after.Resident))
	if after.Mappings-before.Mappings > 4*n {
		t.Errorf("%d instances take %d mappings", n, after.Mappings-before.Mappings)
	}
	for _, s := range stores {
		s.Close()
	}
}
