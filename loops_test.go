package davit_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
)

// loopWriter writes a function of counted loops that walk through memory: with
// steps in both directions, starts that are known or not, addresses that wrap or
// run out of memory in the middle, several exits, and values used behind.
type loopWriter struct {
	r      *rand.Rand
	w      strings.Builder
	vars   int
	labels int
}

const loopParams = 4

func (g *loopWriter) line(format string, args ...any) { fmt.Fprintf(&g.w, format+"\n", args...) }

// number is a constant, often a special one.
func (g *loopWriter) number() int32 {
	switch g.r.IntN(8) {
	case 0:
		return -int32(g.r.IntN(4000))
	case 1:
		return int32(g.r.IntN(64))
	case 2:
		return 65536 - int32(g.r.IntN(200))
	case 3:
		return 1<<30 - 100 + int32(g.r.IntN(200))
	}
	return int32(g.r.IntN(60000))
}

// index is an i32 expression that is mostly linear in the variables.
func (g *loopWriter) index() string {
	x := fmt.Sprintf("(local.get $i%d)", g.r.IntN(g.vars))
	switch g.r.IntN(8) {
	case 0:
		x = fmt.Sprintf("(i32.shl %s (i32.const %d))", x, g.r.IntN(4))
	case 1:
		x = fmt.Sprintf("(i32.add (local.get $p%d) %s)", g.r.IntN(loopParams), x)
	case 2:
		x = fmt.Sprintf("(i32.mul %s (i32.const %d))", x, g.r.IntN(13)-6)
	case 3:
		x = fmt.Sprintf("(i32.add %s (local.get $p%d))", x, g.r.IntN(loopParams))
	case 4:
		x = fmt.Sprintf("(i32.add %s (local.get $i%d))", x, g.r.IntN(g.vars))
	}
	if g.r.IntN(2) == 0 {
		x = fmt.Sprintf("(i32.add %s (i32.const %d))", x, g.r.IntN(256)-128)
	}
	if g.r.IntN(6) == 0 {
		x = fmt.Sprintf("(i32.sub %s (i32.const %d))", x, g.number())
	}
	return x
}

func (g *loopWriter) offset() string {
	if g.r.IntN(3) > 0 {
		return ""
	}
	return fmt.Sprintf("offset=%d", g.r.IntN(2000))
}

func (g *loopWriter) access() {
	loads := [...]string{"i32.load", "i32.load8_u", "i32.load8_s", "i32.load16_u", "i32.load16_s"}
	stores := [...]string{"i32.store", "i32.store8", "i32.store16"}
	if g.r.IntN(2) == 0 {
		g.line("(local.set $acc (i32.add (i32.mul (local.get $acc) (i32.const 31)) (%s %s %s)))", loads[g.r.IntN(len(loads))], g.offset(), g.index())
		return
	}
	value := "(local.get $acc)"
	switch g.r.IntN(4) {
	case 0:
		value = fmt.Sprintf("(local.get $i%d)", g.r.IntN(g.vars))
	case 1:
		value = fmt.Sprintf("(i32.add (i32.const 7) (%s %s %s))", loads[g.r.IntN(len(loads))], g.offset(), g.index())
	}
	g.line("(%s %s %s %s)", stores[g.r.IntN(len(stores))], g.offset(), g.index(), value)
}

