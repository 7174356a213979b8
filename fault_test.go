package davit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
)

// faulty is a program whose calls and bulk operations can be made to fail one by
// one. The global "bad" is the number of the bulk operation whose operands are out
// of bounds; those that return -1 instead of trapping reach an unreachable.
const faulty = `(module $faulty
	(import "go" "step" (func $step (param i32) (result i32)))
	(import "go" "again" (func $again (param i32) (result i32)))
	(import "go" "ref" (func $ref (param externref) (result externref)))
	(type $unary (func (param i32) (result i32)))
	(memory (export "memory") 2 64)
	(memory $other 1 64)
	(table $t 16 256 funcref)
	(table $x 4 256 externref)
	(global $n (mut i32) (i32.const 0))
	(global $bad (export "bad") (mut i32) (i32.const 0))
	(global $started (mut i32) (i32.const 0))
	(data (i32.const 32) "active")
	(data $passive "passive data")
	(elem (table $t) (i32.const 1) func $one $step)
	(elem $later func $one $step $two)
	(start $start)
	(func $start
		(memory.fill $other (i32.const 0) (i32.const 7) (i32.const 100))
		(global.set $started (call $step (i32.const 41))))
	(func $one (type $unary) (i32.add (local.get 0) (i32.const 1)))
	(func $two (type $unary) (return_call $step (call $one (local.get 0))))
	(func $three (type $unary) (return_call_indirect $t (type $unary) (local.get 0) (i32.const 2)))
	(func $far (result i32)
		(global.set $n (i32.add (global.get $n) (i32.const 1)))
		(select (i32.const 0x7f000000) (i32.const 0) (i32.eq (global.get $n) (global.get $bad))))
	(func $grown (param i32) (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable)))
	(func $bulk (param $at i32)
		(memory.fill (i32.add (local.get $at) (call $far)) (i32.const 5) (i32.const 70000))
		(memory.copy (i32.const 100) (i32.add (local.get $at) (call $far)) (i32.const 300))
		(memory.copy (i32.const 8) (i32.add (i32.const 0) (call $far)) (i32.const 70000))
		(memory.copy $other 0 (i32.const 0) (i32.add (local.get $at) (call $far)) (i32.const 60000))
		(memory.init $passive (i32.add (i32.const 2000) (call $far)) (i32.const 0) (i32.const 12))
		(call $grown (memory.grow (i32.add (i32.const 1) (call $far))))
		(call $grown (memory.grow $other (i32.add (i32.const 1) (call $far))))
		(table.init $t $later (i32.add (i32.const 4) (call $far)) (i32.const 0) (i32.const 3))
		(table.copy $t $t (i32.const 7) (i32.add (i32.const 3) (call $far)) (i32.const 4))
		(call $grown (table.grow $t (ref.func $two) (i32.add (i32.const 3) (call $far))))
		(call $grown (table.grow $x (ref.null extern) (i32.add (i32.const 3) (call $far))))
		(table.fill $x (i32.add (i32.const 1) (call $far)) (table.get $x (i32.const 0)) (i32.const 2)))
	(func $nested (export "nested") (param $depth i32) (result i32)
		(call $bulk (i32.mul (local.get $depth) (i32.const 16)))
		(if (result i32) (i32.eqz (local.get $depth))
			(then (return_call $three (call $two (i32.const 10))))
			(else (i32.add (call $again (i32.sub (local.get $depth) (i32.const 1))) (i32.const 100)))))
	(func (export "run") (param $ref externref) (result i32)
		(table.set $x (i32.const 0) (call $ref (local.get $ref)))
		(call $bulk (i32.const 5))
		(data.drop $passive)
		(elem.drop $later)
		(i32.add (call_indirect $t (type $unary) (global.get $started) (i32.const 1))
			(call $step (i32.load8_u (i32.const 33)))))
	(func (export "deep") (param $ref externref) (result i32)
		(table.set $x (i32.const 0) (call $ref (local.get $ref)))
		(call $nested (i32.const 3)))
	;; It works in whatever state a failure has left the instance.
	(func (export "check") (param $x i32) (result i32)
		(memory.fill (i32.const 500) (local.get $x) (i32.const 600))
		(memory.copy (i32.const 3000) (i32.const 500) (i32.const 600))
		(i32.add (call_indirect $t (type $unary) (i32.load8_u (i32.const 3599)) (i32.const 1))
			(call $step (local.get $x)))))`

