package davit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

// burner has functions whose consumption is worked out in TestFuelCosts.
const burner = `(module $burner
  (import "host" "look" (func $look (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (table $t 40 100 funcref)
  (elem $e funcref (ref.func $leaf) (ref.func $leaf))
  (data $d "0123456789012345678901234567890123456789012345678901234567890123456789")
  (type $unary (func (param i32) (result i32)))
  (func $leaf (export "leaf") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func $nothing (export "nothing"))
  (func (export "nops") nop (block (nop)) (drop (i32.const 1)))
  (func (export "if") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.const 1)) (else (i32.mul (i32.const 2) (i32.const 3)))))
  (func (export "loop") (param $n i32) (result i32)
    (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $n))
  (func (export "calls") (param $n i32) (result i32)
    (loop $l
      (drop (call $leaf (local.get $n)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $n))
  (func (export "tail") (param i32) (result i32) (return_call $leaf (local.get 0)))
  (func (export "host") (param i32) (result i32)
    (i32.add (call $look (local.get 0)) (call $look (i32.const 7))))
  (func (export "switch") (param $n i32) (param $sum i32) (result i32)
    (block $done
      (loop $again
        (block $odd
          (block $even
            (br_if $done (i32.eqz (local.get $n)))
            (br_table $even $odd $even (i32.and (local.get $n) (i32.const 1))))
          (local.set $sum (i32.add (local.get $sum) (i32.const 10))))
        (local.set $n (i32.sub (local.get $n) (i32.const 1)))
        (br $again)))
    (local.get $sum))
  (func (export "fill") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "fill few") (memory.fill (i32.const 0) (i32.const 1) (i32.const 63)))
  (func (export "fill 64") (memory.fill (i32.const 0) (i32.const 1) (i32.const 64)))
  (func (export "copy") (param i32) (memory.copy (i32.const 100) (i32.const 1) (local.get 0)))
  (func (export "init") (param i32) (memory.init $d (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "table.fill") (param i32) (table.fill $t (i32.const 0) (ref.null func) (local.get 0)))
  (func (export "table.copy") (param i32) (table.copy $t $t (i32.const 0) (i32.const 1) (local.get 0)))
  (func (export "table.init") (param i32) (table.init $t $e (i32.const 0) (i32.const 0) (local.get 0)))
  (func (export "table.grow") (param i32) (result i32) (table.grow $t (ref.null func) (local.get 0)))
  (func (export "oob") (param i32) (result i32)
    (drop (i32.load (i32.const 4)))
    (drop (i32.load (local.get 0)))
    (drop (call $leaf (i32.const 1)))
    (i32.const 1))
  (func (export "divide") (param i32) (result i32)
    (if (i32.eqz (local.get 0)) (then (nop)))
    (i32.div_u (i32.const 1) (local.get 0)))
  (func (export "unreachable") (drop (i32.const 1)) unreachable)
  (func (export "indirect") (param i32) (result i32) (call_indirect $t (type $unary) (i32.const 1) (local.get 0)))
  (func (export "forever") (loop $l (br $l)))
  (func $deep (export "deep") (call $deep))
  (func (export "jumps") (param i32)
    (loop $l (block $a (block $b (br_table $a $b $l (local.get 0))) (br $l)) (br $l))))`

// fuelWorld is a world with burner in it.
func fuelWorld(t testing.TB, c davit.Config, sc davit.StoreConfig, look func(c *davit.Caller, x int32) (int32, error)) (*world, *davit.Instance) {
	t.Helper()
	c.Fuel = true
	w := newWorld(t, &c, &sc)
	if look == nil {
		look = func(_ *davit.Caller, x int32) (int32, error) { return x, nil }
	}
	if err := w.linker.Define("host", "look", davit.HostFunc1(func(_ context.Context, c *davit.Caller, x int32) (int32, error) {
		return look(c, x)
	})); err != nil {
		t.Fatal(err)
	}
	return w, w.instantiate(burner)
}

// fuelConfigs are ways in which code is made.
var fuelConfigs = map[string]davit.Config{
	"speed":  {},
	"none":   {Settings: []string{"opt_level=none"}},
	"size":   {Settings: []string{"opt_level=speed_and_size"}},
	"quick":  {QuickCompile: true},
	"bounds": {ExplicitBounds: true, Interruption: davit.InterruptionEpoch},
}

