package ir

import "strings"

// Format says which operands an instruction carries besides its value
// arguments, and how it is written.
type Format uint8

// Formats. In the comments, args are value arguments, and the other names are
// the fields of [InstData] in use.
const (
	FormatInvalid                 Format = iota
	FormatNullary                        //
	FormatUnary                          // arg
	FormatUnaryImm                       // Imm
	FormatUnaryIeee16                    // Imm (bits)
	FormatUnaryIeee32                    // Imm (bits)
	FormatUnaryIeee64                    // Imm (bits)
	FormatUnaryConst                     // Ref (Constant)
	FormatUnaryGlobalValue               // Ref (GlobalValue)
	FormatBitCast                        // Flags, arg
	FormatBinary                         // arg, arg
	FormatBinaryImm8                     // arg, Imm (lane)
	FormatTernary                        // arg, arg, arg
	FormatTernaryImm8                    // arg, arg, Imm (lane)
	FormatShuffle                        // arg, arg, Ref (Constant of 16 bytes)
	FormatMultiAry                       // args
	FormatIntCompare                     // Cond (IntCC), arg, arg
	FormatFloatCompare                   // Cond (FloatCC), arg, arg
	FormatJump                           // block call
	FormatBrif                           // arg, then block call, else block call
	FormatBranchTable                    // arg, default block call, table of block calls
	FormatCall                           // Ref (FuncRef), args
	FormatCallIndirect                   // Ref (SigRef), callee arg, args
	FormatTryCall                        // Ref (FuncRef), args, Imm (ExceptionTable), block calls: normal return, handlers
	FormatTryCallIndirect                // Ref (SigRef), callee arg, args, Imm (ExceptionTable), block calls
	FormatFuncAddr                       // Ref (FuncRef)
	FormatLoad                           // Flags, address arg, Imm (offset)
	FormatStore                          // Flags, value arg, address arg, Imm (offset)
	FormatLoadNoOffset                   // Flags, address arg
	FormatStoreNoOffset                  // Flags, value arg, address arg
	FormatAtomicRmw                      // Flags, Cond (AtomicOp), address arg, arg
	FormatAtomicCas                      // Flags, address arg, expected arg, replacement arg
	FormatStackAddr                      // Ref (StackSlot), Imm (offset)
	FormatDynamicStackAddr               // Ref (DynamicStackSlot)
	FormatTrap                           // Trap
	FormatCondTrap                       // Trap, arg
	FormatIntAddTrap                     // Trap, arg, arg
	FormatExceptionHandlerAddress        // Ref (Block), Imm (handler index)
)

// OpFlags are the properties of an opcode that passes ask for.
type OpFlags uint16

// Opcode flags.
const (
	FlagTerminator OpFlags = 1 << iota // ends a block
	FlagBranch                         // has block calls
	FlagReturn                         // leaves the function
	FlagCall                           // transfers control to another function
	FlagLoad                           // may read memory
	FlagStore                          // may write memory
	FlagTrap                           // may trap (a memory access only if its flags allow)
	FlagEffect                         // has another effect, or must stay where it is
)

// Where an instruction's controlling type comes from, if not from the operand
// with that index.
const (
	CtrlExplicit = -1 // written out
	CtrlNone     = -2 // there is none
)

// OpInfo describes an opcode.
type OpInfo struct {
	Name   string
	Format Format
	Set    TypeSet // what the controlling type may be
	Ctrl   int8    // operand whose type is the controlling type, or CtrlExplicit, CtrlNone
	// Operands and Results are the types of the fixed value arguments and the
	// results as words: a type; T, the controlling type; i, any scalar
	// integer; addr, int, float, vec, scalarfloat, any: a type of that set;
	// truthy, the type of a comparison of T; lane(T), half(T), double(T),
	// split(T), merge(T), fixed(T): see [Type]; wider(T), narrower(T): a scalar of
	// the same kind; "...": the rest is variable.
	Operands, Results string
	Flags             OpFlags
	Doc               string
}

