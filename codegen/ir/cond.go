package ir

import "strconv"

// IntCC is a condition of integer comparison.
type IntCC uint8

// Integer conditions.
const (
	Equal IntCC = iota
	NotEqual
	SignedLessThan
	SignedGreaterThanOrEqual
	SignedGreaterThan
	SignedLessThanOrEqual
	UnsignedLessThan
	UnsignedGreaterThanOrEqual
	UnsignedGreaterThan
	UnsignedLessThanOrEqual
	numIntCC
)

var intCCNames = [numIntCC]string{"eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule"}

func (c IntCC) String() string { return intCCNames[c] }

// ParseIntCC reads a condition as String writes it.
func ParseIntCC(s string) (IntCC, bool) {
	for i, n := range intCCNames {
		if n == s {
			return IntCC(i), true
		}
	}
	return 0, false
}

// Inverse is the condition that holds exactly where c does not.
func (c IntCC) Inverse() IntCC {
	return [numIntCC]IntCC{NotEqual, Equal, SignedGreaterThanOrEqual, SignedLessThan, SignedLessThanOrEqual, SignedGreaterThan, UnsignedGreaterThanOrEqual, UnsignedLessThan, UnsignedLessThanOrEqual, UnsignedGreaterThan}[c]
}

// Swap is the condition for swapped operands.
func (c IntCC) Swap() IntCC {
	return [numIntCC]IntCC{Equal, NotEqual, SignedGreaterThan, SignedLessThanOrEqual, SignedLessThan, SignedGreaterThanOrEqual, UnsignedGreaterThan, UnsignedLessThanOrEqual, UnsignedLessThan, UnsignedGreaterThanOrEqual}[c]
}

// IsSigned reports whether c orders its operands as signed numbers.
func (c IntCC) IsSigned() bool { return c >= SignedLessThan && c <= SignedLessThanOrEqual }

// FloatCC is a condition of floating-point comparison: a set of the four
// outcomes less, equal, greater, unordered.
type FloatCC uint8

// Floating-point conditions.
const (
	Ordered FloatCC = iota
	Unordered
	FloatEqual
	FloatNotEqual // unordered, less or greater
	OrderedNotEqual
	UnorderedOrEqual
	LessThan
	LessThanOrEqual
	GreaterThan
	GreaterThanOrEqual
	UnorderedOrLessThan
	UnorderedOrLessThanOrEqual
	UnorderedOrGreaterThan
	UnorderedOrGreaterThanOrEqual
	numFloatCC
)

var floatCCNames = [numFloatCC]string{"ord", "uno", "eq", "ne", "one", "ueq", "lt", "le", "gt", "ge", "ult", "ule", "ugt", "uge"}

func (c FloatCC) String() string { return floatCCNames[c] }

// ParseFloatCC reads a condition as String writes it.
func ParseFloatCC(s string) (FloatCC, bool) {
	for i, n := range floatCCNames {
		if n == s {
			return FloatCC(i), true
		}
	}
	return 0, false
}

// Inverse is the condition that holds exactly where c does not.
func (c FloatCC) Inverse() FloatCC {
	return [numFloatCC]FloatCC{Unordered, Ordered, FloatNotEqual, FloatEqual, UnorderedOrEqual, OrderedNotEqual, UnorderedOrGreaterThanOrEqual, UnorderedOrGreaterThan, UnorderedOrLessThanOrEqual, UnorderedOrLessThan, GreaterThanOrEqual, GreaterThan, LessThanOrEqual, LessThan}[c]
}

// Swap is the condition for swapped operands.
func (c FloatCC) Swap() FloatCC {
	return [numFloatCC]FloatCC{Ordered, Unordered, FloatEqual, FloatNotEqual, OrderedNotEqual, UnorderedOrEqual, GreaterThan, GreaterThanOrEqual, LessThan, LessThanOrEqual, UnorderedOrGreaterThan, UnorderedOrGreaterThanOrEqual, UnorderedOrLessThan, UnorderedOrLessThanOrEqual}[c]
}

// AtomicOp is the operation of an atomic_rmw.
type AtomicOp uint8

// Atomic operations.
const (
	AtomicAdd AtomicOp = iota
	AtomicSub
	AtomicAnd
	AtomicNand
	AtomicOr
	AtomicXor
	AtomicXchg
	AtomicUmin
	AtomicUmax
	AtomicSmin
	AtomicSmax
	numAtomicOps
)