func call(in *davit.Instance, name string, args ...int32) error {
	values := make([]davit.Value, len(args))
	for i, a := range args {
		values[i] = davit.ValueI32(a)
	}
	_, err := in.Func(name).Call(ctx, values...)
	return err
}

// TestFuelCosts: what calls cost, counted by hand.
func TestFuelCosts(t *testing.T) {
	for name, c := range fuelConfigs {
		t.Run(name, func(t *testing.T) {
			w, in := fuelWorld(t, c, davit.StoreConfig{Fuel: 1 << 40}, nil)
			for _, x := range []struct {
				name string
				args []int32
				cost uint64
				trap davit.TrapCode
			}{
				{"nothing", nil, 1, 0},
				{"leaf", []int32{1}, 1 + 3, 0},
				{"nops", nil, 1 + 1, 0},
				{"if", []int32{1}, 1 + 2 + 1, 0},
				{"if", []int32{0}, 1 + 2 + 3, 0},
				{"loop", []int32{1}, 1 + 5 + 1, 0},
				{"loop", []int32{1000}, 1 + 1000*5 + 1, 0},
				{"calls", []int32{10}, 1 + 10*(2+4+5) + 1, 0},
				{"tail", []int32{10}, 1 + 2 + 4, 0},
				{"host", []int32{10}, 1 + 5, 0},
				{"switch", []int32{0, 0}, 1 + 3 + 1, 0},
				{"switch", []int32{2, 0}, 1 + 2*(3+4+5) + 4 + 3 + 1, 0},
				{"fill", []int32{0}, 1 + 4, 0},
				{"fill", []int32{63}, 1 + 4, 0},
				{"fill", []int32{64 << 10}, 1 + 4 + 1<<10, 0},
				{"fill", []int32{64<<10 + 1}, 1 + 4, davit.TrapMemoryOutOfBounds},
				{"fill", []int32{-1}, 1 + 4, davit.TrapMemoryOutOfBounds},
				{"fill few", nil, 1 + 4, 0},
				{"fill 64", nil, 1 + 4 + 1, 0},
				{"copy", []int32{1000}, 1 + 4 + 1000/64, 0},
				{"copy", []int32{64 << 10}, 1 + 4 + 1<<10, davit.TrapMemoryOutOfBounds},
				{"init", []int32{65}, 1 + 4 + 1, 0},
				{"grow", []int32{0}, 1 + 2, 0},
				{"grow", []int32{2}, 1 + 2 + 2<<10, 0},
				{"grow", []int32{2}, 1 + 2, 0}, // beyond the maximum
				{"grow", []int32{-1}, 1 + 2, 0},
				{"table.fill", []int32{40}, 1 + 4 + 5, 0},
				{"table.copy", []int32{16}, 1 + 4 + 2, 0},
				{"table.init", []int32{1}, 1 + 4, 0},
				{"table.grow", []int32{8}, 1 + 3 + 1, 0},
				{"table.grow", []int32{1000}, 1 + 3, 0},
				{"oob", []int32{0}, 1 + 6 + 4 + 1, 0},
				{"oob", []int32{-1}, 1 + 6, davit.TrapMemoryOutOfBounds}, // up to the call
				{"divide", []int32{0}, 1 + 3 + 3, davit.TrapIntegerDivideByZero},
				{"unreachable", nil, 1 + 1, davit.TrapUnreachable},
				{"indirect", []int32{0}, 1 + 3 + 4, 0},
				{"indirect", []int32{30}, 1 + 3, davit.TrapUninitializedElement},
			} {
				before, left := w.store.FuelConsumed(), w.store.Fuel()
				err := call(in, x.name, x.args...)
				if have := w.store.FuelConsumed() - before; have != x.cost || left-w.store.Fuel() != have {
					t.Errorf("%s%v consumes %d and leaves %d less, want %d", x.name, x.args, have, left-w.store.Fuel(), x.cost)
				}
				if x.trap != 0 {
					wantTrap(t, err, x.trap)
				} else if err != nil {
					t.Errorf("%s%v: %v", x.name, x.args, err)
				}
			}
		})
	}
}

