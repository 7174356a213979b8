package wasm

import "fmt"

// FuncValidator reads and validates the body of a function, instruction by
// instruction, and tells its user what translation needs to know on the way, so
// that a body is read once only. It follows the algorithm in the appendix of
// the specification: a stack of operand types and a stack of control frames.
//
// A FuncValidator is used for one function after the other, and then allocates
// nothing. It belongs to one goroutine at a time.
type FuncValidator struct {
	env *Env
	r   reader
	fn  int // function index, or -1 in a constant expression

	locals    []ValType
	numParams int
	results   []ValType // of the function

	stack  []ValType // operand types; Bottom for what unreachable code made up
	frames []Frame
	// Of the innermost frame, kept here for speed:
	height      int
	unreachable bool

	// Locals of types without default must be set before they are read. unset
	// marks those that are not; initialized lists the ones that have been set,
	// so that they are unset again at the end of the block. Without such locals
	// both are empty.
	unset       []bool
	initialized []uint32

	reachable bool    // the last instruction can be reached
	operand   ValType // see Operand
	popped    Frame   // see Frame

	isConst bool // constant expression
	globals int  // globals that the constant expression sees

	checked []uint32 // scratch of br_table: by frame, number of the br_table that checked it
	tables  uint32
	pool    []ValType // storage of one-element type lists
	instr   Instr     // for those who do not bring their own
}

// Frame is a control frame: a block that has been entered and not left.
type Frame struct {
	Op          Opcode // OpBlock (also of the body), OpLoop, OpIf, OpElse or OpTryTable
	Unreachable bool   // the rest of the block cannot be reached
	Params      []ValType
	Results     []ValType
	Height      int // operands below the block's parameters
	inits       int // length of initialized at entry
}

// LabelTypes are the types that a branch to the frame's label takes.
func (f *Frame) LabelTypes() []ValType {
	if f.Op == OpLoop {
		return f.Params
	}
	return f.Results
}

// Reset starts on function fn of the index space, which must not be imported.
func (v *FuncValidator) Reset(e *Env, fn uint32) error {
	body := e.Body(fn)
	t := e.FuncTypeOf(fn)
	v.start(e, body.Body, body.Offset)
	v.fn = int(fn)
	v.locals = append(v.locals[:0], t.Params...)
	v.numParams = len(t.Params)
	for _, g := range body.Locals {
		if err := e.checkType(g.Type, "a local of function", int(fn)); err != nil {
			v.r.err = err
			return v.error("")
		}
		if uint64(len(v.locals))+uint64(g.Count) > uint64(e.limits.Locals) {
			v.r.fail(LimitExceeded, body.EntryOffset, "too many locals: the limit is %d", e.limits.Locals)
			return v.error("")
		}
		for range g.Count {
			v.locals = append(v.locals, g.Type)
		}
		if !g.Type.Defaultable() {
			for len(v.unset) < len(v.locals)-int(g.Count) {
				v.unset = append(v.unset, false)
			}
			for range g.Count {
				v.unset = append(v.unset, true)
			}
		}
	}
	v.results = t.Results
	v.push1Frame(OpBlock, nil, t.Results)
	return nil
}

func (v *FuncValidator) start(e *Env, code []byte, offset int) {
	v.env = e
	v.r = reader{b: code, base: offset}
	v.stack = v.stack[:0]
	v.frames = v.frames[:0]
	v.unset = v.unset[:0]
	v.initialized = v.initialized[:0]
	v.pool = v.pool[:0]
	v.isConst = false
	v.height, v.unreachable = 0, false
}

// resetExpr starts on a constant expression.
func (v *FuncValidator) resetExpr(e *Env, x ConstExpr, want ValType, globals int) {
	v.start(e, x.Code, x.Offset)
	v.fn = -1
	v.locals, v.numParams = v.locals[:0], 0
	v.isConst, v.globals = true, globals
	v.results = v.one(want)
	v.push1Frame(OpBlock, nil, v.results)
}

// Locals are the types of all locals, parameters first.
func (v *FuncValidator) Locals() []ValType { return v.locals }

// NumParams is how many of the locals are parameters.
func (v *FuncValidator) NumParams() int { return v.numParams }

// Depth is the number of frames that are open, 1 for the body itself.
func (v *FuncValidator) Depth() int { return len(v.frames) }

// FrameAt is the frame of label l, after the last instruction. It is valid
// until the next one is read.
func (v *FuncValidator) FrameAt(l uint32) *Frame { return &v.frames[len(v.frames)-1-int(l)] }

// Popped is the frame that the last instruction closed, if that was `end` or
// `else`.
func (v *FuncValidator) Popped() *Frame { return &v.popped }

