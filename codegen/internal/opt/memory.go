package opt

import (
	"github.com/davit-wasm/davit/codegen/ir"
)

// Loads and stores.
//
// Memory falls into alias regions: an access that names a region touches nothing
// but that region. A store that names none may change any; a load that names
// none reads what only such stores change. The state of a region between two instructions has a
// version: the instruction that may have changed it last, or the block where
// different versions meet. A first pass finds the version of every region at
// the beginning of every block. Then, in the walk over the dominator tree, a table
// holds what is known to be in memory: the value of given type at an address plus offset in a
// given version, because it has been loaded or stored. A load of what the table
// has is that value.
//
// In a block more is known: a store changes nothing at a place that has the same
// address with an offset so different that the two do not touch. What was known of such
// places is known in the new version as well.
//
// At the header of a loop two versions meet, if the loop stores to the region. If
// what the way back comes with is what one store has left, and a load of the same
// place finds no other store since the header, the place is carried around the loop in a
// parameter of the header: the value before the loop, loaded there, or else what has been
// stored. The stores stay.
//
//	block1:                                  v2 = load.i32 v0
//	    v1 = load.i32 v0                     jump block1(v2)
//	    v3 = iadd v1, v1              →  block1(v1):
//	    store v3, v0                         v3 = iadd v1, v1
//	    brif v3, block1, block2              store v3, v0
//	                                         brif v3, block1(v3), block2
//
// A store of what is there already goes, and so does one that another
// overwrites before anything could look: neither load nor call nor trap may come between.

const (
	numSlots = 8 // of regions that are told apart: no region, regions 0 to 5, all others
	anySlot  = 0 // accesses without region
	restSlot = numSlots - 1

	merged  = 1 << 31    // in a version: a block where several meet, else an instruction plus one
	unknown = ^uint32(0) // not yet known
)

type versions [numSlots]uint32

// memory is the state of the walk and the working memory.
type memory struct {
	in, out []versions // by block
	now     versions
	table   []known
	mask    uint32
	used    int
	epoch   uint32
	recent  []recent
	last    [numSlots]pending
	// loaded is, by load that may move, the version that it has been seen to load.
	loaded []uint32
	// carried is, by block, how many places are carried around its loop.
	carried []uint8
	// walked tells, by block, whether the walk has begun with it.
	walked []bool
}

// known is an entry of the table of what is in memory.
type known struct {
	epoch   uint32
	version uint32
	addr    ir.Value
	value   ir.Value
	offset  int64
	block   ir.Block
	typ     ir.Type
	op      ir.Opcode
	flags   uint8 // byte order
}

// recent is a place that is known in the current version of its region, in the
// block at hand.
type recent struct {
	k    known
	size int64
	slot int
}

// pending is a store that nothing has looked at yet.
type pending struct {
	inst   ir.Inst
	addr   ir.Value
	offset int64
	size   int64
	flags  ir.MemFlags
}

const maxRecent = 16

// maxCarried is how many places are carried around a loop: each takes a register.
const maxCarried = 4

// slot is where the version of an access's region is.
func slot(flags ir.MemFlags) int {
	r, ok := flags.Region()
	if !ok {
		return anySlot
	}
	return min(1+int(r), restSlot)
}

// clobbers says what an instruction may change: all memory, or region slot s.
func clobbers(d *ir.InstData) (all bool, s int, ok bool) {
	flags := d.Op.Flags()
	switch {
	case flags&ir.FlagCall != 0, d.Op == ir.OpFence, d.Op == ir.OpDebugtrap, d.Op == ir.OpSequencePoint:
		return true, 0, true
	case flags&ir.FlagStore != 0 || d.Op == ir.OpAtomicLoad:
		if flags&ir.FlagEffect != 0 { // atomic accesses order others
			return true, 0, true
		}
		s = slot(d.Flags)
		return s == anySlot, s, true
	}
	return false, 0, false
}