// TestOutOfFuel: guests that would run forever end, at the same place by all engines,
// and can be called again.
func TestOutOfFuel(t *testing.T) {
	for name, c := range fuelConfigs {
		t.Run(name, func(t *testing.T) {
			w, in := fuelWorld(t, c, davit.StoreConfig{}, nil)
			if err := call(in, "nothing"); !errors.Is(err, davit.TrapOutOfFuel) {
				t.Errorf("without any fuel: %v", err)
			}
			for _, x := range []struct {
				name     string
				args     []int32
				fuel     uint64
				consumed uint64
				frames   int
			}{
				{"nothing", nil, 0, 1, 1},
				{"nothing", nil, 1, 1, 0},
				{"forever", nil, 1000, 1001, 1},
				{"loop", []int32{1000}, 501, 1 + 5*101, 1},
				{"loop", []int32{100}, 502, 502, 0},
				{"deep", nil, 1000, 501 * 2, 501},          // two for each call
				{"jumps", []int32{0}, 99, 1 + 33*3 + 2, 1}, // a unit of debts in the last turn
				{"jumps", []int32{1}, 99, 1 + 33*3 + 2, 1},
				{"jumps", []int32{2}, 99, 1 + 50*2, 1},
				{"fill", []int32{64 << 10}, 100, 1 + 4 + 1024, 1}, // before it does anything
				{"calls", []int32{1 << 20}, 107, 1 + 10*11 + 2, 1},
				{"calls", []int32{1 << 20}, 105, 1 + 9*11 + 2 + 4, 2}, // in the function that is called
			} {
				if err := w.store.SetFuel(x.fuel); err != nil {
					t.Fatal(err)
				}
				before := w.store.FuelConsumed()
				err := call(in, x.name, x.args...)
				consumed := w.store.FuelConsumed() - before
				if consumed != x.consumed {
					t.Errorf("%s%v with %d units consumes %d, want %d", x.name, x.args, x.fuel, consumed, x.consumed)
				}
				if x.frames == 0 {
					if err != nil {
						t.Errorf("%s%v with %d units: %v", x.name, x.args, x.fuel, err)
					}
					continue
				}
				trap := wantTrap(t, err, davit.TrapOutOfFuel)
				if len(trap.Frames) != min(x.frames, 100) || w.store.Fuel() != 0 {
					t.Errorf("%s%v with %d units: %d units are left, frames:\n%s", x.name, x.args, x.fuel, w.store.Fuel(), trap.Backtrace())
				}
			}
			if b := in.Memory("memory"); b != nil {
				if v, _ := b.View(0, 8); v[0] != 0 {
					t.Error("the memory was filled without fuel for it")
				}
			}
			// The debts are paid first.
			if err := errors.Join(w.store.SetFuel(0), call(in, "nothing")); !errors.Is(err, davit.TrapOutOfFuel) {
				t.Error(err)
			}
			if err := errors.Join(w.store.AddFuel(5), call(in, "leaf", 1)); err != nil {
				t.Error(err)
			}
			if n := w.store.Fuel(); n != 0 {
				t.Errorf("%d units are left", n)
			}
		})
	}
}

// TestOutOfFuelPlace: the frames of the trap say where it was.
func TestOutOfFuelPlace(t *testing.T) {
	w := newWorld(t, &davit.Config{Fuel: true}, &davit.StoreConfig{Fuel: 100})
	in := w.instantiate(`(module $m (func $turn (loop $l (br $l))) (func (export "run") (call $turn)))`)
	trap := wantTrap(t, call(in, "run"), davit.TrapOutOfFuel)
	if trap.Error() != "wasm trap: all fuel consumed" {
		t.Error(trap)
	}
	want := []string{"m!turn at offset", "m!run at offset"}
	for i, f := range trap.Frames {
		if i >= len(want) || !strings.HasPrefix(f.String(), want[i]) {
			t.Errorf("frame %d is %v", i, f)
		}
	}
	if len(trap.Frames) != 2 || trap.Frames[1].Offset-trap.Frames[0].Offset != len("\x03\x40\x0c\x00\x0b\x0b\x04\x00") { // from loop to call
		t.Errorf("frames %v", trap.Frames)
	}
}

