package regalloc

import (
	"math/rand/v2"
	"slices"
)

// choices is where the generator takes its decisions from: fuzz input, or a random source when that is exhausted.
type choices struct {
	data []byte
	rand *rand.Rand
}

func (c *choices) below(n int) int {
	if n <= 1 {
		return 0
	}
	if len(c.data) > 0 {
		x := int(c.data[0])
		c.data = c.data[1:]
		if n > 256 && len(c.data) > 0 {
			x = x<<8 | int(c.data[0])
			c.data = c.data[1:]
		}
		return x % n
	}
	if c.rand == nil {
		return 0
	}
	return c.rand.IntN(n)
}

func (c *choices) oneIn(n int) bool { return c.below(n) == n-1 }

// generator builds a random valid function.
type generator struct {
	*choices
	f   *Function
	env *Env

	succs    [][]int
	preds    [][]int
	idom     []int
	cold     []bool
	depth    []uint8
	defs     [][]VReg // by block: values defined there and available at its end
	termDefs [][]VReg // by block: values that its terminator defines
	params   [][]VReg

	maxInsts int
}

// testEnvs are register files from tiny to real.
func testEnvs() []*Env {
	var envs []*Env
	for _, n := range []int{2, 3, 5, 14} {
		env := &Env{SpillUnits: [NumClasses]uint8{1, 2, 4}}
		for c := range RegClass(2) {
			for hw := range n {
				env.Allocatable[c] = append(env.Allocatable[c], MakePReg(c, uint8(hw)))
			}
		}
		env.StackPRegs = MakePRegSet(MakePReg(Int, 60), MakePReg(Int, 61), MakePReg(Float, 60))
		if n == 5 {
			env.Scratch = MakePRegSet(MakePReg(Int, 40), MakePReg(Float, 40))
		}
		envs = append(envs, env)
	}
	return envs
}

// generate builds a function with about the given numbers of blocks and of instructions per block.
func generate(c *choices, env *Env, maxBlocks, maxInsts int) *Function {
	g := &generator{choices: c, f: &Function{Clobbers: []PRegSet{{}}}, env: env, maxInsts: maxInsts}
	g.graph(1 + c.below(maxBlocks))
	g.dominators()
	g.body()
	return g.f
}

func (g *generator) addEdge(from, to int) { g.succs[from] = append(g.succs[from], to) }

// graph makes a random control-flow graph without critical edges.
func (g *generator) graph(n int) {
	g.succs = make([][]int, n)
	for b := 1; b < n; b++ {
		from := b - 1
		if g.oneIn(3) {
			from = g.below(b)
		}
		g.addEdge(from, b)
	}
	for range g.below(n + 1) {
		from, to := g.below(n), g.below(n)
		if to == 0 || len(g.succs[from]) > 4 {
			continue
		}
		g.addEdge(from, to)
	}
	// Split critical edges.
	count := make([]int, n)
	for _, ss := range g.succs {
		for _, s := range ss {
			count[s]++
		}
	}
	for b := range n {
		if len(g.succs[b]) < 2 {
			continue
		}
		for k, s := range g.succs[b] {
			if count[s] > 1 {
				g.succs[b][k] = len(g.succs)
				g.succs = append(g.succs, []int{s})
			}
		}
	}
	n = len(g.succs)
	// A random code order, some of the time.
	if g.oneIn(3) {
		perm := make([]int, n)
		for i := range perm {
			perm[i] = i
		}
		for i := n - 1; i > 1; i-- {
			j := 1 + g.below(i)
			perm[i], perm[j] = perm[j], perm[i]
		}
		succs := make([][]int, n)
		for b, ss := range g.succs {
			for _, s := range ss {
				succs[perm[b]] = append(succs[perm[b]], perm[s])
			}
		}
		g.succs = succs
	}
	g.preds = make([][]int, n)
	for b, ss := range g.succs {
		for _, s := range ss {
			g.preds[s] = append(g.preds[s], b)
		}
	}
	g.cold = make([]bool, n)
	g.depth = make([]uint8, n)
	for b := range n {
		g.cold[b] = b > 0 && g.oneIn(5)
		g.depth[b] = uint8(g.below(4))
	}
}