// Info describes o.
func (o Opcode) Info() *OpInfo { return &opTable[o] }

func (o Opcode) String() string { return opTable[o].Name }

// Format is the format of o.
func (o Opcode) Format() Format { return opTable[o].Format }

// Flags are the properties of o.
func (o Opcode) Flags() OpFlags { return opTable[o].Flags }

// IsTerminator reports whether o ends a block.
func (o Opcode) IsTerminator() bool { return opTable[o].Flags&FlagTerminator != 0 }

// IsBranch reports whether o has block calls.
func (o Opcode) IsBranch() bool { return opTable[o].Flags&FlagBranch != 0 }

// IsCall reports whether o transfers control to another function.
func (o Opcode) IsCall() bool { return opTable[o].Flags&FlagCall != 0 }

// HasSideEffect reports whether an instruction with opcode o must stay even if
// nothing uses its results.
func (o Opcode) HasSideEffect() bool {
	return opTable[o].Flags&(FlagTerminator|FlagStore|FlagCall|FlagEffect) != 0
}

var opByName = func() map[string]Opcode {
	m := make(map[string]Opcode, NumOpcodes)
	for o := OpInvalid + 1; o < NumOpcodes; o++ {
		m[opTable[o].Name] = o
	}
	return m
}()

// ParseOpcode finds an opcode by its name.
func ParseOpcode(name string) (Opcode, bool) {
	o, ok := opByName[name]
	return o, ok
}

// TypeSet is a set of types that a controlling type or an operand may have.
type TypeSet uint8

// Type sets.
const (
	setNone        TypeSet = iota
	setAny                 // every type
	setMem                 // every type that memory can hold
	setInt                 // integers, scalar or vector
	setScalarint           // scalar integers
	setFloat               // floating point, scalar or vector
	setScalarfloat         // scalar floating point
	setVec                 // vectors
	setVecint              // vectors of integers
	setDynvec              // dynamic vectors
	setAddr                // i32, i64
	setAtomic              // i8 to i128
	setIext8               // scalar integers wider than 8 bits, at most 64
	setIext16              // scalar integers wider than 16 bits, at most 64
	setIext32              // i64
	setSwappable           // i16 to i128
	setWideint             // i16 to i128, halves exist
	setNarrowint           // i8 to i64, doubles exist
)

var setNames = [...]string{"nothing", "any type", "a type memory can hold", "an integer type", "a scalar integer type", "a floating-point type",
	"a scalar floating-point type", "a vector type", "an integer vector type", "a dynamic vector type", "an address type (i32 or i64)", "an integer type of at most 128 bits",
	"i16, i32 or i64", "i32 or i64", "i64", "i16, i32, i64 or i128", "i16, i32, i64 or i128", "i8, i16, i32 or i64"}

func (s TypeSet) String() string { return setNames[s] }

// Contains reports whether t is in s.
func (s TypeSet) Contains(t Type) bool {
	if t.Lane() == Invalid || t.Lane() > F128 {
		return false
	}
	switch s {
	case setAny, setMem:
		return true
	case setInt:
		return t.IsIntLane()
	case setScalarint, setAtomic:
		return t.IsInt()
	case setFloat:
		return t.IsFloatLane()
	case setScalarfloat:
		return t.IsFloat()
	case setVec:
		return t.IsVector()
	case setVecint:
		return t.IsVector() && t.IsIntLane()
	case setDynvec:
		return t.IsDynamic()
	case setAddr:
		return t == I32 || t == I64
	case setIext8:
		return t == I16 || t == I32 || t == I64
	case setIext16:
		return t == I32 || t == I64
	case setIext32:
		return t == I64
	case setSwappable, setWideint:
		return t >= I16 && t <= I128
	case setNarrowint:
		return t >= I8 && t <= I64
	}
	return false
}

// constraint is a word of OpInfo.Operands or OpInfo.Results, decoded.
type constraint struct {
	kind constraintKind
	typ  Type    // conExact
	set  TypeSet // conSet
}

type constraintKind uint8