// TestFuelInHost: a host function sees what has been consumed up to its call, and can
// take and give.
func TestFuelInHost(t *testing.T) {
	for name, c := range fuelConfigs {
		t.Run(name, func(t *testing.T) {
			var seen []uint64
			look := func(c *davit.Caller, x int32) (int32, error) {
				seen = append(seen, c.Store().FuelConsumed())
				switch x {
				case 1:
					return x, c.Store().ConsumeFuel(20)
				case 2:
					return x, c.Store().SetFuel(1)
				case 3:
					return x, c.Store().SetFuel(0)
				case 4: // a nested call
					_, err := c.Instance().Func("leaf").Call(ctx, davit.ValueI32(1))
					return x, err
				}
				return x, nil
			}
			w, in := fuelWorld(t, c, davit.StoreConfig{}, look)
			for _, x := range []struct {
				arg    int32
				fuel   uint64
				seen   string
				left   uint64
				failed bool
			}{
				{0, 100, "[3 5]", 94, false},
				{1, 100, "[3 25]", 74, false},
				{1, 10, "[3]", 0, true},
				{1, 23, "[3 25]", 0, false}, // debts until the end of the call
				{2, 100, "[3 5]", 0, false},
				{4, 100, "[3 9]", 90, false},
			} {
				if err := w.store.SetFuel(x.fuel); err != nil {
					t.Fatal(err)
				}
				before := w.store.FuelConsumed()
				seen = nil
				err := call(in, "host", x.arg)
				for i := range seen {
					seen[i] -= before
				}
				if fmt.Sprint(seen) != x.seen || w.store.Fuel() != x.left || (err != nil) != x.failed {
					t.Errorf("%+v: seen %v, left %d, %v", x, seen, w.store.Fuel(), err)
				}
				if x.failed {
					trap := wantTrap(t, err, davit.TrapOutOfFuel)
					if len(trap.Frames) != 1 || trap.Frames[0].FuncName != "host" {
						t.Errorf("frames: %v", trap.Frames)
					}
				}
			}
		})
	}
}

// TestRefuel: the hook gives more, or ends the call.
func TestRefuel(t *testing.T) {
	type key struct{}
	errBroke := errors.New("broke")
	var asked, give int
	var end error
	cancelled, cancel := context.WithCancel(context.WithValue(ctx, key{}, 1))
	refuel := func(ctx context.Context) (uint64, error) {
		if asked++; ctx.Value(key{}) != 1 {
			t.Error("it is not the context of the call")
		}
		switch {
		case give > 0:
			give--
			return 10, nil
		case end == context.Canceled:
			cancel()
			return 10, nil
		}
		return 0, end
	}
	w, in := fuelWorld(t, davit.Config{}, davit.StoreConfig{Fuel: 10, Refuel: refuel}, nil)
	run := func(name string, args ...davit.Value) error {
		asked = 0
		_, err := in.Func(name).Call(cancelled, args...)
		return err
	}
	give = math.MaxInt
	if err := run("loop", davit.ValueI32(100)); err != nil || asked != 50 || w.store.FuelConsumed() != 502 {
		t.Errorf("%v; asked %d times, %d units consumed", err, asked, w.store.FuelConsumed())
	}
	// One unit of many: asked until it is enough.
	if err := run("fill", davit.ValueI32(6400)); err != nil || asked < 10 || w.store.FuelConsumed() != 502+105 {
		t.Errorf("%v; asked %d times, %d units consumed", err, asked, w.store.FuelConsumed())
	}
	// At whatever depth of the stack, down to its end.
	err := run("deep")
	wantTrap(t, err, davit.TrapStackOverflow)
	if asked < 1000 {
		t.Errorf("asked %d times", asked)
	}
	give = 3
	if err := run("forever"); !errors.Is(err, davit.TrapOutOfFuel) || asked != 4 {
		t.Errorf("%v; asked %d times", err, asked)
	}
	give, end = 2, errBroke
	if err := run("forever"); !errors.Is(err, errBroke) || asked != 3 {
		t.Errorf("%v; asked %d times", err, asked)
	}
	give, end = 2, context.Canceled
	err = run("forever")
	wantTrap(t, err, davit.TrapInterrupt)
	if !errors.Is(err, context.Canceled) || asked != 3 {
		t.Errorf("%v; asked %d times", err, asked)
	}
}

