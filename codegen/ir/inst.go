package ir

// InstData is an instruction's fixed part: opcode, controlling type and
// immediates. Which fields are in use depends on the format; see the Format
// constants. Value arguments, results and block calls are reached through the
// function: [Function.Args], [Function.Results], [Function.Dests].
type InstData struct {
	Op    Opcode
	Cond  uint8 // IntCC, FloatCC or AtomicOp
	Trap  TrapCode
	Type  Type // controlling type; Invalid if the opcode has none
	nargs uint16
	args  [3]Value // the arguments if there are at most three, else args[0] is their place in the pool
	Flags MemFlags
	Ref   uint32 // FuncRef, SigRef, StackSlot, GlobalValue, Constant …
	Imm   int64  // constant (integer, or the bits of a float), offset, lane, exception table

	dests, ndests uint32 // range of Function.calls
}

// IntCC is the condition of an integer comparison.
func (d *InstData) IntCC() IntCC { return IntCC(d.Cond) }

// FloatCC is the condition of a floating-point comparison.
func (d *InstData) FloatCC() FloatCC { return FloatCC(d.Cond) }

// AtomicOp is the operation of an atomic_rmw.
func (d *InstData) AtomicOp() AtomicOp { return AtomicOp(d.Cond) }

// BlockCall is a branch destination with the arguments for the block's
// parameters. Its zero value is not a valid destination.
type BlockCall struct {
	Block Block
	args  valueList
}

// valueList is a list in the value pool. Lists that grow move to the pool's
// end with twice the room; the space they leave is not used again before the
// function is cleared.
type valueList struct{ off, n, room uint32 }

// MaxArgs is how many value arguments one instruction can have.
const MaxArgs = 1<<16 - 1

// AddInst makes a new instruction with the given data and value arguments; it
// is in no block, and has no results and block calls yet. The arguments are
// copied. It panics if there are more than [MaxArgs].
func (f *Function) AddInst(d InstData, args ...Value) Inst {
	if len(f.insts) == cap(f.insts) {
		f.growInsts(max(len(f.insts)/2, 64))
	}
	i := Inst(len(f.insts))
	d.dests, d.ndests = 0, 0
	f.insts = append(f.insts, d)
	f.results = append(f.results, valueList{})
	f.links = append(f.links, instLinks{NoInst, NoInst, NoBlock, 0})
	f.locs = append(f.locs, f.Loc)
	f.SetArgs(i, args)
	return i
}

// SetArgs replaces the value arguments of inst.
func (f *Function) SetArgs(inst Inst, args []Value) {
	if len(args) > MaxArgs {
		panic("ir: too many arguments for " + inst.String())
	}
	d := &f.insts[inst]
	d.nargs = uint16(len(args))
	if len(args) <= len(d.args) {
		copy(d.args[:], args)
		return
	}
	d.args[0] = Value(len(f.pool))
	f.pool = append(f.pool, args...)
}

// Args are the value arguments of inst, without those of its block calls. The
// elements may be changed in place.
func (f *Function) Args(inst Inst) []Value {
	d := &f.insts[inst]
	if int(d.nargs) <= len(d.args) {
		return d.args[:d.nargs:d.nargs]
	}
	off := uint32(d.args[0])
	return f.pool[off : off+uint32(d.nargs) : off+uint32(d.nargs)]
}

// Arg is value argument i of inst, with aliases resolved.
func (f *Function) Arg(inst Inst, i int) Value {
	return f.Resolve(f.Args(inst)[i])
}

// Inst is the data of inst. The pointer is valid until an instruction is added.
func (f *Function) Inst(inst Inst) *InstData { return &f.insts[inst] }

// NumInsts is the number of instructions ever made, in a block or not.
func (f *Function) NumInsts() int { return len(f.insts) }

// Replace gives inst new data and arguments; results and its place stay, block
// calls are gone.
func (f *Function) Replace(inst Inst, d InstData, args ...Value) {
	d.dests, d.ndests = 0, 0
	f.insts[inst] = d
	f.SetArgs(inst, args)
}

// AddDest appends a block call to inst. Calls of one instruction must be added
// one after the other, with no other instruction's in between.
func (f *Function) AddDest(inst Inst, b Block, args ...Value) {
	d := &f.insts[inst]
	if d.ndests == 0 {
		d.dests = uint32(len(f.calls))
	} else if d.dests+d.ndests != uint32(len(f.calls)) {
		// Not at the pool's end any more: move the calls there.
		old := f.calls[d.dests : d.dests+d.ndests]
		d.dests = uint32(len(f.calls))
		f.calls = append(f.calls, old...)
	}
	d.ndests++
	f.calls = append(f.calls, BlockCall{Block: b, args: f.newList(args)})
}

// Dests are the block calls of inst: jump one; brif then and else; br_table
// the default, then the table; try_call the normal return, then the handlers
// of its exception table in order. Block fields may be changed in place.
func (f *Function) Dests(inst Inst) []BlockCall {
	d := &f.insts[inst]
	return f.calls[d.dests : d.dests+d.ndests : d.dests+d.ndests]
}

// DestArgs are the arguments of block call i of inst. The elements may be
// changed in place.
func (f *Function) DestArgs(inst Inst, i int) []Value {
	return f.list(f.calls[f.insts[inst].dests+uint32(i)].args)
}

// AddDestArg appends an argument to block call i of inst.
func (f *Function) AddDestArg(inst Inst, i int, v Value) {
	c := &f.calls[f.insts[inst].dests+uint32(i)]
	c.args = f.push(c.args, v)
}

// RemoveDestArg removes argument k of block call i of inst.
func (f *Function) RemoveDestArg(inst Inst, i, k int) {
	c := &f.calls[f.insts[inst].dests+uint32(i)]
	c.args = f.removeAt(c.args, k)
}

// RemoveDestArgs removes the arguments k of block call i of inst for which
// drop[k] holds.
func (f *Function) RemoveDestArgs(inst Inst, i int, drop []bool) {
	c := &f.calls[f.insts[inst].dests+uint32(i)]
	args := f.list(c.args)
	n := 0
	for k, v := range args {
		if !drop[k] {
			args[n] = v
			n++
		}
	}
	c.args.n = uint32(n)
}

// KeepDest leaves inst with its block call i alone.
func (f *Function) KeepDest(inst Inst, i int) {
	d := &f.insts[inst]
	d.dests, d.ndests = d.dests+uint32(i), 1
}

func (f *Function) newList(v []Value) valueList {
	if len(v) == 0 {
		return valueList{}
	}
	l := valueList{uint32(len(f.pool)), uint32(len(v)), uint32(len(v))}
	f.pool = append(f.pool, v...)
	return l
}

func (f *Function) list(l valueList) []Value { return f.pool[l.off : l.off+l.n : l.off+l.n] }

func (f *Function) push(l valueList, v Value) valueList {
	if l.n == l.room {
		room := max(4, 2*l.room)
		off := uint32(len(f.pool))
		f.pool = append(f.pool, f.pool[l.off:l.off+l.n]...)
		for range room - l.n {
			f.pool = append(f.pool, NoValue)
		}
		l.off, l.room = off, room
	}
	f.pool[l.off+l.n] = v
	l.n++
	return l
}

func (f *Function) removeAt(l valueList, k int) valueList {
	s := f.list(l)
	copy(s[k:], s[k+1:])
	l.n--
	return l
}
