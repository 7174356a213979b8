package translate

import (
	"math"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// Fuel is what code consumes as it runs, counted in the instructions of
// WebAssembly that it runs, so that the amount follows from the module and what it
// is given alone: not from the optimizer, the allocator of registers, the machine,
// how bounds are checked, or which calls have been replaced by bodies.
//
// Instructions are charged in segments. A segment is what runs as a whole, if no
// trap ends it: it begins at the beginning of a function, at a label, behind a
// branch and behind a call, and is charged as a whole when it begins. How much
// that is is known at its end only: the constant is filled in then.
//
// What is left lies in the store context, and while a function runs also in a
// variable. The variable counts; memory follows
//
//   - before any instruction that may trap or leave the function, so that whoever
//     looks after a trap, or in a host function, sees all segments up to that place
//     charged, and no other;
//   - at the beginning of each turn of a loop, so that an interruption, which comes
//     at any time, misses one turn at most.
//
// After a call, what is left is read again. Whether there is any is asked at the
// beginning of a function and of each turn of a loop, after the first segment has been
// charged, and by instructions on many elements, which are charged by their
// number before they do anything. So code runs into debts of what lies on one way
// from there to the next loop or call at most. If nothing is left, a routine asks the
// runtime, which ends the call or gives more.
//
// The beginning of a turn, where 7 is what its first segment costs:
//
//	block2(v5: i64):
//	    v6 = iconst.i64 7
//	    v7 = isub v5, v6
//	    v8 = icmp slt v7, 0
//	    brif v8, block3, block4(v7)
//	block3 cold:
//	    store v7, v1+24                  ;; v1 is the store context
//	    call fn0()                       ;; the routine
//	    v9 = load.i64 v1+24
//	    jump block4(v9)
//	block4(v10: i64):
//	    store v10, v1+24
//
// What a call has consumed cannot depend on whether it has been replaced by a body, so
// bodies do all of this as well; that they are larger is not held against them (see
// [Translator.CountingSize]). The store behind a call's segment and the load at the beginning
// of the body are next to each other then, and the optimizer takes the load away.

// fuelCosts are what instructions cost, but for what those on many elements cost in
// addition: a unit for each 1<<fuelBytesLog2 bytes. What makes no code
// costs nothing, and so does the end of a function, whose beginning costs fuelFunction.
var fuelCosts = func() (costs [wasm.NumOpcodes]uint8) {
	for op := range costs {
		costs[op] = 1
	}
	for _, op := range []wasm.Opcode{
		wasm.OpNop, wasm.OpDrop, wasm.OpBlock, wasm.OpLoop, wasm.OpTryTable, wasm.OpElse, wasm.OpEnd, wasm.OpReturn, wasm.OpUnreachable,
	} {
		costs[op] = 0
	}
	return costs
}()

const (
	// fuelFunction is what beginning a function costs, beside the call.
	fuelFunction = 1
	// fuelBytesLog2 is the logarithm of how many bytes instructions on many elements move
	// for a unit; fuelElemsLog2 that of how many elements of tables, which have eight
	// bytes. Memory that is added costs what filling it does.
	fuelBytesLog2 = 6
	fuelElemsLog2 = fuelBytesLog2 - 3
)

// fuelQuiet are the instructions that neither trap nor leave the function.
var fuelQuiet = func() (quiet [wasm.NumOpcodes]bool) {
	for i := range quiet {
		op := wasm.Opcode(i)
		switch simple, vector, info := &simpleOps[op], &vectorOps[op], op.Info(); {
		case simple.op != ir.OpInvalid:
			quiet[op] = simple.op.Flags()&ir.FlagTrap == 0
		case vector.op != ir.OpInvalid:
			quiet[op] = vector.op.Flags()&ir.FlagTrap == 0
		case info.Features&(wasm.FeatureSIMD|wasm.FeatureRelaxedSIMD) != 0:
			quiet[op] = info.Imm != wasm.ImmMemArg && info.Imm != wasm.ImmMemArgLane
		}
	}
	for _, op := range []wasm.Opcode{
		wasm.OpNop, wasm.OpDrop, wasm.OpSelect, wasm.OpSelectTyped, wasm.OpLocalGet, wasm.OpLocalSet, wasm.OpLocalTee, wasm.OpGlobalGet, wasm.OpGlobalSet,
		wasm.OpI32Const, wasm.OpI64Const, wasm.OpF32Const, wasm.OpF64Const, wasm.OpRefNull, wasm.OpRefIsNull, wasm.OpRefFunc,
		wasm.OpBlock, wasm.OpLoop, wasm.OpIf, wasm.OpElse, wasm.OpEnd, wasm.OpBr, wasm.OpBrIf, wasm.OpBrTable, wasm.OpBrOnNull, wasm.OpBrOnNonNull,
		wasm.OpI32Eqz, wasm.OpI64Eqz, wasm.OpI32Extend8S, wasm.OpI32Extend16S, wasm.OpI64Extend8S, wasm.OpI64Extend16S, wasm.OpI64Extend32S,
		wasm.OpI64Add128, wasm.OpI64Sub128, wasm.OpI64MulWideS, wasm.OpI64MulWideU, wasm.OpMemorySize, wasm.OpTableSize,
	} {
		quiet[op] = true
	}
	return quiet
}()

// fuel is the state of counting fuel in a function.
type fuel struct {
	counter
	cost ir.Inst // the constant that the present segment costs; NoInst if it has cost nothing yet
}

// startFuel begins counting in a function, and charges its beginning.
func (t *Translator) startFuel() {
	t.startCount(&t.fuel.counter, layout.StoreFuel, RoutineFuel)
	t.charge(fuelFunction)
	t.askFuel()
}

// spendFuel charges the instruction at hand.
func (t *Translator) spendFuel() {
	t.charge(int64(fuelCosts[t.in.Op]))
	if !fuelQuiet[t.in.Op] {
		t.writeFuel()
	}
}

// newSegment ends a segment.
func (t *Translator) newSegment() { t.fuel.cost = ir.NoInst }

// charge adds to what the segment costs.
func (t *Translator) charge(cost int64) {
	if cost == 0 {
		return
	}
	if t.fuel.cost == ir.NoInst {
		t.openSegment()
	}
	t.f.Inst(t.fuel.cost).Imm += cost
}

// openSegment charges what the segment will have cost at its end.
func (t *Translator) openSegment() {
	t.fuel.cost = t.emit(ir.InstData{Op: ir.OpIconst, Type: ir.I64})
	t.chargeValue(t.f.Result(t.fuel.cost))
}

func (t *Translator) chargeValue(cost ir.Value) { t.countDown(&t.fuel.counter, cost) }

// writeFuel brings memory up to the variable.
func (t *Translator) writeFuel() { t.writeCount(&t.fuel.counter) }

// askFuel goes on if the variable is not negative, and else asks for more.
func (t *Translator) askFuel() { t.askCount(&t.fuel.counter) }

// turnFuel charges the first segment of a loop.
func (t *Translator) turnFuel() {
	t.openSegment()
	t.askFuel()
	t.writeFuel()
}

// chargeBytes charges an instruction on n bytes, a small number that is known.
func (t *Translator) chargeBytes(n int64) {
	if t.fuel.on {
		t.charge(n >> fuelBytesLog2)
		t.writeFuel()
	}
}

// chargeMemory charges an instruction on n bytes of a memory.
func (t *Translator) chargeMemory(memory uint32, n ir.Value) {
	if t.fuel.on {
		t.chargeUpTo(n, t.loadLength(memory), fuelBytesLog2)
	}
}

// chargeTable charges an instruction on n elements of a table.
func (t *Translator) chargeTable(table uint32, n ir.Value) {
	if t.fuel.on {
		t.chargeUpTo(n, t.tableLength(table), fuelElemsLog2)
	}
}

// chargeMemoryGrowth charges the growth of a memory by so many pages.
func (t *Translator) chargeMemoryGrowth(memory uint32, pages ir.Value) {
	if !t.fuel.on {
		return
	}
	mt := &t.m.Wasm.Memories[memory]
	most := uint64(1) << (32 - mt.PageBits)
	if mt.Is64 {
		most = 1 << min(64-mt.PageBits, 63)
	}
	if mt.HasMax {
		most = min(most, mt.Max)
	}
	size := t.binary(ir.OpUshr, t.loadLength(memory), t.iconst(ir.I64, int64(mt.PageBits)))
	t.chargeUpTo(pages, t.binary(ir.OpIsub, t.iconst(ir.I64, int64(most)), size), fuelBytesLog2-int(mt.PageBits))
}

// chargeTableGrowth charges the growth of a table by so many elements.
func (t *Translator) chargeTableGrowth(table uint32, elems ir.Value) {
	if !t.fuel.on {
		return
	}
	tt := &t.m.Wasm.Tables[table].Type
	most := uint64(math.MaxUint32)
	if tt.Is64 {
		most = 1 << 40 // no store has more
	}
	if tt.HasMax {
		most = min(most, tt.Max)
	}
	t.chargeUpTo(elems, t.binary(ir.OpIsub, t.iconst(ir.I64, int64(most)), t.tableLength(table)), fuelElemsLog2)
}

// chargeUpTo charges an instruction on n things, 1<<shift of them a unit, before it does
// anything: nothing if n is more than most, because then it will do nothing.
func (t *Translator) chargeUpTo(n, most ir.Value, shift int) {
	if t.f.ValueType(n) == ir.I32 {
		n = t.convert(ir.OpUextend, ir.I64, n)
	}
	units := n
	if shift < 0 {
		units = t.binary(ir.OpIshl, n, t.iconst(ir.I64, int64(-shift)))
	} else {
		units = t.binary(ir.OpUshr, n, t.iconst(ir.I64, int64(shift)))
	}
	fits := t.compare(ir.UnsignedLessThanOrEqual, n, most)
	t.chargeValue(t.value(ir.InstData{Op: ir.OpSelect, Type: ir.I64}, fits, units, t.iconst(ir.I64, 0)))
	t.askFuel()
	t.writeFuel()
}
