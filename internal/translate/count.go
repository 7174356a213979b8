package translate

import (
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/layout"
)

// counter is a number in the store context that code counts down as it runs, and asks the
// runtime whether to go on when it is negative: fuel, or what is left of an epoch. While a
// function runs, a variable counts, and memory follows where that is needed.
type counter struct {
	on      bool
	left    frontend.Variable
	ahead   bool  // memory may not know of all that the variable has been charged
	place   int32 // in the store context
	routine Routine
}

// ahead says of both counters whether memory may be behind.
type ahead struct{ fuel, epoch bool }

func (a *ahead) add(b ahead) { a.fuel, a.epoch = a.fuel || b.fuel, a.epoch || b.epoch }

func (t *Translator) ahead() ahead { return ahead{t.fuel.ahead, t.epoch.ahead} }

func (t *Translator) setAhead(a ahead) { t.fuel.ahead, t.epoch.ahead = a.fuel, a.epoch }

// startCount begins counting in a function.
func (t *Translator) startCount(c *counter, place int32, routine Routine) {
	*c = counter{on: true, left: t.b.DeclareVar(ir.I64), place: place, routine: routine}
	t.readCount(c)
}

// countFlags are the flags of accesses to counters.
func (t *Translator) countFlags() ir.MemFlags { return t.regions.count | ir.MemTrusted }

func (t *Translator) storeContext() ir.Value {
	return t.load(ir.I64, t.fixed(), t.vmctx, layout.InstStore)
}

// readCount takes what is left from memory.
func (t *Translator) readCount(c *counter) {
	t.b.DefVar(c.left, t.load(ir.I64, t.countFlags(), t.storeContext(), c.place))
	c.ahead = false
	t.counting += 2
}

// countDown charges the variable.
func (t *Translator) countDown(c *counter, cost ir.Value) {
	t.b.DefVar(c.left, t.binary(ir.OpIsub, t.b.UseVar(c.left), cost))
	c.ahead = true
	t.counting++
}

// writeCount brings memory up to the variable.
func (t *Translator) writeCount(c *counter) {
	if !c.ahead {
		return
	}
	t.store(t.countFlags(), t.b.UseVar(c.left), t.storeContext(), c.place)
	c.ahead = false
	t.counting += 2
}

// askCount goes on if the variable is not negative, and else asks the runtime.
func (t *Translator) askCount(c *counter) {
	none := t.compare(ir.SignedLessThan, t.b.UseVar(c.left), t.iconst(ir.I64, 0))
	ahead := c.ahead
	t.seldom(none, func() {
		t.writeCount(c)
		t.b.Call(t.routine(c.routine))
		t.readCount(c)
	})
	c.ahead = ahead
	t.counting += 3 // comparison, branch, call
}

// suspend brings memory up to date before the function is left by a call or a return.
func (t *Translator) suspend() {
	t.writeCount(&t.fuel.counter)
	t.writeCount(&t.epoch)
}

// resume goes on behind a call.
func (t *Translator) resume() {
	if t.fuel.on {
		t.readCount(&t.fuel.counter)
		t.newSegment()
	}
	if t.epoch.on {
		t.readCount(&t.epoch)
	}
}

// Epochs. Code that checks for interruption counts one for each function that begins and each
// turn of a loop. Memory learns of it before calls, so that recursion counts, and when a
// function that has had loops returns: what a function without loops and calls does is counted
// by who calls it.

// startEpoch begins counting in a function. A body that takes the place of a call does not
// count its beginning: it ends, but for its loops and its calls, which count.
func (t *Translator) startEpoch() {
	t.startCount(&t.epoch, layout.StoreEpoch, RoutineInterrupt)
	if !t.inlined {
		t.checkEpoch()
	}
}

// checkEpoch counts one, and asks the runtime if the epoch has ended.
func (t *Translator) checkEpoch() {
	t.countDown(&t.epoch, t.iconst(ir.I64, 1))
	t.askCount(&t.epoch)
}

// suspendToReturn is suspend before a return.
func (t *Translator) suspendToReturn() {
	if !t.looping {
		t.epoch.ahead = false
	}
	t.suspend()
}

// CountingSize is how many instructions that may become code count fuel, or checks for
// interruption, in the function that was translated last.
func (t *Translator) CountingSize() int { return t.counting }

// askingRoutine is the body of a routine that asks the runtime whether to go on. It is of the
// convention that saves all registers, and has no parameters, so that it takes little where
// it is called; and of little stack, as that convention does not look whether there is enough.
func (t *Translator) askingRoutine(libcall int64) {
	t.leaveFor(libcall, t.libcallBuffer())
	t.b.Return()
}
