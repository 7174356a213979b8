package machine

import (
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
)

// EmitBackend is the instruction set's part of emission. It holds the bytes.
type EmitBackend interface {
	// Prologue appends what comes before the entry block.
	Prologue(e *Emitter)
	// Inst appends instruction n of the VCode, whose operands are allocated.
	Inst(e *Emitter, n uint32, in *Inst)
	// Move appends a move of v, or of a whole register if v is NoVReg. It leaves
	// the flags alone.
	Move(e *Emitter, v regalloc.VReg, from, to regalloc.Allocation)
	// Epilogue appends what comes after all blocks, such as traps out of line.
	Epilogue(e *Emitter)
	// Offset is the number of bytes so far.
	Offset() int
	// Pad appends n bytes that are never executed.
	Pad(n int)
}

// Emitter turns an allocated VCode into bytes and records.
//
// Before it emits anything, it decides about jumps: a block that has come to
// hold nothing but a jump (a split edge without moves, say) is left out, and
// whoever goes there goes to its target at once. Terminators ask [Emitter.Dest]
// where their targets are, and [Emitter.Falls] whether one follows, and emit
// the shortest combination; the result is the same as if branches had been
// edited afterwards.
type Emitter struct {
	VC    *VCode
	Out   *regalloc.Output
	Buf   Buffer
	Frame Frame
	// Padding is how many bytes follow each block, so that tests see branches over
	// long distances. No block is then reached by falling into it.
	Padding int
	// PlaceLoops makes innermost loops that are short enough lie in one line of memory.
	PlaceLoops bool

	table  []OpInfo
	thread []uint32 // by block: where a jump to it really goes; itself if it has code
	order  []uint32 // blocks that have code, in its order
	next   uint32   // block that follows in the code, or none
	rest   []regalloc.Edit
	path   []uint32
	at     []uint32 // by block: place in order before loops are rotated
	back   []uint32 // by block: the last block that leads back to it, or none
	turned []uint32
	loop   []uint32 // by block: the header of the short loop that it is in, or none
	tables []Label  // by jump table
	consts []Label  // by constant, NoLabel if not used
	remat  Inst     // the instruction being executed again
	edit   bool     // a move or an instruction executed again is being emitted
	extra  Label    // first of the labels of VC.NewLabel
	Empty  int      // blocks that were left out
}

// Run emits everything through b.
func (e *Emitter) Run(vc *VCode, out *regalloc.Output, table []OpInfo, b EmitBackend) {
	e.VC, e.Out, e.table = vc, out, table
	n := len(vc.Blocks)
	e.extra = Label(n)
	e.Buf.Reset(n + int(vc.NumLabels))
	e.tables = e.tables[:0]
	for range vc.JumpTables {
		e.tables = append(e.tables, NoLabel)
	}
	e.consts = e.consts[:0]
	for range vc.Consts {
		e.consts = append(e.consts, NoLabel)
	}
	e.findEmpty()
	e.rotate()
	e.findShortLoops()

	e.Buf.Frame(0, UnwindEntry)
	b.Prologue(e)
	reached := uint32(0) // instruction whose edits e.rest begins with
	e.rest = out.Edits
	for k, i := range e.order {
		if e.loop[i] != none && (k == 0 || e.loop[e.order[k-1]] != e.loop[i]) {
			e.Buf.BeginLoop(b.Offset())
			b.Pad(LoopRoom)
		}
		e.Buf.Bind(Label(i), b.Offset())
		e.next = none
		if k+1 < len(e.order) && e.Padding == 0 {
			e.next = e.order[k+1]
		}
		r := vc.Blocks[i].Insts
		if r.Start != reached {
			e.rest = out.Edits[e.editsFrom(r.Start):]
		}
		reached = r.End
		for k := r.Start; k < r.End; k++ {
			in := &vc.Insts[k]
			e.Buf.Source(b.Offset(), vc.Locs[k])
			e.edits(b, regalloc.Before(int(k)))
			if !e.elided(in) {
				b.Inst(e, k, in)
			}
			e.edits(b, regalloc.After(int(k)))
		}
		if e.loop[i] != none && (k+1 == len(e.order) || e.loop[e.order[k+1]] != e.loop[i]) {
			e.Buf.EndLoop(b.Offset())
		}
		if e.Padding != 0 && b.Offset() < MaxCode {
			b.Pad(e.Padding)
		}
	}
	b.Epilogue(e)
	e.data()
}

// edits emits the moves at point p.
func (e *Emitter) edits(b EmitBackend, p regalloc.ProgPoint) {
	if len(e.rest) == 0 || e.rest[0].At > p {
		return
	}
	e.edit = true
	for len(e.rest) > 0 && e.rest[0].At <= p {
		x := &e.rest[0]
		if x.From.Kind() == regalloc.AllocRemat {
			// Execute the defining instruction again, into another register.
			n := e.VC.RematInst[x.VReg.Index()]
			e.remat = e.VC.Insts[n]
			e.remat.R[0] = AllocReg(x.To)
			b.Inst(e, n, &e.remat)
		} else {
			b.Move(e, x.VReg, x.From, x.To)
		}
		e.rest = e.rest[1:]
	}
	e.edit = false
}

// InEdit reports whether the instruction being emitted is one executed again
// among the allocator's moves, and so not where its number says.
func (e *Emitter) InEdit() bool { return e.edit }

