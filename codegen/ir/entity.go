package ir

import "strconv"

// None is the invalid index of every entity type.
const None = ^uint32(0)

// Entities: typed indexes into the slices of a [Function].
type (
	// Value is an SSA value. In the arguments of a branch of try_call it may
	// also name a result or an exception payload of the call; see [RetArg].
	Value uint32
	// Inst is an instruction.
	Inst uint32
	// Block is a basic block.
	Block uint32
	// FuncRef is a function that the function may call; see [ExtFunc].
	FuncRef uint32
	// SigRef is a signature.
	SigRef uint32
	// StackSlot is a slot of the stack frame.
	StackSlot uint32
	// DynamicStackSlot is a stack slot whose size is known when code is made.
	DynamicStackSlot uint32
	// DynamicType is a dynamically sized vector type.
	DynamicType uint32
	// GlobalValue is an address computed from the outside of the function.
	GlobalValue uint32
	// Constant is an entry of the constant pool; shuffle masks are there too.
	Constant uint32
	// ExceptionTable belongs to a try_call.
	ExceptionTable uint32
	// AliasRegion is a part of memory disjoint from every other region. 0 in a
	// memory flag means none, n+1 region n.
	AliasRegion uint32
)

// Invalid entities.
const (
	NoValue     = Value(None)
	NoInst      = Inst(None)
	NoBlock     = Block(None)
	NoFuncRef   = FuncRef(None)
	NoSig       = SigRef(None)
	NoGlobal    = GlobalValue(None)
	NoStackSlot = StackSlot(None)
)

// A block-call argument of try_call may name what only the call makes. Such
// arguments have the two top bits of a Value set aside; a function never has
// that many values.
const (
	argKindMask = 3 << 30
	argRet      = 1 << 31
	argExn      = 3 << 30
	maxValues   = 1 << 30
)

// RetArg is the block-call argument that stands for result i of a try_call.
func RetArg(i int) Value { return Value(argRet | uint32(i)) }

// ExnArg is the block-call argument that stands for exception payload i of a
// try_call.
func ExnArg(i int) Value { return Value(argExn | uint32(i)) }

// IsRetArg reports whether v is a [RetArg], and of which result.
func (v Value) IsRetArg() (i int, ok bool) {
	return int(v &^ argKindMask), v&argKindMask == argRet && v != NoValue
}

// IsExnArg reports whether v is an [ExnArg], and of which payload.
func (v Value) IsExnArg() (i int, ok bool) {
	return int(v &^ argKindMask), v&argKindMask == argExn && v != NoValue
}

// IsPlain reports whether v is an ordinary value.
func (v Value) IsPlain() bool { return v < maxValues }

func name(prefix string, n uint32) string {
	if n == None {
		return prefix + "?"
	}
	return prefix + strconv.FormatUint(uint64(n), 10)
}

func (v Value) String() string {
	if i, ok := v.IsRetArg(); ok {
		return name("ret", uint32(i))
	}
	if i, ok := v.IsExnArg(); ok {
		return name("exn", uint32(i))
	}
	return name("v", uint32(v))
}
func (i Inst) String() string             { return name("inst", uint32(i)) }
func (b Block) String() string            { return name("block", uint32(b)) }
func (f FuncRef) String() string          { return name("fn", uint32(f)) }
func (s SigRef) String() string           { return name("sig", uint32(s)) }
func (s StackSlot) String() string        { return name("ss", uint32(s)) }
func (s DynamicStackSlot) String() string { return name("dss", uint32(s)) }
func (d DynamicType) String() string      { return name("dt", uint32(d)) }
func (g GlobalValue) String() string      { return name("gv", uint32(g)) }
func (c Constant) String() string         { return name("const", uint32(c)) }
func (r AliasRegion) String() string      { return name("region", uint32(r)) }