var atomicOpNames = [numAtomicOps]string{"add", "sub", "and", "nand", "or", "xor", "xchg", "umin", "umax", "smin", "smax"}

func (o AtomicOp) String() string { return atomicOpNames[o] }

// ParseAtomicOp reads an operation as String writes it.
func ParseAtomicOp(s string) (AtomicOp, bool) {
	for i, n := range atomicOpNames {
		if n == s {
			return AtomicOp(i), true
		}
	}
	return 0, false
}

// TrapCode says why a trap was taken. Codes 1 to 250 belong to the user of the
// code generator ("user1" …); 0 is no code.
type TrapCode uint8

// Trap codes with a meaning of their own.
const (
	NoTrap                  TrapCode = 0
	MaxUserTrap             TrapCode = 250
	TrapStackOverflow       TrapCode = 251
	TrapHeapOutOfBounds     TrapCode = 252
	TrapIntegerOverflow     TrapCode = 253
	TrapIntegerDivideByZero TrapCode = 254
	TrapBadConversionToInt  TrapCode = 255
)

var trapNames = [...]string{"stk_ovf", "heap_oob", "int_ovf", "int_divz", "bad_toint"}

func (c TrapCode) String() string {
	if c >= TrapStackOverflow {
		return trapNames[c-TrapStackOverflow]
	}
	return "user" + strconv.Itoa(int(c))
}

// ParseTrapCode reads a trap code as String writes it.
func ParseTrapCode(s string) (TrapCode, bool) {
	for i, n := range trapNames {
		if n == s {
			return TrapStackOverflow + TrapCode(i), true
		}
	}
	if len(s) > 4 && s[:4] == "user" {
		n, err := strconv.ParseUint(s[4:], 10, 8)
		if err == nil && n >= 1 && n <= uint64(MaxUserTrap) {
			return TrapCode(n), true
		}
	}
	return NoTrap, false
}

// MemFlags says what is known of a memory access, and what it does when it
// faults. The zero value is: native byte order, unaligned, may trap with
// heap_oob, not readonly, region unknown.
//
// Bits 0–7 are flags, bits 8–15 the trap code (see [MemFlags.TrapCode]), bits
// 16–31 the alias region plus one.
type MemFlags uint32

// Memory flags.
const (
	MemAligned  MemFlags = 1 << iota // the address is a multiple of the access's size
	MemReadonly                      // the memory never changes while the function can see it
	MemCanMove                       // the access may be moved past the conditions that guard it
	MemLittle                        // little endian
	MemBig                           // big endian
	MemNotrap                        // the access never faults
	MemGrows                         // what is loaded, as an unsigned number, never gets smaller while the function runs
)

const (
	memTrapShift   = 8
	memRegionShift = 16
)

// MemTrusted are the flags of an access that cannot fault and is aligned.
const MemTrusted = MemNotrap | MemAligned

// TrapCode is the code with which a faulting access traps; ok is false if the
// access cannot fault.
func (m MemFlags) TrapCode() (c TrapCode, ok bool) {
	if m&MemNotrap != 0 {
		return NoTrap, false
	}
	c = TrapCode(m >> memTrapShift)
	if c == NoTrap {
		c = TrapHeapOutOfBounds
	}
	return c, true
}

// WithTrap is m with trap code c.
func (m MemFlags) WithTrap(c TrapCode) MemFlags {
	return m&^(0xff<<memTrapShift|MemNotrap) | MemFlags(c)<<memTrapShift
}

// Region is the alias region; ok is false if it is unknown.
func (m MemFlags) Region() (r AliasRegion, ok bool) {
	n := m >> memRegionShift
	return AliasRegion(n - 1), n != 0
}

// MaxAliasRegions is how many alias regions a function can have.
const MaxAliasRegions = 1<<16 - 2

// WithRegion is m in alias region r, which is below [MaxAliasRegions].
func (m MemFlags) WithRegion(r AliasRegion) MemFlags {
	return m&(1<<memRegionShift-1) | MemFlags(r+1)<<memRegionShift
}

// BigEndian reports whether the access is big endian on a machine whose own
// byte order is big or not.
func (m MemFlags) BigEndian(native bool) bool {
	switch {
	case m&MemLittle != 0:
		return false
	case m&MemBig != 0:
		return true
	}
	return native
}