// TestRefuelPanics: a panic of the hook comes out of the call, and the store lives on.
func TestRefuelPanics(t *testing.T) {
	w, in := fuelWorld(t, davit.Config{}, davit.StoreConfig{Refuel: func(context.Context) (uint64, error) { panic("empty") }}, nil)
	func() {
		defer func() {
			if p, ok := recover().(*davit.HostPanic); !ok || p.Value != "empty" || len(p.Frames) != 1 {
				t.Errorf("recovered %v", p)
			}
		}()
		t.Error(call(in, "nothing"))
	}()
	if err := errors.Join(w.store.SetFuel(10), call(in, "nothing")); err != nil {
		t.Error(err)
	}
}

// TestFuelStart: the start function consumes too.
func TestFuelStart(t *testing.T) {
	w := newWorld(t, &davit.Config{Fuel: true}, &davit.StoreConfig{Fuel: 100})
	m := w.compile(`(module (func $run (loop $l (br $l))) (start $run))`)
	_, err := w.linker.Instantiate(ctx, w.store, m)
	wantTrap(t, err, davit.TrapOutOfFuel)
	if n := w.store.FuelConsumed(); n != 101 {
		t.Errorf("%d units are consumed", n)
	}
}

// TestFuelInterrupted: an interruption, which may come at any instruction, misses at
// most the turn of a loop that it comes in.
func TestFuelInterrupted(t *testing.T) {
	for name, c := range fuelConfigs {
		t.Run(name, func(t *testing.T) {
			c.Fuel = true
			w := newWorld(t, &c, &davit.StoreConfig{Fuel: math.MaxUint64})
			started := make(chan context.CancelFunc)
			go func() {
				for stop := range started {
					stop()
				}
			}()
			defer close(started)
			var stop context.CancelFunc
			if err := w.linker.Define("", "start", davit.HostProc0(func(context.Context, *davit.Caller) error {
				started <- stop
				return nil
			})); err != nil {
				t.Fatal(err)
			}
			in := w.instantiate(`(module (import "" "start" (func $start)) (global $turns (export "turns") (mut i64) (i64.const 0))
			  (func (export "run") (global.set $turns (i64.const 0)) (call $start)
			    (loop $l (global.set $turns (i64.add (global.get $turns) (i64.const 1))) (br $l))))`)
			for range 1000 {
				before := w.store.FuelConsumed()
				stopped, cancel := context.WithCancel(ctx)
				stop = cancel
				_, err := in.Func("run").Call(stopped)
				cancel()
				wantTrap(t, err, davit.TrapInterrupt)
				turns := uint64(in.Global("turns").Get().I64())
				consumed := w.store.FuelConsumed() - before - 4
				if consumed < turns*5 || consumed > (turns+1)*5 {
					t.Fatalf("%d units are consumed in %d turns", consumed, turns)
				}
				if turns > 1000 {
					return
				}
			}
			t.Error("no call was interrupted in its loop")
		})
	}
}