const (
	conExact constraintKind = iota
	conCtrl
	conSet
	conTruthy
	conLane
	conHalf
	conDouble
	conSplit
	conMerge
	conFixed
	conWider
	conNarrower
)

// opTypes is the decoded type rule of an opcode.
type opTypes struct {
	operands, results         []constraint
	moreOperands, moreResults bool
}

var opRules = func() (rules [NumOpcodes]opTypes) {
	words := map[string]constraint{
		"T": {kind: conCtrl}, "truthy": {kind: conTruthy}, "lane(T)": {kind: conLane}, "half(T)": {kind: conHalf}, "double(T)": {kind: conDouble},
		"split(T)": {kind: conSplit}, "merge(T)": {kind: conMerge}, "fixed(T)": {kind: conFixed}, "wider(T)": {kind: conWider}, "narrower(T)": {kind: conNarrower},
		"i": {kind: conSet, set: setScalarint}, "addr": {kind: conSet, set: setAddr}, "int": {kind: conSet, set: setInt}, "float": {kind: conSet, set: setFloat},
		"vec": {kind: conSet, set: setVec}, "scalarfloat": {kind: conSet, set: setScalarfloat}, "any": {kind: conSet, set: setAny},
	}
	decode := func(s string) (list []constraint, more bool) {
		for _, w := range strings.Fields(s) {
			if w == "..." {
				more = true
			} else if c, ok := words[w]; ok {
				list = append(list, c)
			} else if t, ok := ParseType(w); ok {
				list = append(list, constraint{typ: t})
			} else {
				panic("ir: bad type rule " + w)
			}
		}
		return list, more
	}
	for o := range rules {
		r := &rules[o]
		r.operands, r.moreOperands = decode(opTable[o].Operands)
		r.results, r.moreResults = decode(opTable[o].Results)
	}
	return rules
}()

// FixedOperands is the number of value arguments that every instruction with
// opcode o has; more tells whether there may be others after them.
func (o Opcode) FixedOperands() (n int, more bool) {
	return len(opRules[o].operands), opRules[o].moreOperands
}

// FixedResults is the number of results of an instruction with opcode o; more
// tells that a signature decides instead.
func (o Opcode) FixedResults() (n int, more bool) {
	return len(opRules[o].results), opRules[o].moreResults
}

// ResultType is the type of result i of an instruction with opcode o and
// controlling type ctrl. It is Invalid where none fits.
func (o Opcode) ResultType(i int, ctrl Type) Type {
	c := opRules[o].results[i]
	return c.derive(ctrl)
}

func (c constraint) derive(ctrl Type) Type {
	switch c.kind {
	case conExact:
		return c.typ
	case conCtrl:
		return ctrl
	case conTruthy:
		return ctrl.AsTruthy()
	case conLane:
		return ctrl.Lane()
	case conHalf:
		return ctrl.HalfWidth()
	case conDouble:
		return ctrl.DoubleWidth()
	case conSplit:
		return ctrl.Split()
	case conMerge:
		return ctrl.Merge()
	case conFixed:
		return ctrl &^ dynamicFlag
	}
	return Invalid
}

// OperandOK reports whether fixed operand i of an instruction with opcode o
// and controlling type ctrl may have type t; want says in words what it must
// have.
func (o Opcode) OperandOK(i int, ctrl, t Type) (ok bool, want string) {
	c := opRules[o].operands[i]
	switch c.kind {
	case conSet:
		return c.set.Contains(t), c.set.String()
	case conWider, conNarrower:
		ok = !t.IsVector() && t != Invalid && t.IsInt() == ctrl.IsInt()
		if c.kind == conWider {
			if ok && t.Bits() > ctrl.Bits() {
				return true, ""
			}
			return false, "a type wider than " + ctrl.String()
		}
		if ok && t.Bits() < ctrl.Bits() {
			return true, ""
		}
		return false, "a type narrower than " + ctrl.String()
	}
	d := c.derive(ctrl)
	if d == t {
		return true, ""
	}
	return false, d.String()
}