// dominators computes immediate dominators the slow way.
func (g *generator) dominators() {
	n := len(g.succs)
	dom := make([][]bool, n)
	for b := range dom {
		dom[b] = make([]bool, n)
		for d := range dom[b] {
			dom[b][d] = b != 0 || d == 0
		}
	}
	for again := true; again; {
		again = false
		for b := 1; b < n; b++ {
			for d := range n {
				if d == b || !dom[b][d] {
					continue
				}
				for _, p := range g.preds[b] {
					if !dom[p][d] {
						dom[b][d] = false
						again = true
						break
					}
				}
			}
		}
	}
	g.idom = make([]int, n)
	for b := 1; b < n; b++ {
		best, size := 0, -1
		for d := range n {
			if d == b || !dom[b][d] {
				continue
			}
			k := 0
			for x := range n {
				if dom[d][x] {
					k++
				}
			}
			if k > size {
				best, size = d, k
			}
		}
		g.idom[b] = best
	}
	g.idom[0] = -1
}

func (g *generator) newVReg(c RegClass) VReg {
	f := g.f
	v := MakeVReg(c, f.NumVRegs)
	f.NumVRegs++
	units := uint8(0)
	if c == Float && !g.oneIn(3) {
		units = 1
	}
	f.SpillUnits = append(f.SpillUnits, units)
	f.Remat = append(f.Remat, false)
	f.Refs = append(f.Refs, false)
	hint := NoPReg
	if g.oneIn(20) {
		hint = g.reg(c)
	}
	f.Hints = append(f.Hints, hint)
	return v
}

func (g *generator) reg(c RegClass) PReg {
	regs := g.env.Allocatable[c]
	return regs[g.below(len(regs))]
}

func (g *generator) class() RegClass {
	if g.oneIn(4) {
		return Float
	}
	return Int
}

// available returns a value of class c (any, for -1) that dominates the end of what block b has so far, or NoVReg.
func (g *generator) available(b int, local []VReg, c int) VReg {
	for range 4 {
		list := local
		for x := b; ; x = g.idom[x] {
			if x != b {
				list = g.defs[x]
			}
			if len(list) > 0 && (g.idom[x] < 0 || !g.oneIn(3)) {
				// Recent values more often than old ones.
				k := len(list) - 1 - g.below(min(len(list), 40))
				if v := list[k]; c < 0 || int(v.Class()) == c {
					return v
				}
			}
			if g.idom[x] < 0 {
				break
			}
		}
	}
	return NoVReg
}