// startMemory finds the versions at the beginnings of blocks.
func (o *Optimizer) startMemory() {
	m, f := &o.mem, o.f
	if o.opts.NoMemory {
		return
	}
	m.reset(f.NumInsts())
	m.loaded = filled(m.loaded, f.NumInsts(), unknown)
	n := f.NumBlocks()
	m.carried = zeroed(m.carried, n)
	m.walked = zeroed(m.walked, n)
	m.in = filled(m.in, n, versions{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown})
	m.out = filled(m.out, n, versions{unknown, unknown, unknown, unknown, unknown, unknown, unknown, unknown})
	order := o.dom.ReversePostOrder()
	// What each block does: the last change of each region; unknown stands for none.
	for _, b := range order {
		out := &m.out[b]
		for inst := f.FirstInst(b); inst != ir.NoInst; inst = f.NextInst(inst) {
			all, s, ok := clobbers(f.Inst(inst))
			switch {
			case !ok:
			case all:
				for i := range out {
					out[i] = uint32(inst) + 1
				}
			default:
				out[s] = uint32(inst) + 1
			}
		}
	}
	m.in[order[0]] = versions{}
	for round := 0; o.meet(order[1:]); round++ {
		if round == maxRounds {
			// Contrived nests of loops: take it that everything meets everywhere.
			for _, b := range order[1:] {
				if len(o.cfg.Preds(b)) > 1 {
					for s := range m.in[b] {
						m.in[b][s] = merged | uint32(b)
					}
				}
			}
			for o.meet(order[1:]) {
				// Once more for the blocks with one predecessor.
			}
			break
		}
	}
}

// meet makes the versions at the beginnings of blocks those that the
// predecessors leave. It reports whether anything has changed.
func (o *Optimizer) meet(order []ir.Block) (changed bool) {
	m := &o.mem
	for _, b := range order {
		in := &m.in[b]
		preds := o.cfg.Preds(b)
		here := merged | uint32(b)
		for _, e := range preds {
			if !o.dom.Reachable(e.From) {
				continue
			}
			out, before := &m.out[e.From], &m.in[e.From]
			for s := range in {
				v := out[s]
				if v == unknown {
					v = before[s]
				}
				switch {
				case v == unknown || in[s] == v || in[s] == here:
				case in[s] == unknown || len(preds) == 1:
					in[s], changed = v, true
				default:
					in[s], changed = here, true
				}
			}
		}
	}
	return changed
}

func (m *memory) reset(n int) {
	size := 64
	for size < n {
		size *= 2
	}
	if len(m.table) < size {
		m.table = make([]known, size)
		m.epoch = 0
	}
	m.mask = uint32(size - 1)
	m.used = 0
	m.epoch++
	if m.epoch == 0 {
		clear(m.table)
		m.epoch = 1
	}
}

func (o *Optimizer) enterMemory(b ir.Block) {
	m := &o.mem
	if o.opts.NoMemory {
		return
	}
	m.now = m.in[b]
	m.walked[b] = true
	m.recent = m.recent[:0]
	o.looked()
}

// looked says that all stores so far may have been looked at.
func (o *Optimizer) looked() {
	for i := range o.mem.last {
		o.mem.last[i].inst = ir.NoInst
	}
}

// address takes an address apart into a value and an offset to it.
func (o *Optimizer) address(v ir.Value, offset int64) (ir.Value, int64) {
	for range maxDepth {
		inst, _ := o.f.ValueInst(v)
		if inst == ir.NoInst || o.f.Inst(inst).Op != ir.OpIadd || o.f.ValueType(v) != ir.I64 {
			break
		}
		args := o.f.Args(inst)
		k, ok := o.constant(o.rep(args[1]))
		if !ok {
			break
		}
		v, offset = o.rep(args[0]), offset+int64(k)
	}
	return v, offset
}

// find looks k up in the table; the value is in the answer.
func (m *memory) find(o *Optimizer, k *known, insert bool) (ir.Value, bool) {
	h := (uint64(k.addr)<<32 ^ uint64(k.version)) * 0x9e3779b97f4a7c15
	h = (h ^ h>>31 ^ uint64(k.offset)<<16 ^ uint64(k.typ)<<8 ^ uint64(k.op)) * 0xd6e8feb86659fd93
	free := -1
	for i, n := uint32(h>>33)&m.mask, 0; n < 32; i, n = (i+1)&m.mask, n+1 {
		e := &m.table[i]
		if e.epoch != m.epoch {
			if free < 0 {
				free = int(i)
			}
			break
		}
		if !o.dom.Dominates(e.block, o.block) {
			if free < 0 {
				free = int(i)
			}
			continue
		}
		if e.addr == k.addr && e.version == k.version && e.offset == k.offset && e.typ == k.typ && e.op == k.op && e.flags == k.flags {
			if insert {
				e.value = k.value
				e.block = o.block
			}
			return e.value, true
		}
	}
	if insert && free >= 0 { // a crowded place is left as it is: the table only helps
		m.table[free] = *k
		m.table[free].epoch, m.table[free].block = m.epoch, o.block
	}
	return ir.NoValue, false
}

