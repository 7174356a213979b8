package vm_test

import (
	"context"
	"sync"
	"testing"

	"github.com/davit-wasm/davit/internal/vm"
)

// TestTurn: goroutines that take the turn in every way never have it at once.
func TestTurn(t *testing.T) {
	if _, err := vm.NewEngine(0); err != nil {
		t.Skip(err)
	}
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		turn := newTurn()
		inside, count := 0, 0
		enter := func() {
			inside++
			count++
			if inside != 1 {
				t.Errorf("%d goroutines have the turn", inside)
			}
			inside--
			turn.Give()
		}
		owner := make(chan bool)
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := range 100 {
				if turn.Try() {
					if turn.Try() {
						t.Error("taken twice by its owner")
					}
					enter()
				}
				if i == 20 {
					close(owner)
				}
			}
		})
		<-owner
		for range 2 {
			wg.Go(func() {
				for range 20 {
					if !turn.Wait(context.Background()) {
						t.Error("gave up without reason")
						return
					}
					enter()
				}
			})
		}
		wg.Wait()
		if count < 41 || !turn.Try() {
			t.Fatalf("the turn was taken %d times; it is free at last: %v", count, turn.Try())
		}
	}
}

// TestTurnGivesUp: a wait ends with its context, and its place is passed on.
func TestTurnGivesUp(t *testing.T) {
	if _, err := vm.NewEngine(0); err != nil {
		t.Skip(err)
	}
	turn := newTurn()
	if !turn.Try() {
		t.Fatal("a new turn is taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	gaveUp, got := make(chan bool), make(chan bool)
	go func() { gaveUp <- turn.Wait(ctx) }()
	go func() { got <- turn.Wait(context.Background()) }()
	cancel()
	if <-gaveUp {
		t.Error("a wait took what was not free")
	}
	turn.Give()
	if !<-got {
		t.Error("the other waiter was forgotten")
	}
}

// TestTurnRenewal: goroutines that use a turn for a while each, and now and then
// at the same time, never have it at once, whichever way they take it.
func TestTurnRenewal(t *testing.T) {
	if _, err := vm.NewEngine(0); err != nil {
		t.Skip(err)
	}
	turn := newTurn()
	inside, count := 0, 0
	use := func(times int) {
		for range times {
			if !turn.Wait(context.Background()) {
				t.Error("gave up without reason")
				return
			}
			if !turn.Mine() {
				t.Error("the turn is another's")
			}
			inside++
			count++
			if inside != 1 {
				t.Errorf("%d goroutines have the turn", inside)
			}
			inside--
			turn.Give()
		}
	}
	rounds := 30
	if testing.Short() {
		rounds = 5
	}
	want := 0
	for range rounds {
		for range 3 { // one after the other, each long enough for a lease
			done := make(chan bool)
			go func() { defer close(done); use(5000) }()
			<-done
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { use(1000) })
		}
		use(1000)
		wg.Wait()
		want += 3*5000 + 4*1000
	}
	if count != want || turn.Mine() {
		t.Errorf("%d uses, want %d; still taken: %v", count, want, turn.Mine())
	}
}

// BenchmarkTurnRegained is BenchmarkTurn after another goroutine has used the
// turn.
func BenchmarkTurnRegained(b *testing.B) {
	turn := newTurn()
	done := make(chan bool)
	go func() {
		turn.Try()
		turn.Give()
		close(done)
	}()
	<-done
	for b.Loop() {
		if !turn.Try() {
			b.Fatal("taken")
		}
		turn.Give()
	}
}

func BenchmarkTurn(b *testing.B) {
	turn := newTurn()
	for b.Loop() {
		if !turn.Try() {
			b.Fatal("taken")
		}
		turn.Give()
	}
}

func newTurn() *vm.Turn {
	t := new(vm.Turn)
	t.Init()
	return t
}