// fault is what happens at an event.
type fault int

const (
	faultError    fault = iota // the function fails
	faultTrap                  // it fails with the code of a trap
	faultPanic                 // it panics
	faultExit                  // it ends the goroutine
	faultCancel                // the call's context is cancelled
	faultDeadline              // its deadline passes
	numFaults
)

var errFault = errors.New("injected")

// stoppable is a context that ends when told.
type stoppable struct {
	context.Context
	done chan struct{}
	err  error
}

func (c *stoppable) Done() <-chan struct{} { return c.done }

func (c *stoppable) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// injector makes one event of a run fail, the at-th; the others it counts.
type injector struct {
	fault fault
	at    int
	seen  int
	ctx   *stoppable
}

func (i *injector) fired() bool { return i.seen >= i.at }

// event is called at each event; the error is for those that can return one.
func (i *injector) event() error {
	i.seen++
	if i.seen != i.at {
		return nil
	}
	switch i.fault {
	case faultError:
		return errFault
	case faultTrap:
		return davit.TrapUnreachable
	case faultPanic:
		panic(errFault)
	case faultExit:
		runtime.Goexit()
	case faultCancel:
		i.ctx.err = context.Canceled
		close(i.ctx.done)
	case faultDeadline:
		i.ctx.err = context.DeadlineExceeded
		close(i.ctx.done)
	}
	return nil
}

// outcome is how a function of Go ended.
type outcome struct {
	err      error
	panicked any
	returned bool
}

// protected runs f in a goroutine of its own, which it may end.
func protected(f func() error) (o outcome) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			if !o.returned {
				o.panicked = recover()
			}
		}()
		o.err = f()
		o.returned = true
	})
	wg.Wait()
	return o
}

// judge says what is wrong with an outcome after a fault; it may also have come
// too late to matter.
func (o *outcome) judge(f fault) string {
	var trap *davit.Trap
	var limit *davit.LimitError
	isTrap := errors.As(o.err, &trap)
	switch {
	case o.returned && o.err == nil:
		if f == faultCancel || f == faultDeadline {
			return ""
		}
	case f == faultError && (errors.Is(o.err, errFault) || errors.As(o.err, &limit)), // what may not grow is a limit
		f == faultTrap && (errors.Is(o.err, davit.TrapUnreachable) || errors.As(o.err, &limit)),
		f == faultError && isTrap && trap.Code == davit.TrapUnreachable, // or makes this program trap
		f == faultCancel && isTrap && trap.Code == davit.TrapInterrupt && errors.Is(o.err, context.Canceled),
		f == faultDeadline && isTrap && trap.Code == davit.TrapInterrupt && errors.Is(o.err, context.DeadlineExceeded):
		return ""
	case f == faultPanic && o.panicked != nil:
		if err, ok := o.panicked.(error); ok && errors.Is(err, errFault) {
			return ""
		}
	case f == faultExit && !o.returned && o.panicked == nil:
		return ""
	}
	return fmt.Sprintf("ended with %v, panic %v, returned %v", o.err, o.panicked, o.returned)
}

// faultRun makes faults in a program, in stores of one engine.
type faultRun struct {
	t      *testing.T
	engine *davit.Engine
	module *davit.Module
	hooked bool // events are the transitions, else what host functions and growth do
	want   map[string]int32

	// alive counts what the collector should free in the end.
	alive atomic.Int64
}

// watch counts x until it is freed.
func watch[T any](r *faultRun, x *T) *T {
	r.alive.Add(1)
	runtime.AddCleanup(x, func(n *atomic.Int64) { n.Add(-1) }, &r.alive)
	return x
}