// accessSize is how many bytes an access touches.
func accessSize(f *ir.Function, inst ir.Inst) int64 {
	d := f.Inst(inst)
	switch d.Op {
	case ir.OpUload8, ir.OpSload8, ir.OpIstore8:
		return 1
	case ir.OpUload16, ir.OpSload16, ir.OpIstore16:
		return 2
	case ir.OpUload32, ir.OpSload32, ir.OpIstore32:
		return 4
	case ir.OpUload8x8, ir.OpSload8x8, ir.OpUload16x4, ir.OpSload16x4, ir.OpUload32x2, ir.OpSload32x2:
		return 8
	case ir.OpStore:
		return int64(f.ValueType(f.Resolve(f.Args(inst)[0])).Bytes())
	}
	return int64(f.ValueType(f.Result(inst)).Bytes())
}

// order is the byte order among the flags of an access.
func order(m ir.MemFlags) uint8 { return uint8(m & (ir.MemLittle | ir.MemBig)) }

// numberMemory handles whatever touches memory.
func (o *Optimizer) numberMemory(inst ir.Inst) {
	m, f := &o.mem, o.f
	if o.opts.NoMemory {
		return
	}
	d := f.Inst(inst)
	switch {
	case d.Op.Format() == ir.FormatLoad:
		o.load(inst)
		return
	case d.Op.Format() == ir.FormatStore:
		o.store(inst)
		return
	}
	o.looked()
	if all, s, ok := clobbers(d); ok {
		if all {
			for i := range m.now {
				m.now[i] = uint32(inst) + 1
			}
			m.recent = m.recent[:0]
		} else {
			m.now[s] = uint32(inst) + 1
		}
	}
}

func (o *Optimizer) load(inst ir.Inst) {
	m, f := &o.mem, o.f
	d := f.Inst(inst)
	v := f.Result(inst)
	s := slot(d.Flags)
	addr, offset := o.address(o.rep(f.Args(inst)[0]), d.Imm)
	k := known{version: m.now[s], addr: addr, offset: offset, typ: f.ValueType(v), op: d.Op, flags: order(d.Flags), value: v}
	if d.Flags&ir.MemReadonly != 0 {
		k.version = 0
	}
	if w, ok := m.find(o, &k, false); ok {
		o.values[v].rep = o.rep(w)
		f.RemoveInst(inst)
		return
	}
	if w, ok := o.carryAround(inst, &k); ok {
		o.values[v].rep = w
		f.RemoveInst(inst)
		return
	}
	if d.Flags&ir.MemGrows != 0 {
		o.addLimit(v, addr, offset)
	}
	m.find(o, &k, true)
	o.remember(&k, accessSize(f, inst), s)
	if movable(d) {
		m.loaded[inst] = k.version
	}
	if _, traps := d.Flags.TrapCode(); traps {
		o.looked() // memory can be looked at when it has trapped
		return
	}
	for i := range m.last {
		if p := &m.last[i]; p.inst != ir.NoInst && (i == s || i == anySlot) && !apart(p.addr, p.offset, p.size, addr, offset, accessSize(f, inst)) {
			p.inst = ir.NoInst
		}
	}
}