// Reachable reports whether the last instruction can be reached; of `end` and
// `else`, whether the end of the block before it can.
func (v *FuncValidator) Reachable() bool { return v.reachable }

// Operand is the type that the last instruction worked on, where its opcode
// does not say: drop, select, ref.is_null, ref.as_non_null, br_on_null,
// br_on_non_null. It is Bottom only in unreachable code.
func (v *FuncValidator) Operand() ValType { return v.operand }

// Stack are the types of all operands after the last instruction. It is valid
// until the next one is read.
func (v *FuncValidator) Stack() []ValType { return v.stack }

// Next reads and validates an instruction into in; more is false when there is
// none after the final `end`. Errors are of type [*Error].
func (v *FuncValidator) Next(in *Instr) (more bool, err error) {
	if len(v.frames) == 0 {
		return false, nil
	}
	info := v.r.instr(in, &v.env.settings)
	if v.r.err == nil {
		v.reachable = !v.unreachable
		if v.isConst && !v.constant(in) {
			v.invalid(in, "constant expression required")
		} else if info.Sig.Fixed {
			v.fixed(in, info)
		} else {
			v.special(in)
		}
	}
	if v.r.err != nil {
		return false, v.error(info.Name)
	}
	return true, nil
}

// error completes the error at hand.
func (v *FuncValidator) error(instr string) error {
	e := v.r.err
	if e.Instr == "" && e.Kind != Malformed {
		e.Instr = instr
	}
	e.Func = v.fn
	if v.fn >= 0 {
		e.Name = v.env.Names.FuncName(uint32(v.fn))
	}
	v.frames = v.frames[:0]
	return e
}

func (v *FuncValidator) invalid(in *Instr, format string, args ...any) {
	v.r.fail(Invalid, in.Offset, format, args...)
}

// one is a list of one type.
func (v *FuncValidator) one(t ValType) []ValType {
	v.pool = append(v.pool, t)
	n := len(v.pool)
	return v.pool[n-1 : n : n]
}

// push1Frame opens a frame whose parameters are not on the operand stack yet.
func (v *FuncValidator) push1Frame(op Opcode, params, results []ValType) {
	v.frames = append(v.frames, Frame{Op: op, Params: params, Results: results, Height: len(v.stack), inits: len(v.initialized)})
	v.height, v.unreachable = len(v.stack), false
	v.stack = append(v.stack, params...)
}

func (v *FuncValidator) popFrame(in *Instr) {
	f := &v.frames[len(v.frames)-1]
	v.popTypes(in, f.Results)
	if len(v.stack) != f.Height {
		v.mismatch(in, "values remaining on the stack at the end of the block: %s", typeList(v.stack[f.Height:]))
		return
	}
	for _, l := range v.initialized[f.inits:] {
		v.unset[l] = true
	}
	v.initialized = v.initialized[:f.inits]
	f.Unreachable = v.unreachable
	v.popped = *f
	v.frames = v.frames[:len(v.frames)-1]
	if n := len(v.frames); n > 0 {
		v.height, v.unreachable = v.frames[n-1].Height, v.frames[n-1].Unreachable
	}
}

// setUnreachable says that what follows in the frame cannot be reached.
func (v *FuncValidator) setUnreachable() {
	v.stack = v.stack[:v.height]
	v.unreachable = true
	v.frames[len(v.frames)-1].Unreachable = true
}

func (v *FuncValidator) push(t ValType) { v.stack = append(v.stack, t) }

func (v *FuncValidator) pushTypes(ts []ValType) { v.stack = append(v.stack, ts...) }

// pop pops an operand of type want, and returns the type it has.
func (v *FuncValidator) pop(in *Instr, want ValType) ValType {
	n := len(v.stack)
	if n > v.height {
		got := v.stack[n-1]
		if got == want || v.env.IsSub(got, want) {
			v.stack = v.stack[:n-1]
			return got
		}
	} else if v.unreachable {
		return Bottom
	}
	v.mismatchTypes(in, []ValType{want}, n)
	return Bottom
}

// popAny pops an operand of whatever type.
func (v *FuncValidator) popAny(in *Instr) ValType {
	n := len(v.stack)
	if n > v.height {
		v.stack = v.stack[:n-1]
		return v.stack[:n][n-1]
	}
	if !v.unreachable {
		v.mismatch(in, "instruction requires an operand but stack has []")
	}
	return Bottom
}

// popRef pops a reference of whatever type.
func (v *FuncValidator) popRef(in *Instr) ValType {
	t := v.popAny(in)
	if t != Bottom && !t.IsRef() {
		v.mismatch(in, "instruction requires a reference but stack has [%v]", t)
		return Bottom
	}
	return t
}

