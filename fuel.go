package davit

import "errors"

// errNoFuel is the error of giving fuel where nothing counts it.
var errNoFuel = errors.New("davit: fuel is given, but the engine does not count it (Config.Fuel)")

// Fuel bounds how much guests compute, in the instructions of WebAssembly that they
// run. It is counted by code that an engine with [Config].Fuel has compiled, for all
// instances of a store together. When nothing is left, the call traps with
// [TrapOutOfFuel], unless [StoreConfig].Refuel gives more; the store and its
// instances can be used on, once there is fuel again.
//
// Most instructions cost 1. What makes no code costs nothing: nop, drop, block, loop,
// try_table, else, end, return, unreachable. A function costs 1 when it begins. Those
// that work on many bytes cost 1 more for each 64 of them, an element of a table being
// 8; so does memory that is added. Host functions cost what they
// take with [Store.ConsumeFuel].
//
// What a guest has consumed is exact and the same for all engines, with whatever
// settings and on whatever machine, when a call has ended, also by a trap, and in
// host functions: the instructions up to the call or trap, and after a trap also
// those that would have followed without a branch, label or call. An interruption
// comes at any time, of course, and how deep a recursion gets before it traps with
// [TrapStackOverflow] depends on the compiler. That fuel is used up is found when a
// function or a turn of a loop begins, and by instructions on many bytes, before they
// are run; from there to the next of them a guest runs on even without, into debts, which
// the fuel that is added next pays.

// Fuel is what is left of the store's fuel; 0 if it is used up, and of a closed store.
// It may be called between calls and in host functions, as all else of a store, and so
// may its kin.
func (s *Store) Fuel() uint64 { return s.vm.Fuel() }

// FuelConsumed is how much fuel has been consumed since the store was made, debts
// included. It counts on after SetFuel, and stays when the store is closed.
func (s *Store) FuelConsumed() uint64 { return s.vm.FuelConsumed() }

// SetFuel makes fuel what is left, whatever it was; debts are forgiven. More than
// math.MaxInt64 is as good as that.
func (s *Store) SetFuel(fuel uint64) error {
	if !s.engine.config.Fuel {
		return errNoFuel
	}
	return apiError(s.vm.SetFuel(fuel))
}

// ConsumeFuel takes fuel from what is left, for what a host function does on a guest's
// behalf. If less is left, it takes that, and the error is [TrapOutOfFuel], for the
// host function to return.
func (s *Store) ConsumeFuel(fuel uint64) error {
	if !s.engine.config.Fuel {
		return errNoFuel
	}
	enough, err := s.vm.ConsumeFuel(fuel)
	if err != nil {
		return apiError(err)
	}
	if !enough {
		return TrapOutOfFuel
	}
	return nil
}

// AddFuel adds to what is left, after it has paid debts.
func (s *Store) AddFuel(fuel uint64) error {
	if !s.engine.config.Fuel {
		return errNoFuel
	}
	return apiError(s.vm.AddFuel(fuel))
}
