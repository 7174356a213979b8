package vm

import (
	"fmt"
	"math"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
)

// Fuel is in the store context, where code that counts it takes it from: a signed
// number, negative if code has run into debt. What has been consumed follows from
// what was given.

// Fuel is what is left; 0 if nothing is, or the store is closed.
func (s *Store) Fuel() uint64 {
	if s.closed {
		return 0
	}
	return uint64(max(0, s.fuel()))
}

// FuelConsumed is what has been consumed since the store was made.
func (s *Store) FuelConsumed() uint64 {
	if s.closed {
		return s.fuelGiven // then it is what was consumed
	}
	return s.fuelGiven - uint64(s.fuel())
}

func (s *Store) fuel() int64 { return int64(*word(s.ctx, layout.StoreFuel)) }

// SetFuel makes n what is left, or the most that is possible.
func (s *Store) SetFuel(n uint64) error {
	if s.closed {
		return errStoreClosed
	}
	n = min(n, math.MaxInt64)
	s.fuelGiven += n - uint64(s.fuel())
	*word(s.ctx, layout.StoreFuel) = n
	return nil
}

// AddFuel adds n to what is left, up to the most that is possible. Debts are paid first.
func (s *Store) AddFuel(n uint64) error {
	if s.closed {
		return errStoreClosed
	}
	left := s.fuel()
	n = min(n, math.MaxInt64-uint64(left)) // the room, as a number without sign, whichever sign left has
	s.fuelGiven += n
	*word(s.ctx, layout.StoreFuel) = uint64(left) + n
	return nil
}

// ConsumeFuel takes n from what is left, or what there is if that is less.
func (s *Store) ConsumeFuel(n uint64) (enough bool, err error) {
	if s.closed {
		return false, errStoreClosed
	}
	left := s.Fuel()
	*word(s.ctx, layout.StoreFuel) -= min(n, left)
	return n <= left, nil
}

// closeFuel keeps what has been consumed when the store context goes.
func (s *Store) closeFuel() { s.fuelGiven -= uint64(s.fuel()) }

// outOfFuel is the end of a call that has no fuel left, unless there is more.
func (a *activation) outOfFuel() error {
	s := a.store
	for s.fuel() < 0 {
		if s.limits.Refuel == nil {
			return &Trap{Code: image.TrapOutOfFuel}
		}
		n, err := s.limits.Refuel(a.ctx)
		if err != nil {
			return s.hostError(fmt.Errorf("out of fuel: %w", err))
		}
		if n == 0 {
			return &Trap{Code: image.TrapOutOfFuel}
		}
		if err := s.AddFuel(n); err != nil {
			return err
		}
		if err := a.interrupted(); err != nil {
			return err
		}
	}
	return nil
}