// loop writes a loop with fresh values of the variables.
func (g *loopWriter) loop(nest int) {
	label := g.labels
	g.labels++
	steps := make([]int, g.vars)
	for i := range steps {
		steps[i] = [...]int{1, 2, 4, 8, 16, 3, 12, -1, -4, -8, -2, 400}[g.r.IntN(12)]
		init := fmt.Sprintf("(i32.const %d)", g.number())
		switch g.r.IntN(4) {
		case 0:
			init = fmt.Sprintf("(local.get $p%d)", g.r.IntN(loopParams))
		case 1:
			init = fmt.Sprintf("(i32.add (local.get $p%d) (i32.const %d))", g.r.IntN(loopParams), g.number()%1000)
		case 2:
			if i > 0 || g.labels > 1 { // what the loop before has left
				init = fmt.Sprintf("(local.get $i%d)", g.r.IntN(g.vars))
			}
		}
		g.line("(local.set $i%d %s)", i, init)
	}
	// The bound is so many steps away, or anywhere.
	trips := fmt.Sprintf("(i32.const %d)", 1+g.r.IntN(40))
	if g.r.IntN(2) == 0 {
		trips = fmt.Sprintf("(i32.add (i32.and (local.get $p%d) (i32.const 31)) (i32.const 1))", g.r.IntN(loopParams))
	}
	exact := g.r.IntN(3) > 0
	if exact {
		g.line("(local.set $n (i32.add (local.get $i0) (i32.mul (i32.const %d) %s)))", steps[0], trips)
	} else {
		g.line("(local.set $n %s) (local.set $fuel (i32.const %d))", trips, 1+g.r.IntN(60))
	}
	g.line("(block $exit%d (loop $loop%d", label, label)
	top := g.r.IntN(4) == 0 // the test is at the top
	cond := "(i32.ne (local.get $i0) (local.get $n))"
	if !exact {
		cond = fmt.Sprintf("(i32.%s (local.get $i0) (local.get $n))", [...]string{"ne", "lt_u", "gt_s", "ge_u", "le_s", "lt_s"}[g.r.IntN(6)])
		if g.r.IntN(4) == 0 {
			cond = "(local.get $i0)"
		}
	}
	if top {
		g.line("(br_if $exit%d (i32.eqz %s))", label, cond)
	}
	update := g.r.IntN(5)
	for k := range 5 {
		if k == update {
			for i, s := range steps {
				g.line("(local.set $i%d (i32.add (local.get $i%d) (i32.const %d)))", i, i, s)
			}
		}
		switch g.r.IntN(7) {
		case 0, 1, 2:
			g.access()
		case 3:
			if g.r.IntN(4) == 0 {
				g.line("(br_if $exit%d (i32.eqz (i32.and (local.get $acc) (i32.const 31))))", label)
			}
		case 4:
			if g.r.IntN(3) == 0 {
				g.line("(if (i32.and (local.get $acc) (i32.const 1)) (then")
				g.access()
				g.line("))")
			}
		case 5:
			if nest == 0 && g.r.IntN(3) == 0 {
				g.line("(local.set $saved%d (local.get $i0)) (local.set $keep%d (local.get $n))", nest, nest)
				g.loop(nest + 1)
				g.line("(local.set $i0 (local.get $saved%d)) (local.set $n (local.get $keep%d))", nest, nest)
			}
		}
	}
	if !exact {
		g.line("(local.set $fuel (i32.sub (local.get $fuel) (i32.const 1))) (br_if $exit%d (i32.le_s (local.get $fuel) (i32.const 0)))", label)
	} else {
		// An inner loop may have moved the variable, and wrapped addresses may have moved the bound: a counter that nothing
		// else looks at ends the outermost loop in any case.
		g.line("(br_if $exit%d (i32.gt_u (local.tee $total (i32.add (local.get $total) (i32.const 1))) (i32.const 5000)))", label)
	}
	if top {
		g.line("(br $loop%d)", label)
	} else {
		g.line("(br_if $loop%d %s)", label, cond)
	}
	g.line("))")
	for i := range g.vars {
		if g.r.IntN(3) == 0 {
			g.line("(local.set $acc (i32.xor (local.get $acc) (local.get $i%d)))", i)
		}
	}
}

func (g *loopWriter) function(name string) {
	g.vars, g.labels = 1+g.r.IntN(4), 0
	g.line("(func (export %q) (param $p0 i32) (param $p1 i32) (param $p2 i32) (param $p3 i32) (result i32)", name)
	g.line("(local $acc i32) (local $n i32) (local $fuel i32) (local $total i32) (local $saved0 i32) (local $keep0 i32)")
	for i := range g.vars {
		g.line("(local $i%d i32)", i)
	}
	for range 1 + g.r.IntN(3) {
		g.loop(0)
	}
	g.line("(local.get $acc))")
}

// TestRandomLoops runs random loops optimized and not, and compares what they
// return, whether they trap, and what they leave in memory.
func TestRandomLoops(t *testing.T) {
	const functions = 40
	modules := 12
	if testing.Short() {
		modules = 3
	}
	for seed := range uint64(modules) {
		g := loopWriter{r: rand.New(rand.NewPCG(seed, 77))}
		g.line("(module (memory (export %q) 1 1)", "memory")
		for i := range functions {
			g.function(fmt.Sprint("f", i))
		}
		g.line(")")
		var in [2]*davit.Instance
		var memory [2][]byte
		for k, level := range []string{"none", "speed"} {
			in[k] = newWorld(t, &davit.Config{Settings: []string{"opt_level=" + level, "enable_verifier=true", "regalloc_checker=true"}}, nil).instantiate(g.w.String())
			memory[k], _ = in[k].Memory("memory").View(0, 1<<16)
		}
		args := rand.New(rand.NewPCG(seed, 78))
		for i := range functions {
			for range 12 {
				var p [loopParams]uint64
				for k := range p {
					p[k] = uint64(uint32(g.number()))
					if args.IntN(3) == 0 {
						p[k] = uint64(args.IntN(1 << 16))
					}
				}
				var result [2]uint64
				var code [2]any
				for k := range in {
					for at := range memory[k] {
						memory[k][at] = byte(at * 13 >> 3)
					}
					buf := append([]uint64(nil), p[:]...)
					err := in[k].Func(fmt.Sprint("f", i)).CallRaw(ctx, buf)
					var trap *davit.Trap
					switch {
					case errors.As(err, &trap):
						code[k] = trap.Code
					case err != nil:
						t.Fatal(err)
					default:
						result[k] = buf[0]
					}
				}
				if result[0] != result[1] || code[0] != code[1] || !bytes.Equal(memory[0], memory[1]) {
					t.Fatalf("seed %d: f%d(%d): %#x, trap %v; optimized %#x, trap %v; memory equal: %v", seed, i, p, result[0], code[0], result[1], code[1], bytes.Equal(memory[0], memory[1]))
				}
			}
		}
	}
}