// cycle makes a store, an instance and a call of export in it, with a fault, and
// shows that the store works on. It tells whether there was that event.
func (r *faultRun) cycle(export string, f fault, at int, bad int32) bool {
	t := r.t
	i := &injector{fault: f, at: at, ctx: &stoppable{ctx, make(chan struct{}), nil}}
	what := fmt.Sprintf("%s, fault %d at event %d, bulk operation %d", export, f, at, bad)
	config := &davit.StoreConfig{}
	event := func() error { return nil }
	if r.hooked {
		config.CallHook = func(context.Context, davit.Transition) error { return i.event() }
	} else {
		event = i.event
		config.Growing = func(davit.Growth) bool { return i.event() == nil }
	}
	s, err := davit.NewStore(r.engine, config)
	if err != nil {
		t.Fatal(err)
	}
	watch(r, s)
	defer func() {
		if err := s.Close(); err != nil {
			t.Errorf("%s: closing the store: %v", what, err)
		}
	}()
	l := davit.NewLinker(r.engine)
	err = errors.Join(
		l.Define("go", "step", davit.HostFunc1(func(_ context.Context, _ *davit.Caller, x int32) (int32, error) {
			return x + 1, event()
		})),
		l.Define("go", "again", davit.HostFunc1(func(ctx context.Context, c *davit.Caller, depth int32) (int32, error) {
			if err := event(); err != nil {
				return 0, err
			}
			nested := must(davit.Func1[int32, int32](c.Instance().Func("nested")))
			x, err := nested(ctx, depth)
			if err != nil {
				return 0, err
			}
			return 2 * x, event()
		})),
		l.Define("go", "ref", davit.HostFunc1(func(_ context.Context, _ *davit.Caller, x davit.External) (davit.External, error) {
			return davit.External{Value: watch(r, &struct{ any }{x.Value})}, event()
		})))
	if err != nil {
		t.Fatal(err)
	}
	var in *davit.Instance
	got := int32(0)
	use := func(c context.Context, bad int32) error {
		var err error
		if in, err = l.Instantiate(c, s, r.module); err != nil {
			return err
		}
		in.Global("bad").Set(davit.ValueI32(bad))
		got, err = must(davit.Func1[davit.External, int32](in.Func(export)))(c, davit.External{Value: watch(r, new([16]byte))})
		return err
	}
	o := protected(func() error { return use(i.ctx, bad) })
	fired := i.fired()
	switch {
	case bad > 0:
		var trap *davit.Trap
		fired = o.err != nil
		if fired && (!errors.As(o.err, &trap) || trap.Code != davit.TrapMemoryOutOfBounds && trap.Code != davit.TrapTableOutOfBounds && trap.Code != davit.TrapUnreachable) {
			t.Errorf("%s: %v", what, o.err)
		}
		if fired && len(trap.Frames) == 0 {
			t.Errorf("%s: a trap without a backtrace", what)
		}
	case fired:
		if wrong := o.judge(f); wrong != "" {
			t.Errorf("%s: %s", what, wrong)
		}
	}
	if !fired && (o.err != nil || !o.returned || got != r.want[export]) {
		t.Errorf("%s: %v, panic %v, result %d, want %d", what, o.err, o.panicked, got, r.want[export])
	}

	// The store works on: with the same instance, if there is one, and another.
	i.at = 0
	if in != nil {
		for k := range int32(3) {
			if x, err := must(davit.Func1[int32, int32](in.Func("check")))(ctx, 50+k); err != nil || x != 2*(50+k)+2 {
				t.Errorf("%s: the instance goes on with %d, %v", what, x, err)
			}
		}
	}
	if err := use(ctx, 0); err != nil || got != r.want[export] {
		t.Errorf("%s: the store goes on with %d, %v, want %d", what, got, err, r.want[export])
	}
	return fired
}

// all makes all faults, and tells how many.
func (r *faultRun) all() (n int) {
	for _, export := range []string{"run", "deep"} {
		for f := range numFaults {
			at := 1
			for r.cycle(export, f, at, 0) {
				at++
			}
			n += at - 1
		}
		bad := int32(1)
		for r.cycle(export, 0, 0, bad) {
			bad++
		}
		n += int(bad) - 1
	}
	return n
}