// TestFuelAmounts: setting and adding, with the largest numbers there are.
func TestFuelAmounts(t *testing.T) {
	w := newWorld(t, &davit.Config{Fuel: true}, nil)
	s := w.store
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want := func(left, consumed uint64) {
		t.Helper()
		if s.Fuel() != left || s.FuelConsumed() != consumed {
			t.Errorf("left %d, consumed %d; want %d, %d", s.Fuel(), s.FuelConsumed(), left, consumed)
		}
	}
	want(0, 0)
	must(s.SetFuel(10))
	must(s.AddFuel(5))
	want(15, 0)
	must(s.ConsumeFuel(6))
	want(9, 6)
	must(s.AddFuel(math.MaxUint64))
	want(math.MaxInt64, 6)
	must(s.AddFuel(1))
	want(math.MaxInt64, 6)
	must(s.SetFuel(math.MaxUint64))
	want(math.MaxInt64, 6)
	must(s.ConsumeFuel(math.MaxInt64))
	want(0, math.MaxInt64+6)
	must(s.SetFuel(3))
	if err := s.ConsumeFuel(4); err != davit.TrapOutOfFuel {
		t.Error(err)
	}
	want(0, math.MaxInt64+9)
	must(s.SetFuel(7))
	must(s.Close())
	want(0, math.MaxInt64+9)
	for _, err := range []error{s.SetFuel(1), s.AddFuel(1), s.ConsumeFuel(1)} {
		if !errors.Is(err, davit.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
}

// TestNoFuel: engines that count fuel and engines that do not have nothing to do with
// each other.
func TestNoFuel(t *testing.T) {
	w := newWorld(t, nil, nil)
	for _, err := range []error{w.store.SetFuel(1), w.store.AddFuel(1), w.store.ConsumeFuel(1)} {
		if err == nil || !strings.Contains(err.Error(), "Config.Fuel") {
			t.Error(err)
		}
	}
	if w.store.Fuel() != 0 || w.store.FuelConsumed() != 0 {
		t.Error("there is fuel")
	}
	for _, c := range []davit.StoreConfig{{Fuel: 1}, {Refuel: func(context.Context) (uint64, error) { return 1, nil }}} {
		if _, err := davit.NewStore(w.engine, &c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
	code := assemble(t, divider)
	k := newCache(t, davit.CacheConfig{})
	counting, plain := davit.Config{Fuel: true, Cache: k}, davit.Config{Cache: k}
	for _, x := range []struct{ from, to *davit.Config }{{&counting, &plain}, {&plain, &counting}} {
		data, err := davit.Precompile(ctx, x.from, "", code)
		if err != nil {
			t.Fatal(err)
		}
		m, err := newEngine(t, x.from).LoadModule(data)
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		_, err = newEngine(t, x.to).LoadModule(data)
		if refused, ok := errors.AsType[*davit.ArtifactError](err); !ok || refused.Reason != davit.ArtifactSettings || !strings.Contains(refused.Detail, "fuel") {
			t.Error(err)
		}
		// The cache keeps them apart.
		for range 2 {
			m, err := newEngine(t, x.from).Compile(ctx, code)
			if err != nil {
				t.Fatal(err)
			}
			m.Close()
		}
	}
	wantStats(t, k, 2, 2)
}

// TestRefuelAtLimit: functions that call none of the guest do not look how much stack is
// left, also where they may ask for fuel. They do so here at every depth of the stack up to
// its limit, and in frames as large as such functions may have.
func TestRefuelAtLimit(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		c.Fuel, c.Settings = true, []string{"enable_inlining=false"}
		asked := 0
		w := newWorld(t, c, &davit.StoreConfig{StackBytes: 64 << 10, Refuel: func(context.Context) (uint64, error) { asked++; return 1, nil }})
		var locals, sum strings.Builder
		for i := range 200 { // alive together, most of them in the frame
			fmt.Fprintf(&locals, "(local.set %d (i64.load (i32.add (local.get 0) (i32.const %d))))", i+1, 8*i)
			fmt.Fprintf(&sum, "(local.set 1 (i64.add (i64.mul (local.get 1) (local.get %d)) (local.get %d)))", i+1, 200-i)
		}
		in := w.instantiate(fmt.Sprintf(`(module (memory 1) (global $depth (export "depth") (mut i32) (i32.const 0))
			(func $leaf (param i32) (result i64) (local %s) %s %s (local.get 1))
			(func $down (export "down") (param i32) (result i32)
				(global.set $depth (i32.add (global.get $depth) (i32.const 1)))
				(i64.store (i32.const 4096) (call $leaf (local.get 0)))
				(i32.add (call $down (local.get 0)) (i32.const 1))))`, strings.Repeat("i64 ", 200), locals.String(), sum.String()))
		for range 2 {
			asked = 0
			_, err := in.Func("down").Call(ctx, davit.ValueI32(0))
			wantTrap(t, err, davit.TrapStackOverflow)
			if depth := in.Global("depth").Get().I32(); depth < 500 || asked < 2*int(depth) {
				t.Errorf("%d deep, asked %d times", depth, asked)
			}
			in.Global("depth").Set(davit.ValueI32(0))
		}
	})
}