// carryAround is the parameter that the place k, which inst loads, is carried around a
// loop in, if it is.
func (o *Optimizer) carryAround(inst ir.Inst, k *known) (ir.Value, bool) {
	m, f := &o.mem, o.f
	d := *f.Inst(inst)
	header := ir.Block(k.version &^ merged)
	if k.version&merged == 0 || k.op != ir.OpLoad || !movable(&d) || o.values[k.addr].new || k.offset != int64(int32(k.offset)) || m.carried[header] == maxCarried {
		return ir.NoValue, false
	}
	if l := o.loops.Innermost(header); l == ir.NoLoop || o.loops.Header(l) != header || o.dom.Dominates(header, o.defBlock(k.addr)) {
		return ir.NoValue, false
	}
	preds := o.cfg.Preds(header)
	for _, e := range preds {
		switch {
		case !o.stands(e, header):
			return ir.NoValue, false
		case !o.dom.Dominates(header, e.From):
			// Of loops with several ways in, some may come from what is walked later.
			if !m.walked[e.From] || f.Inst(e.Inst).Op.IsCall() {
				return ir.NoValue, false
			}
		case !o.leaves(e.From, slot(d.Flags), k):
			return ir.NoValue, false
		}
	}
	here := o.block
	p := f.AddParam(header, k.typ)
	for _, e := range preds {
		var v ir.Value
		if o.dom.Dominates(header, e.From) {
			v = f.Args(ir.Inst(m.after(e.From, slot(d.Flags)) - 1))[0]
		} else {
			before := *k
			before.version = m.after(e.From, slot(d.Flags))
			o.block = e.From
			var ok bool
			if v, ok = m.find(o, &before, false); !ok {
				d.Imm = k.offset
				c := f.AddInst(d, k.addr)
				v = f.AddResult(c, k.typ)
				f.InsertBefore(c, e.Inst)
			}
		}
		f.AddDestArg(e.Inst, int(e.Dest), v)
	}
	o.grow()
	m.carried[header]++
	o.block, k.value = header, p
	m.find(o, k, true)
	o.block = here
	return p, true
}

// stands reports whether an edge to b is still there: the branch may have been decided
// since edges were found.
func (o *Optimizer) stands(e ir.Edge, b ir.Block) bool {
	f := o.f
	if f.InstBlock(e.Inst) != e.From {
		return false
	}
	dests := f.Dests(e.Inst)
	return int(e.Dest) < len(dests) && dests[e.Dest].Block == b
}

// leaves reports whether what place k holds at the end of a block is what one store has
// left there.
func (o *Optimizer) leaves(b ir.Block, s int, k *known) bool {
	f := o.f
	v := o.mem.after(b, s)
	if v == 0 || v == unknown || v&merged != 0 {
		return false
	}
	inst := ir.Inst(v - 1)
	d := f.Inst(inst)
	if d.Op != ir.OpStore || order(d.Flags) != k.flags || f.InstBlock(inst) == ir.NoBlock || !o.dom.Dominates(f.InstBlock(inst), b) {
		return false
	}
	args := f.Args(inst)
	addr, offset := o.address(o.rep(args[1]), d.Imm)
	return addr == k.addr && offset == k.offset && f.ValueType(f.Resolve(args[0])) == k.typ
}

// after is the version of slot s at the end of block b.
func (m *memory) after(b ir.Block, s int) uint32 {
	if v := m.out[b][s]; v != unknown {
		return v
	}
	return m.in[b][s]
}

// defBlock is the block where v is made.
func (o *Optimizer) defBlock(v ir.Value) ir.Block {
	if inst, _ := o.f.ValueInst(v); inst != ir.NoInst {
		return o.f.InstBlock(inst)
	}
	b, _ := o.f.ValueBlock(v)
	return b
}

// movable reports whether a load may be done earlier, as long as memory is the
// same there.
func movable(d *ir.InstData) bool {
	const flags = ir.MemNotrap | ir.MemCanMove
	return d.Op.Format() == ir.FormatLoad && d.Flags&flags == flags
}

// changesMemory reports whether what a movable load loads may change in the loop
// with the given header.
func (o *Optimizer) changesMemory(inst ir.Inst, header ir.Block) bool {
	d := o.f.Inst(inst)
	if d.Flags&ir.MemReadonly != 0 {
		return false
	}
	// The loop changes nothing if the version at its beginning is the one from
	// before, whatever way it is entered, and the load loads that one.
	m := &o.mem
	v := m.in[header][slot(d.Flags)]
	return v == merged|uint32(header) || int(inst) >= len(m.loaded) || m.loaded[inst] != v
}

// apart reports whether two accesses certainly don't touch.
func apart(a ir.Value, offset, size int64, b ir.Value, offset2, size2 int64) bool {
	return a == b && (offset+size <= offset2 || offset2+size2 <= offset)
}

