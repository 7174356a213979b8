package davit_test

import (
	"errors"
	"testing"

	"github.com/davit-wasm/davit"
)

// TestSpectreSettings: checks of bounds are the same with and without the
// mitigation, by guards or branches.
func TestSpectreSettings(t *testing.T) {
	const off = "_access_spectre_mitigation=false"
	for _, config := range []davit.Config{
		{ExplicitBounds: true},
		{ExplicitBounds: true, Settings: []string{"enable_heap" + off, "enable_table" + off}},
	} {
		w := newWorld(t, &config, nil)
		in := w.instantiate(`(module (memory 1 1) (memory $wide i64 1 1) (table $t 2 2 funcref)
			(type $f (func (result i32)))
			(elem declare func $seven)
			(elem (i32.const 1) func $seven)
			(func $seven (result i32) (i32.const 7))
			(func (export "load") (param i32) (result i32) (i32.load offset=8 (local.get 0)))
			(func (export "store") (param i32) (i32.store offset=8 (local.get 0) (i32.const 1)))
			(func (export "wide") (param i64) (result i32) (i32.load $wide offset=8 (local.get 0)))
			(func (export "call") (param i32) (result i32) (call_indirect $t (type $f) (local.get 0)))
			(func (export "get") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
			(func (export "set") (param i32) (table.set $t (local.get 0) (ref.func $seven)))
			(func (export "table") (param i32) (result i32)
				(block $a (block $b (block $c (br_table $a $b $c (local.get 0))) (return (i32.const 30))) (return (i32.const 20))) (i32.const 10)))`)
		const end = 65536 - 12
		for _, c := range []struct {
			name string
			arg  uint64
			trap error
			want uint64
		}{
			{"load", end, nil, 0}, {"load", end + 1, davit.TrapMemoryOutOfBounds, 0}, {"load", 0xffffffff, davit.TrapMemoryOutOfBounds, 0},
			{"store", end, nil, 0}, {"store", end + 1, davit.TrapMemoryOutOfBounds, 0},
			{"wide", end, nil, 0}, {"wide", end + 1, davit.TrapMemoryOutOfBounds, 0}, {"wide", 1<<64 - 9, davit.TrapMemoryOutOfBounds, 0},
			{"call", 1, nil, 7}, {"call", 0, davit.TrapUninitializedElement, 0}, {"call", 2, davit.TrapUndefinedElement, 0}, {"call", 0x80000000, davit.TrapUndefinedElement, 0},
			{"get", 0, nil, 1}, {"get", 1, nil, 0}, {"get", 2, davit.TrapTableOutOfBounds, 0},
			{"set", 1, nil, 0}, {"set", 2, davit.TrapTableOutOfBounds, 0},
			{"table", 0, nil, 10}, {"table", 1, nil, 20}, {"table", 2, nil, 30}, {"table", 3, nil, 30}, {"table", 0xffffffff, nil, 30},
		} {
			args := []uint64{c.arg}
			err := in.Func(c.name).CallRaw(ctx, args)
			if !errors.Is(err, c.trap) || c.trap == nil && err != nil {
				t.Errorf("%v: %s(%#x): error %v, want %v", config.Settings, c.name, c.arg, err, c.trap)
			} else if c.trap == nil && c.name != "store" && c.name != "set" && args[0] != c.want {
				t.Errorf("%v: %s(%#x) = %d, want %d", config.Settings, c.name, c.arg, args[0], c.want)
			}
		}
	}
}
