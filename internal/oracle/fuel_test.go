package oracle_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/oracle"
	"github.com/davit-wasm/davit/internal/wasmgen"
	"github.com/davit-wasm/davit/wasm"
)

// TestStoreFuel runs random modules natively, in all ways in which code is made, and by the
// interpreter: each call consumes the same by all. Then it runs them once more with
// less fuel than they need: they end at the same place.
func TestStoreFuel(t *testing.T) {
	var engines []*davit.Engine
	for i, c := range []davit.Config{
		{},
		{Settings: []string{"opt_level=none"}, ExplicitBounds: true},
		{Settings: []string{"opt_level=speed_and_size", "regalloc_algorithm=single_pass"}},
		{Settings: []string{"enable_inlining=false"}, Interruption: davit.InterruptionEpoch},
		{QuickCompile: true, CPU: "x86-64-v2"},
	} {
		c.Fuel = true
		c.Settings = append(c.Settings, "regalloc_checker=true", "enable_verifier=true")
		e, err := davit.NewEngine(&c)
		if err != nil {
			t.Skipf("configuration %d: %v", i, err)
		}
		engines = append(engines, e)
	}
	modules := uint64(150)
	if testing.Short() {
		modules = 15
	}
	calls, traps, short, refueled := 0, 0, 0, 0
	for seed := range modules {
		r := rand.New(rand.NewPCG(seed, 2))
		m := wasmgen.Module(r, wasmgen.Config{SIMD: seed%2 == 0, TailCalls: seed%3 == 0, Size: 50 << (seed % 3), Fuel: 50})
		code := wasm.Encode(m)
		var all, hooked []*counted
		for i, e := range engines {
			m, err := e.Compile(context.Background(), code)
			if err != nil {
				t.Fatalf("seed %d, engine %d: %v", seed, i, err)
			}
			if i == 2 {
				m = reloaded(t, e, m)
			}
			s, err := davit.NewStore(e, &davit.StoreConfig{Fuel: 1 << 62})
			if err != nil {
				t.Fatal(err)
			}
			in, err := davit.NewLinker(e).Instantiate(context.Background(), s, m)
			if err != nil {
				t.Fatalf("seed %d, engine %d: %v", seed, i, err)
			}
			all = append(all, &counted{in: in, store: s})
			// The same with nothing but what the hook gives, a few units at a time.
			s, err = davit.NewStore(e, &davit.StoreConfig{Refuel: func(context.Context) (uint64, error) {
				refueled++
				return 1 + seed%5, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			if in, err = davit.NewLinker(e).Instantiate(context.Background(), s, m); err != nil {
				t.Fatalf("seed %d, engine %d: %v", seed, i, err)
			}
			hooked = append(hooked, &counted{in: in, store: s})
			m.Close()
		}
		closing := hooked
		var interpreted []*oracle.Instance
		for _, o := range []oracle.Options{{}, {Optimized: true}} {
			o.Settings = image.Settings{Fuel: true, ExplicitBounds: true}
			in, err := oracle.New(code, &o)
			if err != nil {
				t.Fatalf("seed %d, %+v: %v", seed, o, err)
			}
			interpreted = append(interpreted, in)
		}
		for _, x := range m.Exports {
			if x.Kind != wasm.KindFunc || x.Name == "refuel" {
				continue
			}
			typ := m.FuncTypeOf(x.Index)
			args := make([]uint64, len(typ.Params))
			for i, p := range typ.Params {
				args[i] = number(r, p)
			}
			want, wantErr := all[0].call(t, x.Name, args, len(typ.Results))
			calls++
			if wantErr != 0 {
				traps++
			}
			for i, c := range slices.Concat(all[1:], hooked) {
				if have, err := c.call(t, x.Name, args, len(typ.Results)); have != want || err != wantErr {
					t.Fatalf("seed %d: %s%x consumes %d (%v) by store %d, %d (%v) by the first", seed, x.Name, args, have, err, i+1, want, wantErr)
				}
				for k, typ := range typ.Results {
					if wantErr == 0 && !same(typ, c.results[k], all[0].results[k]) {
						t.Fatalf("seed %d: %s%x is %x by store %d, %x by the first", seed, x.Name, args, c.results, i+1, all[0].results)
					}
				}
			}
			for i, in := range interpreted {
				if _, err := in.Call("refuel"); err != nil {
					t.Fatal(err)
				}
				before := in.FuelConsumed()
				_, err := in.Call(x.Name, args...)
				if trap, ok := errors.AsType[*oracle.Trap](err); err != nil && (!ok || davit.TrapCode(trap.Code) != wantErr) {
					t.Fatalf("seed %d, oracle %d: %s%x: %v", seed, i, x.Name, args, err)
				}
				if have := in.FuelConsumed() - before; have != want {
					t.Fatalf("seed %d: %s%x consumes %d by oracle %d, %d natively", seed, x.Name, args, have, i, want)
				}
			}
			if want < 2 {
				continue
			}
			// What is left is the amount that is missing, or debts; both must be the same.
			part := r.Uint64N(want)
			var first string
			for i, c := range all {
				if err := c.store.SetFuel(part); err != nil {
					t.Fatal(err)
				}
				have, trap, place := c.trapped(t, x.Name, args, len(typ.Results))
				line := fmt.Sprint(have, trap)
				if trap == davit.TrapOutOfFuel {
					line += place
				}
				if i == 0 {
					first = line
					if trap == davit.TrapOutOfFuel {
						short++
					}
				}
				if line != first {
					t.Fatalf("seed %d: %s%x with %d units of %d: %s by engine %d, %s by engine 0", seed, x.Name, args, part, want, line, i, first)
				}
				if err := c.store.SetFuel(1 << 62); err != nil {
					t.Fatal(err)
				}
			}
			interpreted, hooked = nil, nil // their memories differ from now on
		}
		for _, c := range slices.Concat(all, closing) {
			if err := c.store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d calls, %d traps, %d run out of fuel; %d times there was more", calls, traps, short, refueled)
	if refueled < calls || traps == 0 || traps == calls || short < calls/4 {
		t.Errorf("%d calls, %d traps, %d run out of fuel: the modules test little", calls, traps, short)
	}
}

// counted is an instance in a store with fuel.
type counted struct {
	in      *davit.Instance
	store   *davit.Store
	results []uint64 // of the last call
}

// call is what a call consumes, and the trap that it ends with, or 0.
func (c *counted) call(t *testing.T, name string, args []uint64, results int) (uint64, davit.TrapCode) {
	t.Helper()
	if err := c.in.Func("refuel").CallRaw(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	consumed, code, _ := c.trapped(t, name, args, results)
	return consumed, code
}

// trapped is call without refuel, and with the place of the trap.
func (c *counted) trapped(t *testing.T, name string, args []uint64, results int) (uint64, davit.TrapCode, string) {
	t.Helper()
	stack := make([]uint64, max(len(args), results))
	copy(stack, args)
	before := c.store.FuelConsumed()
	err := c.in.Func(name).CallRaw(context.Background(), stack)
	consumed := c.store.FuelConsumed() - before
	c.results = stack
	trap, ok := errors.AsType[*davit.Trap](err)
	switch {
	case err == nil:
		return consumed, 0, ""
	case !ok:
		t.Fatal(err)
	}
	return consumed, trap.Code, trap.Backtrace()
}

// reloaded is m by way of an artifact.
func reloaded(t *testing.T, e *davit.Engine, m *davit.Module) *davit.Module {
	t.Helper()
	data, err := m.Serialize()
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	if m, err = e.LoadModule(data); err != nil {
		t.Fatal(err)
	}
	return m
}
