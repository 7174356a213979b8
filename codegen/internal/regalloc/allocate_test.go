package regalloc

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
)

var (
	functions = flag.Int("functions", 1500, "number of random functions per register file")
	firstSeed = flag.Uint64("seed", 0, "where to start with random functions")
)

var algorithms = []Algorithm{Fast, Global}

// tryAllocate generates a function and has it allocated, checked and simulated.
func tryAllocate(t *testing.T, a *Allocator, c *choices, env *Env, blocks, insts int) {
	t.Helper()
	f := generate(c, env, blocks, insts)
	if err := Validate(f, env); err != nil {
		t.Fatalf("the generated function is not valid: %v\n%s", err, dump(f, nil))
	}
	for _, algorithm := range algorithms {
		func() {
			defer func() {
				if e := recover(); e != nil {
					t.Logf("%s", dump(f, nil))
					panic(e)
				}
			}()
			out, err := a.Allocate(f, env, Options{Algorithm: algorithm})
			if err != nil {
				t.Fatalf("algorithm %d: %v\n%s", algorithm, err, dump(f, nil))
			}
			if err := Check(f, env, out); err != nil {
				t.Fatalf("algorithm %d: %v\n%s", algorithm, err, dump(f, out))
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 3 {
				if err := simulate(f, env, out, r, 300); err != nil {
					t.Fatalf("algorithm %d: simulation: %v\n%s", algorithm, err, dump(f, out))
				}
			}
		}()
	}
}

func TestAllocateRandom(t *testing.T) {
	for k, env := range testEnvs() {
		t.Run(fmt.Sprintf("%dregs", len(env.Allocatable[Int])), func(t *testing.T) {
			var a Allocator
			n := *functions
			if testing.Short() {
				n = 200
			}
			for i := range n {
				seed := *firstSeed + uint64(i)
				c := &choices{rand: rand.New(rand.NewPCG(seed, uint64(k)))}
				blocks, insts := 1+i%20, 1+i/20%20
				tryAllocate(t, &a, c, env, blocks, insts)
			}
		})
	}
}

func FuzzAllocate(f *testing.F) {
	envs := testEnvs()
	var a Allocator
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 200, 100, 50, 25})
	f.Add([]byte("a longer input gives more decisions to the generator, and so a larger function to allocate"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 3 {
			return
		}
		env := envs[int(data[0])%len(envs)]
		c := &choices{data: data[3:], rand: rand.New(rand.NewPCG(uint64(data[1]), uint64(data[2])))}
		tryAllocate(t, &a, c, env, 1+int(data[1])%30, 1+int(data[2])%30)
	})
}
