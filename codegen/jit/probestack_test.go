package jit

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
)

// TestProbestack counts the calls of an outlined probe, which must leave all
// registers alone: the functions' arguments are in them.
func TestProbestack(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	for _, settings := range [][]string{{}, {"is_pic"}, {"use_colocated_libcalls"}} {
		b, err := isa.Host()
		if err != nil {
			t.Skip(err)
		}
		for _, s := range append(settings, "enable_probestack", "probestack_strategy=outline") {
			if err := b.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		target, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		m := New(target)
		t.Cleanup(m.Close)
		funcs, err := clif.ParseFunctions(`
function %small(i64, i64) -> i64 tail {
    ss0 = explicit_slot 4000
block0(v0: i64, v1: i64):
    v2 = isub v0, v1
    return v2
}
function %large(i64, i64) -> i64 tail {
    ss0 = explicit_slot 100000
block0(v0: i64, v1: i64):
    v2 = isub v0, v1
    return v2
}
function %systemv(i64, i64) -> i64 system_v {
    ss0 = explicit_slot 5000
block0(v0: i64, v1: i64):
    v2 = isub v0, v1
    return v2
}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range funcs {
			if _, err := m.Define(f.Function); err != nil {
				t.Fatal(err)
			}
		}
		var sizes []uint64
		_, err = m.DefineHost(ir.LibCallName("Probestack"), ir.Signature{Params: []ir.Param{{Type: ir.I64}}, CallConv: ir.Probestack}, func(_ context.Context, slots []byte) error {
			sizes = append(sizes, binary.LittleEndian.Uint64(slots))
			clear(slots)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Finalize(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"small", "large", "systemv"} {
			if got, err := call(t, m, context.Background(), name, 50, 8); err != nil || got != 42 {
				t.Errorf("%v: %%%s: %d, %v", settings, name, got, err)
			}
		}
		if !slices.Equal(sizes, []uint64{100000, 5008}) {
			t.Errorf("%v: frames probed: %v", settings, sizes)
		}
	}
}