// body fills the blocks in dominator order, then emits them in code order.
func (g *generator) body() {
	n := len(g.succs)
	g.defs = make([][]VReg, n)
	g.termDefs = make([][]VReg, n)
	g.params = make([][]VReg, n)
	type block struct {
		insts []Inst
		ops   []Operand
	}
	blocks := make([]block, n)
	done := make([]bool, n)
	var visit func(b int)
	visit = func(b int) {
		done[b] = true
		if b > 0 {
			for range g.below(4) {
				p := g.newVReg(g.class())
				g.f.SpillUnits[p.Index()] = 0
				g.params[b] = append(g.params[b], p)
			}
		}
		local := slices.Clone(g.params[b])
		for range 1 + g.below(g.maxInsts) {
			var in Inst
			var ops []Operand
			in, ops = g.inst(b, local, false)
			blocks[b].ops = append(blocks[b].ops, ops...)
			in.Operands.End = uint32(len(ops))
			blocks[b].insts = append(blocks[b].insts, in)
			for _, o := range ops {
				if o.Kind == Def {
					local = append(local, o.VReg)
				}
			}
		}
		// The terminator: free where all targets have one predecessor.
		var in Inst
		var ops []Operand
		free := true
		for _, s := range g.succs[b] {
			free = free && len(g.preds[s]) == 1
		}
		if free && !g.oneIn(3) {
			in, ops = g.inst(b, local, true)
			for _, o := range ops {
				if o.Kind == Def {
					g.termDefs[b] = append(g.termDefs[b], o.VReg)
				}
			}
		}
		in.Operands.End = uint32(len(ops))
		blocks[b].ops = append(blocks[b].ops, ops...)
		blocks[b].insts = append(blocks[b].insts, in)
		g.defs[b] = append(local, g.termDefs[b]...)
		for c := range n {
			if c > 0 && g.idom[c] == b && !done[c] {
				visit(c)
			}
		}
	}
	visit(0)
	f := g.f
	for b := range n {
		blk := Block{LoopDepth: g.depth[b], Cold: g.cold[b]}
		blk.Insts.Start = uint32(len(f.Insts))
		ops := blocks[b].ops
		for _, in := range blocks[b].insts {
			k := in.Operands.End
			f.Operands = append(f.Operands, ops[:k]...)
			ops = ops[k:]
			f.NewInst(in.Clobbers, in.Flags)
		}
		blk.Insts.End = uint32(len(f.Insts))
		blk.Params.Start = uint32(len(f.Params))
		f.Params = append(f.Params, g.params[b]...)
		blk.Params.End = uint32(len(f.Params))
		blk.Succs.Start = uint32(len(f.Edges))
		for _, s := range g.succs[b] {
			e := Edge{To: uint32(s), Args: Range{Start: uint32(len(f.Args))}}
			for _, p := range g.params[s] {
				v := g.argument(b, p)
				f.Args = append(f.Args, v)
			}
			e.Args.End = uint32(len(f.Args))
			f.Edges = append(f.Edges, e)
		}
		blk.Succs.End = uint32(len(f.Edges))
		f.Blocks = append(f.Blocks, blk)
	}
	for range g.below(4) {
		if f.NumVRegs > 0 {
			from := g.below(len(f.Insts))
			v := g.below(f.NumVRegs)
			for _, o := range f.Operands {
				if o.VReg.Index() == v {
					f.DebugLabels = append(f.DebugLabels, DebugLabel{
						Label: uint32(len(f.DebugLabels)), VReg: o.VReg, From: uint32(from), To: uint32(from + g.below(len(f.Insts)-from+1)),
					})
					break
				}
			}
		}
	}
}

// argument returns a value for parameter p on an edge from b. One always exists: block 0's first instruction defines some of each
// class and size.
func (g *generator) argument(b int, p VReg) VReg {
	for range 3 {
		if v := g.available(b, g.defs[b], int(p.Class())); v != NoVReg && g.f.spillUnits(v, g.env) == g.f.spillUnits(p, g.env) {
			return v
		}
	}
	for _, v := range g.defs[0] {
		if v.Class() == p.Class() && g.f.spillUnits(v, g.env) == g.f.spillUnits(p, g.env) {
			return v
		}
	}
	panic("no argument for " + p.String())
}

func (g *generator) clobberSet(s PRegSet) uint16 {
	if i := slices.Index(g.f.Clobbers, s); i >= 0 {
		return uint16(i)
	}
	g.f.Clobbers = append(g.f.Clobbers, s)
	return uint16(len(g.f.Clobbers) - 1)
}