// TestFaults: a failure of whatever kind at any call of the host, transition, growth
// or bulk operation is the call's, and no more: the store works on, and nothing stays
// behind.
func TestFaults(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		for _, hooked := range []bool{false, true} {
			e := newEngine(t, c)
			r := &faultRun{t: t, engine: e, hooked: hooked, module: (&world{t: t, engine: e}).compile(faulty), want: map[string]int32{"run": 49, "deep": 804}}
			n := r.all() // pools fill
			before := testdata.Holds(t)
			if again := r.all(); again != n {
				t.Errorf("%d faults, then %d", n, again)
			}
			for range 1000 {
				if r.alive.Load() == 0 {
					break
				}
				runtime.GC()
				runtime.Gosched()
			}
			if left := r.alive.Load(); left != 0 {
				t.Errorf("%d stores and values are alive", left)
			}
			after := testdata.Holds(t)
			t.Logf("hooks %v: %d faults; before: %+v, after: %+v", hooked, n, before, after)
			if after.Mappings > before.Mappings+20 || after.Descriptors > before.Descriptors || after.Goroutines > before.Goroutines || after.Resident > before.Resident+16<<20 {
				t.Errorf("hooks %v: before: %+v, after: %+v", hooked, before, after)
			}
			if n < 100 {
				t.Errorf("only %d faults", n)
			}
			if t.Failed() {
				return
			}
		}
	})
}

// TestInterruptedBulk: a deadline ends a large bulk operation on its way. What it
// has done by then is a part of it, beginning at one end; the rest is as before.
func TestInterruptedBulk(t *testing.T) {
	const pages, elements = 1024, 4 << 20 // 64 MiB, 32 MiB
	module, err := wasm.Decode(assemble(t, fmt.Sprintf(`(module
		(memory $m (export "memory") %[1]d) (memory $s (export "source") %[1]d)
		(table $t (export "table") %[2]d externref) (table $x %[2]d externref)
		(data $d "")
		(func (export "fill") (memory.fill $m (i32.const 0) (i32.const 1) (i32.const %[3]d)))
		(func (export "copy") (memory.copy $m $s (i32.const 0) (i32.const 0) (i32.const %[3]d)))
		(func (export "forwards") (memory.copy $m $m (i32.const 0) (i32.const 65536) (i32.const %[4]d)))
		(func (export "backwards") (memory.copy $m $m (i32.const 65536) (i32.const 0) (i32.const %[4]d)))
		(func (export "init") (memory.init $m $d (i32.const 0) (i32.const 0) (i32.const %[3]d)))
		(func (export "table.fill") (param externref) (table.fill $t (i32.const 0) (local.get 0) (i32.const %[2]d)))
		(func (export "table.source") (param externref) (table.fill $x (i32.const 0) (local.get 0) (i32.const %[2]d)))
		(func (export "table.copy") (table.copy $t $x (i32.const 0) (i32.const 0) (i32.const %[2]d)))
		)`, pages, elements, pages<<16, (pages-1)<<16)), nil)
	if err != nil {
		t.Fatal(err)
	}
	module.Datas[0].Init = bytes.Repeat([]byte{1}, pages<<16)
	w := newWorld(t, nil, nil)
	m, err := w.engine.Compile(ctx, wasm.Encode(module))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	in, err := w.linker.Instantiate(ctx, w.store, m)
	if err != nil {
		t.Fatal(err)
	}
	memory, _ := in.Memory("memory").View(0, pages<<16)
	source, _ := in.Memory("source").View(0, pages<<16)
	for i := range source {
		source[i] = 1
	}
	table, one := in.Table("table"), davit.ValueExtern("one")
	w.call(in, "table.source", one)
	inTable := func(i int) bool {
		v, ok := table.Get(uint64(i))
		return ok && v.Extern() == "one"
	}
	const step = 64 << 10 // what is looked at; pieces are multiples of it
	for _, c := range []struct {
		name      string
		n         int // places
		backwards bool
		prepare   func()
		done      func(i int) bool // at a place
		args      []davit.Value
	}{
		{"fill", pages, false, func() { clear(memory) }, func(i int) bool { return memory[i*step] == 1 && memory[i*step+step-1] == 1 }, nil},
		{"copy", pages, false, func() { clear(memory) }, func(i int) bool { return memory[i*step] == 1 }, nil},
		{"init", pages, false, func() { clear(memory) }, func(i int) bool { return memory[i*step] == 1 }, nil},
		{"forwards", pages - 1, false, func() {
			for i := range pages {
				memory[i*step] = byte(i)
			}
		}, func(i int) bool { return memory[i*step] == byte(i+1) }, nil},
		{"backwards", pages - 1, true, func() {
			for i := range pages {
				memory[i*step] = byte(i)
			}
		}, func(i int) bool { return memory[(i+1)*step] == byte(i) }, nil},
		{"table.fill", elements / step, false, func() { w.call(in, "table.fill", davit.ValueNull(davit.ExternRef)) }, func(i int) bool { return inTable(i * step) }, []davit.Value{one}},
		{"table.copy", elements / step, false, func() { w.call(in, "table.fill", davit.ValueNull(davit.ExternRef)) }, func(i int) bool { return inTable(i * step) }, nil},
	} {
		partial := false
		for try := 0; try < 1000 && !partial; try++ {
			c.prepare()
			limited, cancel := context.WithTimeout(ctx, 50*time.Microsecond<<(try%12))
			_, err := in.Func(c.name).Call(limited, c.args...)
			cancel()
			if err != nil {
				wantTrap(t, err, davit.TrapInterrupt)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%s: the cause is %v", c.name, err)
				}
			}
			done := 0
			at := func(i int) bool {
				if c.backwards {
					i = c.n - 1 - i
				}
				return c.done(i)
			}
			for done < c.n && at(done) {
				done++
			}
			for i := done; i < c.n; i++ {
				if at(i) {
					t.Fatalf("%s: place %d is done, %d is not", c.name, i, done)
				}
			}
			if err == nil && done < c.n {
				t.Fatalf("%s: it ended without an error, having done %d of %d", c.name, done, c.n)
			}
			partial = done > 0 && done < c.n
		}
		if !partial {
			t.Errorf("%s: no deadline met it on its way", c.name)
		}
		c.prepare()
		w.call(in, c.name, c.args...)
		if !c.done(0) || !c.done(c.n-1) {
			t.Errorf("%s: the store does not go on", c.name)
		}
	}
}