// elided reports whether the instruction has come to nothing: a move to where
// the value already is, or a constant that is made where it is used.
func (e *Emitter) elided(in *Inst) bool {
	switch f := e.table[in.Op].Flags; {
	case f&OpMove != 0:
		return in.R[0] == in.R[1]
	case f&OpRemat != 0:
		return in.R[0] == NoReg
	}
	return false
}

// findEmpty fills e.thread. Chains of empty blocks are followed to their end; a
// ring of empty blocks, an endless loop, keeps one of its blocks.
func (e *Emitter) findEmpty() {
	vc := e.VC
	n := len(vc.Blocks)
	e.thread = zeroed(e.thread, n)
	edits := e.Out.Edits
	e.Empty = 0
	for i := range n {
		e.thread[i] = uint32(i)
		r := vc.Blocks[i].Insts
		for len(edits) > 0 && edits[0].At.Inst() < int(r.Start) {
			edits = edits[1:]
		}
		last := &vc.Insts[r.End-1]
		if i == 0 || e.table[last.Op].Flags&OpJump == 0 || len(edits) > 0 && edits[0].At.Inst() < int(r.End) {
			continue
		}
		empty := true
		for k := r.Start; k < r.End-1 && empty; k++ {
			empty = e.elided(&vc.Insts[k])
		}
		if empty {
			e.thread[i] = last.Aux
		}
	}
	for i := range n {
		e.path = e.path[:0]
		at := uint32(i)
		for e.thread[at] != at && e.thread[at]&threadSeen == 0 {
			e.path = append(e.path, at)
			next := e.thread[at]
			e.thread[at] |= threadSeen
			at = next
		}
		if e.thread[at]&threadSeen != 0 { // a ring
			e.thread[at] = at
		}
		at = e.thread[at]
		for _, p := range e.path {
			if p != at {
				e.thread[p] = at
				e.Empty++
			}
		}
	}
}

const threadSeen = 1 << 31

// CFG calls block for every block in the code with its offset, and edge for
// every way from one to another. It is called after [Buffer.Finish].
func (e *Emitter) CFG(block func(off uint32), edge func(from, to uint32)) {
	for i := range e.VC.Blocks {
		if e.thread[i] == uint32(i) {
			block(e.Buf.labels[i])
		}
	}
	for i := range e.VC.Blocks {
		if e.thread[i] == uint32(i) {
			for _, x := range e.VC.RA.BlockEdges(i) {
				edge(e.Buf.labels[i], e.Offset(x.To))
			}
		}
	}
}

// Offset is where the code that block b leads to begins. It is known after
// [Buffer.Finish].
func (e *Emitter) Offset(b uint32) uint32 { return e.Buf.labels[e.thread[b]] }

// CallOperand is the place of operand k of VCode.CallOperands, which is one of
// instruction n.
func (e *Emitter) CallOperand(n, k uint32) regalloc.Allocation {
	ops := e.VC.RA.Insts[n].Operands
	call := &e.VC.Calls[e.VC.Insts[n].CallIndex()]
	return e.Out.Allocs[ops.End-call.Operands.End+k]
}

// Dest is where a jump to block b goes.
func (e *Emitter) Dest(b uint32) uint32 { return e.thread[b] }

// Falls reports whether block b, a result of Dest, comes next in the code.
func (e *Emitter) Falls(b uint32) bool { return b == e.next }

// Oftener reports whether block a, a result of Dest, is taken to run more often than block b: where
// neither comes next, a branch to the one and a jump to the other do.
func (e *Emitter) Oftener(a, b uint32) bool {
	x, y := &e.VC.RA.Blocks[a], &e.VC.RA.Blocks[b]
	return x.Cold == y.Cold && x.LoopDepth > y.LoopDepth || !x.Cold && y.Cold
}

// Label is the label of the code for label l of VCode.NewLabel.
func (e *Emitter) Label(l Label) Label { return e.extra + l }

// Const is the label of constant c.
func (e *Emitter) Const(c uint32) Label {
	if e.consts[c] == NoLabel {
		e.consts[c] = e.Buf.NewLabel()
	}
	return e.consts[c]
}

// JumpTable is the label of jump table t: one 32-bit distance from that label
// per entry.
func (e *Emitter) JumpTable(t uint32) Label {
	if e.tables[t] == NoLabel {
		e.tables[t] = e.Buf.NewLabel()
	}
	return e.tables[t]
}

// data emits the constants and jump tables that code has asked for, the widest
// first.
func (e *Emitter) data() {
	for align := uint8(64); align > 0; align /= 2 {
		for c, l := range e.consts {
			if k := &e.VC.Consts[c]; l != NoLabel && k.Align == align {
				e.Buf.BindData(l, uint32(align))
				e.Buf.Data = append(e.Buf.Data, e.VC.ConstData[k.Off:k.Off+uint32(k.Size)]...)
			}
		}
	}
	for t, l := range e.tables {
		if l != NoLabel {
			e.Buf.BindData(l, 4)
			r := e.VC.JumpTables[t]
			for _, to := range e.VC.TableBlocks[r.Start:r.End] {
				e.Buf.DataDistance(Label(e.Dest(to)), l)
			}
		}
	}
}

// SpillUnits is the size of the spill slot of v in units.
func (e *Emitter) SpillUnits(v regalloc.VReg, class regalloc.RegClass, env *regalloc.Env) uint8 {
	if v != regalloc.NoVReg {
		if u := e.VC.RA.SpillUnits[v.Index()]; u != 0 {
			return u
		}
	}
	return max(env.SpillUnits[class], 1)
}