// inst makes an instruction whose needs can be met.
func (g *generator) inst(b int, local []VReg, terminator bool) (Inst, []Operand) {
	if b == 0 && len(local) == 0 && !terminator {
		return g.arguments()
	}
	var in Inst
	kind := g.below(12)
	switch {
	case kind == 0 && !terminator: // a constant
		v := g.newVReg(g.class())
		g.f.Remat[v.Index()] = true
		return in, []Operand{DefReg(v)}
	case kind == 1 && !terminator: // a move
		v := g.available(b, local, -1)
		if v == NoVReg {
			return in, nil
		}
		d := g.newVReg(v.Class())
		g.f.SpillUnits[d.Index()] = g.f.spillUnits(v, g.env)
		in.Flags = Move
		ops := []Operand{UseReg(v), DefReg(d)}
		switch g.below(5) {
		case 0:
			ops[0] = UseAny(v)
		case 1:
			ops[1] = DefAny(d)
		case 2:
			ops[0] = UseFixed(v, g.reg(v.Class()))
		}
		return in, ops
	case kind == 2: // a call
		return g.call(b, local)
	}
	k := [NumClasses]int{}
	for c := range k {
		k[c] = len(g.env.Allocatable[c])
	}
	// Registers needed at each moment; any operand counts as one, whatever its constraint, but those that can be in memory.
	var early, late [NumClasses]int
	var fixedE, fixedL PRegSet
	var ops []Operand
	if g.oneIn(8) {
		var s PRegSet
		c := g.class()
		for range 1 + g.below(3) {
			s.Add(g.reg(c))
		}
		if s.Len() < k[c]-1 {
			in.Clobbers = g.clobberSet(s)
			fixedL = s
			late[c] = s.Len()
		}
	}
	for range g.below(5) {
		v := g.available(b, local, -1)
		if v == NoVReg {
			continue
		}
		c := v.Class()
		o := UseReg(v)
		switch g.below(12) {
		case 0, 1, 2:
			o = UseAny(v)
		case 3:
			o.Constraint = Stack
		case 4, 5:
			if p := g.reg(c); !fixedE.Has(p) && early[c] < k[c] {
				o = UseFixed(v, p)
				fixedE.Add(p)
				early[c]++
				ops = append(ops, o)
			}
			continue
		case 6:
			if p := MakePReg(c, 60); g.env.StackPRegs.Has(p) && !fixedE.Has(p) {
				fixedE.Add(p)
				ops = append(ops, UseFixed(v, p))
			}
			continue
		case 7:
			o.Pos = Late
		case 8:
			o.Constraint, o.Arg = Limit, uint8(k[c])
			if k[c] > 8 {
				o.Arg = 12
			}
		}
		if g.oneIn(10) && o.Constraint == Any {
			o.Pos = Late
		}
		if o.Constraint == Reg || o.Constraint == Limit {
			if early[c] >= k[c] || o.Pos == Late && late[c] >= k[c] {
				continue
			}
			early[c]++
			if o.Pos == Late {
				late[c]++
			}
		}
		ops = append(ops, o)
	}
	uses := len(ops)
	reused := make([]bool, uses)
	for range g.below(3) {
		c := g.class()
		o := Operand{Kind: Def, Pos: Late, Constraint: Reg}
		switch g.below(10) {
		case 0, 1:
			o.Constraint = Any
		case 2:
			o.Constraint = Stack
		case 3, 4:
			p := g.reg(c)
			if fixedL.Has(p) && !g.f.Clobbers[in.Clobbers].Has(p) || late[c] >= k[c] || slices.ContainsFunc(ops, func(o Operand) bool {
				return o.Kind == Def && o.Constraint == Fixed && PReg(o.Arg) == p
			}) {
				continue
			}
			o.Constraint, o.Arg = Fixed, uint8(p)
			if !fixedL.Has(p) {
				late[c]++
			}
			fixedL.Add(p)
			o.VReg = g.newVReg(c)
			ops = append(ops, o)
			continue
		case 5:
			o.Pos = Early
			if early[c] >= k[c] || late[c] >= k[c] {
				continue
			}
			early[c]++
		case 6, 7:
			if uses == 0 {
				continue
			}
			i := g.below(uses)
			in := ops[i]
			c = in.VReg.Class()
			if reused[i] || in.Pos == Late || in.Constraint == Stack || in.Constraint == Fixed && (fixedL.Has(PReg(in.Arg)) || g.env.StackPRegs.Has(PReg(in.Arg))) {
				continue
			}
			if late[c] >= k[c] || in.Constraint == Any && early[c] >= k[c] {
				continue
			}
			if in.Constraint == Any {
				early[c]++
			}
			if in.Constraint == Fixed {
				fixedL.Add(PReg(in.Arg))
			} else if late[c]+early[c]-1 > k[c] {
				// The register must be free at both moments, which fixed operands may make impossible.
				continue
			}
			reused[i] = true
			o.Constraint, o.Arg = Reuse, uint8(i)
		}
		if o.Constraint == Reg || o.Constraint == Reuse {
			if late[c] >= k[c] {
				continue
			}
			late[c]++
		}
		o.VReg = g.newVReg(c)
		if o.Constraint == Reuse {
			g.f.SpillUnits[o.VReg.Index()] = g.f.spillUnits(ops[o.Arg].VReg, g.env)
		}
		ops = append(ops, o)
	}
	// A register needed at both moments must avoid what is fixed at either.
	for c := range NumClasses {
		both := 0
		for i, o := range ops {
			if int(o.VReg.Class()) == c && (o.Pos == Late && o.Kind == Use && o.Constraint != Any || o.Kind == Def && (o.Pos == Early || o.Constraint == Reuse)) {
				both++
				_ = i
			}
		}
		if both > 0 {
			used := PRegSet{}
			used[c] = fixedE[c] | fixedL[c]
			if max(early[c], late[c])+used.Len() > k[c] {
				return Inst{}, nil
			}
		}
	}
	return in, ops
}