// TestManyMappings: at the limit of what a process may map, making an instance or its
// first call fails, and says why. That costs nobody anything: when there is room again
// the same store goes on.
func TestManyMappings(t *testing.T) {
	if testing.Short() {
		t.Skip("makes more than 10,000 instances")
	}
	e := newEngine(t, nil)
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	pre := must(w.linker.InstancePre(w.compile(`(module (memory 1)
		(func (export "f") (result i32) (i32.store (i32.const 0) (i32.const 1)) (i32.load (i32.const 0))))`)))
	before := testdata.Holds(t).Mappings
	var stores []*davit.Store
	use := func(s *davit.Store) error {
		in, err := pre.Instantiate(ctx, s)
		if err != nil {
			return err
		}
		x, err := must(davit.Func0[int32](in.Func("f")))(ctx)
		if err == nil && x != 1 {
			t.Errorf("store %d: %d", len(stores), x)
		}
		return err
	}
	for limit := 1 << 20; ; {
		s, err := davit.NewStore(e, nil)
		if err == nil {
			stores = append(stores, s)
			err = use(s)
		}
		if err == nil && len(stores) < limit {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), "vm.max_map_count") && !errors.Is(err, syscall.ENOMEM) {
			t.Fatalf("store %d: %v", len(stores), err)
		}
		t.Logf("%d stores: %v", len(stores), err)
		break
	}
	last := stores[len(stores)-1]
	if err := use(last); err == nil {
		t.Error("the last store finds room")
	}
	for _, s := range stores[:2] {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := use(last); err != nil {
		t.Errorf("there is room again, but: %v", err)
	}
	for _, s := range stores[2:] {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	// Some are kept for others: 1,000 memories, and 1,000 stacks and a few.
	if after := testdata.Holds(t).Mappings; after > before+7000 {
		t.Errorf("when all are closed, the process has %d mappings; it had %d", after, before)
	}
}

// TestInterruptedGrowth: the end of the context, here as soon as something is about to
// grow or be made, ends the filling of tables and the copying of segments on its way.
// A table that should have grown is as it was.
func TestInterruptedGrowth(t *testing.T) {
	const elements, pages = 10_000_000, 64
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		var i *injector // what ends the context
		w := newWorld(t, c, &davit.StoreConfig{
			MaxTableElements: 1 << 40,
			Growing: func(davit.Growth) bool {
				if i != nil {
					i.event()
				}
				return true
			},
		})
		interrupted := func(what string, f func(ctx context.Context) error) {
			t.Helper()
			i = &injector{fault: faultCancel, at: 1, ctx: &stoppable{ctx, make(chan struct{}), nil}}
			err := f(i.ctx)
			if trap, ok := errors.AsType[*davit.Trap](err); !ok || trap.Code != davit.TrapInterrupt || !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", what, err)
			}
			if !i.fired() {
				t.Errorf("%s: the context has not ended", what)
			}
			i = nil
		}
		in := w.instantiate(fmt.Sprintf(`(module
			(table $t (export "table") 100 externref)
			(func (export "grow") (param externref) (result i32) (table.grow $t (local.get 0) (i32.const %d)))
			(func (export "one") (param externref) (result i32) (table.grow $t (local.get 0) (i32.const 1))))`, elements))
		table, one := in.Table("table"), davit.ValueExtern("one")
		if err := table.Set(99, one); err != nil {
			t.Fatal(err)
		}
		// To a larger block first, then within it, as no smaller one is left.
		for size := uint64(100); size < 3*elements; size += elements {
			interrupted("table.grow", func(ctx context.Context) error {
				_, err := in.Func("grow").Call(ctx, one)
				return err
			})
			if n := table.Len(); n != size {
				t.Fatalf("an interrupted table.grow has made %d elements of %d", n, size)
			}
			if v, ok := table.Get(99); !ok || v.Extern() != "one" {
				t.Errorf("element 99 is %v", v)
			}
			if old := w.call(in, "grow", one); old[0].I32() != int32(size) {
				t.Errorf("table.grow: %d, want %d", old[0].I32(), size)
			}
			for _, at := range []uint64{size, size + elements - 1} {
				if v, ok := table.Get(at); !ok || v.Extern() != "one" {
					t.Errorf("element %d is %v", at, v)
				}
			}
		}

		// What an instance begins with.
		shared := w.instantiate(fmt.Sprintf(`(module (memory (export "memory") %d) (table (export "table") %d funcref))`, pages, elements/5))
		if err := errors.Join(w.linker.Define("shared", "memory", shared.Memory("memory")), w.linker.Define("shared", "table", shared.Table("table"))); err != nil {
			t.Fatal(err)
		}
		module := must(wasm.Decode(assemble(t, fmt.Sprintf(`(module
			(import "shared" "memory" (memory $m %d)) (import "shared" "table" (table $t %d funcref))
			(memory 1)
			(func $f) (elem (table $t) (i32.const 0) func $f) (data (memory $m) (i32.const 0) ""))`, pages, elements/5)), nil))
		compile := func() *davit.Module {
			m := must(w.engine.Compile(ctx, wasm.Encode(module)))
			t.Cleanup(func() { m.Close() })
			return m
		}
		instantiate := func(m *davit.Module) func(ctx context.Context) error {
			return func(ctx context.Context) error {
				_, err := w.linker.Instantiate(ctx, w.store, m)
				return err
			}
		}
		memory, _ := shared.Memory("memory").View(0, pages<<16)
		filled := func() int {
			n := 0
			for at := 0; at < len(memory) && memory[at] == 1; at += 1 << 16 {
				n++
			}
			return n
		}
		module.Datas[0].Init = bytes.Repeat([]byte{1}, pages<<16)
		m := compile()
		interrupted("data segment", instantiate(m))
		if n := filled(); n == 0 || n == pages {
			t.Errorf("of an interrupted data segment, %d pages of %d are there", n, pages)
		}
		if err := instantiate(m)(ctx); err != nil || filled() != pages {
			t.Errorf("then %d pages: %v", filled(), err)
		}
		module.Elems[0].Funcs = make([]uint32, elements/5)
		m = compile()
		interrupted("element segment", instantiate(m))
		functions := shared.Table("table")
		isThere := func(at uint64) bool {
			v, _ := functions.Get(at)
			return v.Func() != nil
		}
		if !isThere(0) || isThere(elements/5-1) {
			t.Errorf("of an interrupted element segment, the first element is there: %v, the last: %v", isThere(0), isThere(elements/5-1))
		}
		if err := instantiate(m)(ctx); err != nil || !isThere(elements/5-1) {
			t.Errorf("then the last element is there: %v; %v", isThere(elements/5-1), err)
		}
		interrupted("table with a value", instantiate(w.compile(fmt.Sprintf(`(module (table %d (ref func) (ref.func $f)) (func $f))`, elements))))
	})
}
