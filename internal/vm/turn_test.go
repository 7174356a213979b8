package vm_test

import (
	"context"
	"sync"
	"testing"

	"github.com/davit-wasm/davit/internal/vm"
)

// TestTurn: goroutines that take the turn in every way never have it at once.
func TestTurn(t *testing.T) {
	if _, err := vm.NewEngine(); err != nil {
		t.Skip(err)
	}
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	for range rounds {
		turn := vm.NewTurn()
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
	if _, err := vm.NewEngine(); err != nil {
		t.Skip(err)
	}
	turn := vm.NewTurn()
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

func BenchmarkTurn(b *testing.B) {
	turn := vm.NewTurn()
	for b.Loop() {
		if !turn.Try() {
			b.Fatal("taken")
		}
		turn.Give()
	}
}