// remember adds a place to those that survive stores elsewhere.
func (o *Optimizer) remember(k *known, size int64, s int) {
	m := &o.mem
	if len(m.recent) == maxRecent {
		copy(m.recent, m.recent[1:])
		m.recent = m.recent[:maxRecent-1]
	}
	m.recent = append(m.recent, recent{*k, size, s})
}

// narrowStored has a store of the low bits of a value use what those bits are of, if
// they are masked or extended in vain.
func (o *Optimizer) narrowStored(inst ir.Inst) {
	f := o.f
	bits := 0
	switch f.Inst(inst).Op {
	case ir.OpIstore8:
		bits = 8
	case ir.OpIstore16:
		bits = 16
	case ir.OpIstore32:
		bits = 32
	default:
		return
	}
	low := uint64(1)<<bits - 1
	for range maxDepth {
		v := o.rep(f.Args(inst)[0])
		def, _ := f.ValueInst(v)
		if def == ir.NoInst {
			return
		}
		switch f.Inst(def).Op {
		case ir.OpBand:
			if k, ok := o.constant(o.rep(f.Args(def)[1])); !ok || k&low != low {
				return
			}
		case ir.OpUextend, ir.OpSextend:
			if f.ValueType(f.Args(def)[0]).Bits() <= bits {
				return
			}
		default:
			return
		}
		x := o.rep(f.Args(def)[0])
		f.Args(inst)[0] = x
		f.Inst(inst).Type = f.ValueType(x)
	}
}

func (o *Optimizer) store(inst ir.Inst) {
	m, f := &o.mem, o.f
	o.narrowStored(inst)
	d := f.Inst(inst)
	s := slot(d.Flags)
	args := f.Args(inst)
	v := o.rep(args[0])
	addr, offset := o.address(o.rep(args[1]), d.Imm)
	size := accessSize(f, inst)
	k := known{version: m.now[s], addr: addr, offset: offset, typ: f.ValueType(v), op: ir.OpLoad, flags: order(d.Flags), value: v}
	if d.Op == ir.OpStore {
		if w, ok := m.find(o, &k, false); ok && o.rep(w) == v {
			f.RemoveInst(inst) // it is there already
			return
		}
	}
	// The store before it in the region, if it is to the same place and unseen, was in vain.
	if p := &m.last[s]; p.inst != ir.NoInst && p.addr == addr && offset <= p.offset && p.offset+p.size <= offset+size && trapsAlike(p.flags, d.Flags) && (offset == p.offset || notrap(d.Flags)) {
		f.RemoveInst(p.inst)
		p.inst = ir.NoInst
	}
	if !notrap(d.Flags) {
		o.looked()
	}
	for i := range m.last {
		// Where the one before traps, this one is never done.
		if p := &m.last[i]; p.inst != ir.NoInst && !notrap(p.flags) {
			p.inst = ir.NoInst
		}
	}
	m.last[s] = pending{inst, addr, offset, size, d.Flags}
	version := uint32(inst) + 1
	if s == anySlot {
		for i := range m.now {
			m.now[i] = version
		}
	} else {
		m.now[s] = version
	}
	n := 0
	for i := range m.recent {
		r := m.recent[i]
		if s == anySlot || r.slot == s {
			if !apart(r.k.addr, r.k.offset, r.size, addr, offset, size) {
				continue
			}
			if r.k.version != 0 {
				r.k.version = version
				m.find(o, &r.k, true)
			}
		}
		m.recent[n] = r
		n++
	}
	m.recent = m.recent[:n]
	k.version = version
	if k.op, k.typ = loadOf(d.Op, k.typ); k.op != ir.OpInvalid {
		m.find(o, &k, true)
		o.remember(&k, size, s)
	}
}

// loadOf is the load that yields just the value that was stored; OpInvalid for
// stores of parts of values.
func loadOf(store ir.Opcode, t ir.Type) (ir.Opcode, ir.Type) {
	if store == ir.OpStore {
		return ir.OpLoad, t
	}
	return ir.OpInvalid, t
}

func notrap(m ir.MemFlags) bool { return m&ir.MemNotrap != 0 }

// trapsAlike reports whether two accesses to one place trap in the same way.
func trapsAlike(a, b ir.MemFlags) bool {
	x, ok1 := a.TrapCode()
	y, ok2 := b.TrapCode()
	return x == y && ok1 == ok2
}