func (v *FuncValidator) popTypes(in *Instr, want []ValType) {
	n := len(v.stack)
	for i := len(want) - 1; i >= 0; i-- {
		if top := len(v.stack); top > v.height {
			if got := v.stack[top-1]; got == want[i] || v.env.IsSub(got, want[i]) {
				v.stack = v.stack[:top-1]
				continue
			}
		} else if v.unreachable {
			continue
		}
		v.mismatchTypes(in, want, n)
		return
	}
}

func (v *FuncValidator) mismatch(in *Instr, format string, args ...any) {
	if v.r.err == nil {
		v.invalid(in, "type mismatch: %s", fmt.Sprintf(format, args...))
	}
}

// mismatchTypes reports that want was not on top of the stack, which had n
// operands.
func (v *FuncValidator) mismatchTypes(in *Instr, want []ValType, n int) {
	if v.r.err == nil {
		have := v.stack[max(v.height, n-len(want)):n]
		v.mismatch(in, "instruction requires %s but stack has %s", typeList(want), typeList(have))
	}
}

// fixed validates an instruction with a fixed signature.
func (v *FuncValidator) fixed(in *Instr, info *OpInfo) {
	sig := &info.Sig
	params := sig.Params
	switch info.Imm {
	case ImmNone, ImmI32, ImmI64, ImmF32, ImmF64:
	case ImmMemArg, ImmMemArgLane:
		params[0] = v.memArg(in, info)
	default:
		v.immediates(in, info)
	}
	if v.r.err != nil {
		return
	}
	n := int(sig.NumParams)
	base := len(v.stack) - n
	exact := base >= v.height
	for i := 0; exact && i < n; i++ {
		exact = v.stack[base+i] == params[i]
	}
	if exact {
		v.stack = v.stack[:base]
	} else {
		v.popTypes(in, params[:n])
	}
	for i := range int(sig.NumResults) {
		v.stack = append(v.stack, sig.Results[i])
	}
}

// memArg validates the memory argument of an access and returns the type of
// its address.
func (v *FuncValidator) memArg(in *Instr, info *OpInfo) ValType {
	if int64(in.Index) >= int64(len(v.env.Memories)) {
		v.invalid(in, "unknown memory %d", in.Index)
		return Bottom
	}
	m := &v.env.Memories[in.Index]
	if in.Op >= opBaseFE && in.Op < opBaseFD {
		if in.Align != info.Align {
			v.invalid(in, "atomic alignment must be natural")
		}
	} else if in.Align > info.Align {
		v.invalid(in, "alignment must not be larger than natural")
	}
	if info.Imm == ImmMemArgLane && in.Lane >= 16>>info.Align {
		v.invalid(in, "invalid lane index %d", in.Lane)
	}
	if !m.Is64 && in.Imm>>32 != 0 {
		v.invalid(in, "offset out of range")
	}
	return m.Address()
}

// immediates validates immediates other than memory arguments of instructions
// with a fixed signature.
func (v *FuncValidator) immediates(in *Instr, info *OpInfo) {
	switch info.Imm {
	case ImmLane:
		if in.Lane >= info.Lanes {
			v.invalid(in, "invalid lane index %d", in.Lane)
		}
	case ImmShuffle:
		// Lanes are below 32: no bit above the low five of any byte is set.
		if (in.Imm|in.Imm2)&0xe0e0e0e0e0e0e0e0 != 0 {
			v.invalid(in, "invalid lane index")
		}
	case ImmData: // data.drop
		v.dataSegment(in, in.Index)
	case ImmElem: // elem.drop
		v.elemSegment(in, in.Index)
	}
}

// constant reports whether in may occur in a constant expression.
func (v *FuncValidator) constant(in *Instr) bool {
	switch in.Op {
	case OpI32Const, OpI64Const, OpF32Const, OpF64Const, OpV128Const, OpRefNull, OpRefFunc, OpEnd:
		return true
	case OpI32Add, OpI32Sub, OpI32Mul, OpI64Add, OpI64Sub, OpI64Mul:
		return v.env.features.Has(FeatureExtendedConst)
	case OpStructNew, OpStructNewDefault, OpArrayNew, OpArrayNewDefault, OpArrayNewFixed, OpRefI31,
		OpAnyConvertExtern, OpExternConvertAny:
		return true
	case OpGlobalGet:
		visible := v.globals
		if v.env.features&(FeatureFunctionReferences|FeatureGC) == 0 {
			visible = min(visible, v.env.NumImportedGlobals)
		}
		if int64(in.Index) >= int64(visible) {
			v.invalid(in, "unknown global %d", in.Index)
			return true
		}
		return !v.env.Globals[in.Index].Type.Mutable
	}
	return false
}