// arguments is the function's first instruction.
func (g *generator) arguments() (Inst, []Operand) {
	var ops []Operand
	for c := range RegClass(2) {
		for i, p := range g.env.Allocatable[c] {
			if i < 6 {
				v := g.newVReg(c)
				g.f.SpillUnits[v.Index()] = 0
				ops = append(ops, DefFixed(v, p))
			}
		}
	}
	for p := range g.env.StackPRegs.All {
		if g.oneIn(2) {
			ops = append(ops, DefFixed(g.newVReg(p.Class()), p))
		}
	}
	for _, o := range ops {
		if o.VReg.Class() == Int && g.oneIn(4) {
			g.f.Refs[o.VReg.Index()] = true
		}
	}
	return Inst{}, ops
}

// call clobbers all registers, takes arguments in some, and returns results in some.
func (g *generator) call(b int, local []VReg) (Inst, []Operand) {
	var s PRegSet
	for c := range RegClass(2) {
		for _, p := range g.env.Allocatable[c] {
			s.Add(p)
		}
	}
	in := Inst{Clobbers: g.clobberSet(s)}
	if g.oneIn(2) {
		in.Flags = Safepoint
	}
	var ops []Operand
	for c := range RegClass(2) {
		n := g.below(min(len(g.env.Allocatable[c]), 5) + 1)
		for i := range n {
			if v := g.available(b, local, int(c)); v != NoVReg {
				ops = append(ops, UseFixed(v, g.env.Allocatable[c][i]))
			}
		}
		for range g.below(2) {
			if v := g.available(b, local, int(c)); v != NoVReg {
				ops = append(ops, Operand{VReg: v, Constraint: []Constraint{Any, Stack}[g.below(2)], Pos: OperandPos(g.below(2))})
			}
		}
		n = g.below(min(len(g.env.Allocatable[c]), 3) + 1)
		for i := range n {
			v := g.newVReg(c)
			if c == Int && g.oneIn(3) {
				g.f.Refs[v.Index()] = true
			}
			ops = append(ops, DefFixed(v, g.env.Allocatable[c][i]))
		}
		if g.oneIn(5) {
			ops = append(ops, DefAny(g.newVReg(c)))
		}
	}
	return in, ops
}
