package ir

// Opcode names an instruction. The table in this file is the one list of them:
// text name, format, type rule and effects.
type Opcode uint8

// Opcodes.
const (
	OpInvalid Opcode = iota
	OpJump
	OpBrif
	OpBrTable
	OpReturn
	OpCall
	OpCallIndirect
	OpReturnCall
	OpReturnCallIndirect
	OpTryCall
	OpTryCallIndirect
	OpFuncAddr
	OpTrap
	OpTrapz
	OpTrapnz
	OpDebugtrap
	OpGetExceptionHandlerAddress
	OpNop
	OpSequencePoint
	OpIconst
	OpF16const
	OpF32const
	OpF64const
	OpF128const
	OpVconst
	OpLoad
	OpStore
	OpUload8
	OpSload8
	OpIstore8
	OpUload16
	OpSload16
	OpIstore16
	OpUload32
	OpSload32
	OpIstore32
	OpUload8x8
	OpSload8x8
	OpUload16x4
	OpSload16x4
	OpUload32x2
	OpSload32x2
	OpStackAddr
	OpDynamicStackAddr
	OpSymbolValue
	OpTlsValue
	OpGetPinnedReg
	OpSetPinnedReg
	OpGetFramePointer
	OpGetStackPointer
	OpGetReturnAddress
	OpGetCallReturnAddress
	OpAtomicRmw
	OpAtomicCas
	OpAtomicLoad
	OpAtomicStore
	OpFence
	OpX86RepMovsb
	OpSelect
	OpSelectSpectreGuard
	OpBitselect
	OpBlendv
	OpVanyTrue
	OpVallTrue
	OpVhighBits
	OpIcmp
	OpFcmp
	OpIadd
	OpIsub
	OpIneg
	OpIabs
	OpImul
	OpUmulhi
	OpSmulhi
	OpSqmulRoundSat
	OpX86Pmulhrsw
	OpUdiv
	OpSdiv
	OpUrem
	OpSrem
	OpSmin
	OpUmin
	OpSmax
	OpUmax
	OpAvgRound
	OpUaddSat
	OpSaddSat
	OpUsubSat
	OpSsubSat
	OpSaddOverflowCin
	OpUaddOverflowCin
	OpUaddOverflow
	OpSaddOverflow
	OpUsubOverflow
	OpSsubOverflow
	OpUmulOverflow
	OpSmulOverflow
	OpSsubOverflowBin
	OpUsubOverflowBin
	OpUaddOverflowTrap
	OpBand
	OpBor
	OpBxor
	OpBnot
	OpBandNot
	OpBorNot
	OpBxorNot
	OpRotl
	OpRotr
	OpIshl
	OpUshr
	OpSshr
	OpBitrev
	OpClz
	OpCls
	OpCtz
	OpBswap
	OpPopcnt
	OpFadd
	OpFsub
	OpFmul
	OpFdiv
	OpSqrt
	OpFma
	OpFneg
	OpFabs
	OpFcopysign
	OpFmin
	OpFmax
	OpCeil
	OpFloor
	OpTrunc
	OpNearest
	OpBitcast
	OpScalarToVector
	OpBmask
	OpIreduce
	OpUextend
	OpSextend
	OpSnarrow
	OpUnarrow
	OpUunarrow
	OpSwidenLow
	OpSwidenHigh
	OpUwidenLow
	OpUwidenHigh
	OpIaddPairwise
	OpX86Pmaddubsw
	OpFpromote
	OpFdemote
	OpFvdemote
	OpFvpromoteLow
	OpFcvtToUint
	OpFcvtToSint
	OpFcvtToUintSat
	OpFcvtToSintSat
	OpX86Cvtt2dq
	OpFcvtFromUint
	OpFcvtFromSint
	OpIsplit
	OpIconcat
	OpSplat
	OpSwizzle
	OpX86Pshufb
	OpShuffle
	OpInsertlane
	OpExtractlane
	OpExtractVector
	OpStackSwitch
	NumOpcodes
)

var opTable = [NumOpcodes]OpInfo{
	OpInvalid:                    {Name: "invalid"},
	OpJump:                       {"jump", FormatJump, setNone, CtrlNone, "", "", FlagTerminator | FlagBranch, "Jump to a block."},
	OpBrif:                       {"brif", FormatBrif, setInt, 0, "T", "", FlagTerminator | FlagBranch, "Jump to the first block if the condition is not zero, else to the second."},
	OpBrTable:                    {"br_table", FormatBranchTable, setNone, CtrlNone, "i32", "", FlagTerminator | FlagBranch, "Jump through a table; the default block if the index is out of its range."},
	OpReturn:                     {"return", FormatMultiAry, setNone, CtrlNone, "...", "", FlagTerminator | FlagReturn, "Return from the function."},
	OpCall:                       {"call", FormatCall, setNone, CtrlNone, "...", "...", FlagCall | FlagLoad | FlagStore | FlagTrap | FlagEffect, "Call a function."},
	OpCallIndirect:               {"call_indirect", FormatCallIndirect, setAddr, 0, "T ...", "...", FlagCall | FlagLoad | FlagStore | FlagTrap | FlagEffect, "Call the function at an address."},
	OpReturnCall:                 {"return_call", FormatCall, setNone, CtrlNone, "...", "", FlagTerminator | FlagReturn | FlagCall, "Call a function in place of the running one."},
	OpReturnCallIndirect:         {"return_call_indirect", FormatCallIndirect, setAddr, 0, "T ...", "", FlagTerminator | FlagReturn | FlagCall, "Call the function at an address in place of the running one."},
	OpTryCall:                    {"try_call", FormatTryCall, setNone, CtrlNone, "...", "", FlagTerminator | FlagBranch | FlagCall | FlagLoad | FlagStore | FlagTrap | FlagEffect, "Call a function; continue in a block on return, in others on exceptions."},
	OpTryCallIndirect:            {"try_call_indirect", FormatTryCallIndirect, setAddr, 0, "T ...", "", FlagTerminator | FlagBranch | FlagCall | FlagLoad | FlagStore | FlagTrap | FlagEffect, "Call the function at an address; continue in a block on return, in others on exceptions."},
	OpFuncAddr:                   {"func_addr", FormatFuncAddr, setAddr, CtrlExplicit, "", "T", 0, "The address of a function."},
	OpTrap:                       {"trap", FormatTrap, setNone, CtrlNone, "", "", FlagTerminator | FlagTrap, "Trap always."},
	OpTrapz:                      {"trapz", FormatCondTrap, setInt, 0, "T", "", FlagTrap | FlagEffect, "Trap if the value is zero."},
	OpTrapnz:                     {"trapnz", FormatCondTrap, setInt, 0, "T", "", FlagTrap | FlagEffect, "Trap if the value is not zero."},
	OpDebugtrap:                  {"debugtrap", FormatNullary, setNone, CtrlNone, "", "", FlagEffect | FlagLoad | FlagStore, "Stop in a debugger."},
	OpGetExceptionHandlerAddress: {"get_exception_handler_address", FormatExceptionHandlerAddress, setAddr, CtrlExplicit, "", "T", FlagEffect, "The address of an exception handler of a block's try_call."},
	OpNop:                        {"nop", FormatNullary, setNone, CtrlNone, "", "", 0, "Nothing."},
	OpSequencePoint:              {"sequence_point", FormatNullary, setNone, CtrlNone, "", "", FlagEffect, "A place that a debugger can name and that nothing is moved across."},
	OpIconst:                     {"iconst", FormatUnaryImm, setInt, CtrlExplicit, "", "T", 0, "An integer constant, truncated to the type."},
	OpF16const:                   {"f16const", FormatUnaryIeee16, setNone, CtrlNone, "", "f16", 0, "A constant."},
	OpF32const:                   {"f32const", FormatUnaryIeee32, setNone, CtrlNone, "", "f32", 0, "A constant."},
	OpF64const:                   {"f64const", FormatUnaryIeee64, setNone, CtrlNone, "", "f64", 0, "A constant."},
	OpF128const:                  {"f128const", FormatUnaryConst, setNone, CtrlNone, "", "f128", 0, "A constant."},
	OpVconst:                     {"vconst", FormatUnaryConst, setVec, CtrlExplicit, "", "T", 0, "A vector constant."},
	OpLoad:                       {"load", FormatLoad, setMem, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap, "Load from memory."},
	OpStore:                      {"store", FormatStore, setMem, 0, "T addr", "", FlagStore | FlagTrap, "Store to memory."},
	OpUload8:                     {"uload8", FormatLoad, setIext8, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap, "Load 8 bits and zero-extend."},
	OpSload8:                     {"sload8", FormatLoad, setIext8, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap, "Load 8 bits and sign-extend."},
	OpIstore8:                    {"istore8", FormatStore, setIext8, 0, "T addr", "", FlagStore | FlagTrap, "Store the low 8 bits."},
	OpUload16:                    {"uload16", FormatLoad, setIext16, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap, "Load 16 bits and zero-extend."},
	OpSload16:                    {"sload16", FormatLoad, setIext16, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap, "Load 16 bits and sign-extend."},
	OpIstore16:                   {"istore16", FormatStore, setIext16, 0, "T addr", "", FlagStore | FlagTrap, "Store the low 16 bits."},
	OpUload32:                    {"uload32", FormatLoad, setAddr, 0, "T", "i64", FlagLoad | FlagTrap, "Load 32 bits and zero-extend to i64."},
	OpSload32:                    {"sload32", FormatLoad, setAddr, 0, "T", "i64", FlagLoad | FlagTrap, "Load 32 bits and sign-extend to i64."},
	OpIstore32:                   {"istore32", FormatStore, setIext32, 0, "T addr", "", FlagStore | FlagTrap, "Store the low 32 bits."},
	OpUload8x8:                   {"uload8x8", FormatLoad, setAddr, 0, "T", "i16x8", FlagLoad | FlagTrap, "Load eight bytes and zero-extend each."},
	OpSload8x8:                   {"sload8x8", FormatLoad, setAddr, 0, "T", "i16x8", FlagLoad | FlagTrap, "Load eight bytes and sign-extend each."},
	OpUload16x4:                  {"uload16x4", FormatLoad, setAddr, 0, "T", "i32x4", FlagLoad | FlagTrap, "Load four 16-bit integers and zero-extend each."},
	OpSload16x4:                  {"sload16x4", FormatLoad, setAddr, 0, "T", "i32x4", FlagLoad | FlagTrap, "Load four 16-bit integers and sign-extend each."},
	OpUload32x2:                  {"uload32x2", FormatLoad, setAddr, 0, "T", "i64x2", FlagLoad | FlagTrap, "Load two 32-bit integers and zero-extend each."},
	OpSload32x2:                  {"sload32x2", FormatLoad, setAddr, 0, "T", "i64x2", FlagLoad | FlagTrap, "Load two 32-bit integers and sign-extend each."},
	OpStackAddr:                  {"stack_addr", FormatStackAddr, setAddr, CtrlExplicit, "", "T", 0, "The address of a byte of a stack slot."},
	OpDynamicStackAddr:           {"dynamic_stack_addr", FormatDynamicStackAddr, setAddr, CtrlExplicit, "", "T", 0, "The address of a dynamic stack slot."},
	OpSymbolValue:                {"symbol_value", FormatUnaryGlobalValue, setAddr, CtrlExplicit, "", "T", 0, "The address of a symbol."},
	OpTlsValue:                   {"tls_value", FormatUnaryGlobalValue, setAddr, CtrlExplicit, "", "T", FlagEffect, "The address of a thread-local symbol."},
	OpGetPinnedReg:               {"get_pinned_reg", FormatNullary, setAddr, CtrlExplicit, "", "T", FlagEffect, "The value of the pinned register."},
	OpSetPinnedReg:               {"set_pinned_reg", FormatUnary, setAddr, 0, "T", "", FlagEffect, "Set the pinned register."},
	OpGetFramePointer:            {"get_frame_pointer", FormatNullary, setAddr, CtrlExplicit, "", "T", 0, "The frame pointer of this function's frame."},
	OpGetStackPointer:            {"get_stack_pointer", FormatNullary, setAddr, CtrlExplicit, "", "T", 0, "The stack pointer, constant in the body."},
	OpGetReturnAddress:           {"get_return_address", FormatNullary, setAddr, CtrlExplicit, "", "T", 0, "The address this function returns to."},
	OpGetCallReturnAddress:       {"get_call_return_address", FormatNullary, setAddr, CtrlExplicit, "", "T", FlagEffect, "Extension: the return address of the next call instruction in this block."},
	OpAtomicRmw:                  {"atomic_rmw", FormatAtomicRmw, setAtomic, CtrlExplicit, "addr T", "T", FlagLoad | FlagStore | FlagTrap | FlagEffect, "Read, modify and write memory atomically; the old value."},
	OpAtomicCas:                  {"atomic_cas", FormatAtomicCas, setAtomic, 2, "addr T T", "T", FlagLoad | FlagStore | FlagTrap | FlagEffect, "Compare memory with the second operand and set it to the third if equal; the old value."},
	OpAtomicLoad:                 {"atomic_load", FormatLoadNoOffset, setAtomic, CtrlExplicit, "addr", "T", FlagLoad | FlagTrap | FlagEffect, "Sequentially consistent load."},
	OpAtomicStore:                {"atomic_store", FormatStoreNoOffset, setAtomic, 0, "T addr", "", FlagStore | FlagTrap | FlagEffect, "Sequentially consistent store."},
	OpFence:                      {"fence", FormatNullary, setNone, CtrlNone, "", "", FlagEffect | FlagLoad | FlagStore, "Full memory fence."},
	OpX86RepMovsb:                {"x86_rep_movsb", FormatTernary, setNone, CtrlNone, "i64 i64 i64", "", FlagLoad | FlagStore | FlagEffect, "Copy to the first address from the second as many bytes as the third operand says, one after the other, so that a byte that was written may be read again. A fault is no trap."},
	OpSelect:                     {"select", FormatTernary, setAny, 1, "i T T", "T", 0, "The second operand if the condition is not zero, else the third."},
	OpSelectSpectreGuard:         {"select_spectre_guard", FormatTernary, setAny, 1, "i T T", "T", FlagEffect, "Like select, never by a branch, so that not even speculation sees the other value."},
	OpBitselect:                  {"bitselect", FormatTernary, setAny, 1, "T T T", "T", 0, "Bits of the second operand where the first has ones, else of the third."},
	OpBlendv:                     {"blendv", FormatTernary, setAny, 1, "T T T", "T", 0, "Lanes of the second operand where the first has its top bit set, else of the third."},
	OpVanyTrue:                   {"vany_true", FormatUnary, setVec, 0, "T", "i8", 0, "1 if any lane is not zero."},
	OpVallTrue:                   {"vall_true", FormatUnary, setVec, 0, "T", "i8", 0, "1 if no lane is zero."},
	OpVhighBits:                  {"vhigh_bits", FormatUnary, setScalarint, CtrlExplicit, "vec", "T", 0, "The top bits of all lanes."},
	OpIcmp:                       {"icmp", FormatIntCompare, setInt, 0, "T T", "truthy", 0, "Compare integers."},
	OpFcmp:                       {"fcmp", FormatFloatCompare, setFloat, 0, "T T", "truthy", 0, "Compare floating-point numbers."},
	OpIadd:                       {"iadd", FormatBinary, setInt, 0, "T T", "T", 0, "Wrapping addition."},
	OpIsub:                       {"isub", FormatBinary, setInt, 0, "T T", "T", 0, "Wrapping subtraction."},
	OpIneg:                       {"ineg", FormatUnary, setInt, 0, "T", "T", 0, "Wrapping negation."},
	OpIabs:                       {"iabs", FormatUnary, setInt, 0, "T", "T", 0, "Absolute value; the minimum stays."},
	OpImul:                       {"imul", FormatBinary, setInt, 0, "T T", "T", 0, "Wrapping multiplication."},
	OpUmulhi:                     {"umulhi", FormatBinary, setInt, 0, "T T", "T", 0, "High half of the unsigned product."},
	OpSmulhi:                     {"smulhi", FormatBinary, setInt, 0, "T T", "T", 0, "High half of the signed product."},
	OpSqmulRoundSat:              {"sqmul_round_sat", FormatBinary, setVecint, 0, "T T", "T", 0, "Rounding, saturating multiplication of Q-format numbers."},
	OpX86Pmulhrsw:                {"x86_pmulhrsw", FormatBinary, setVecint, 0, "T T", "T", 0, "As sqmul_round_sat, but the minimum times itself wraps."},
	OpUdiv:                       {"udiv", FormatBinary, setScalarint, 0, "T T", "T", FlagTrap, "Unsigned division; traps on zero."},
	OpSdiv:                       {"sdiv", FormatBinary, setScalarint, 0, "T T", "T", FlagTrap, "Signed division; traps on zero and on overflow."},
	OpUrem:                       {"urem", FormatBinary, setScalarint, 0, "T T", "T", FlagTrap, "Unsigned remainder; traps on zero."},
	OpSrem:                       {"srem", FormatBinary, setScalarint, 0, "T T", "T", FlagTrap, "Signed remainder; traps on zero."},
	OpSmin:                       {"smin", FormatBinary, setInt, 0, "T T", "T", 0, "Signed minimum."},
	OpUmin:                       {"umin", FormatBinary, setInt, 0, "T T", "T", 0, "Unsigned minimum."},
	OpSmax:                       {"smax", FormatBinary, setInt, 0, "T T", "T", 0, "Signed maximum."},
	OpUmax:                       {"umax", FormatBinary, setInt, 0, "T T", "T", 0, "Unsigned maximum."},
	OpAvgRound:                   {"avg_round", FormatBinary, setVecint, 0, "T T", "T", 0, "Unsigned average, rounded up."},
	OpUaddSat:                    {"uadd_sat", FormatBinary, setVecint, 0, "T T", "T", 0, "Saturating unsigned addition."},
	OpSaddSat:                    {"sadd_sat", FormatBinary, setVecint, 0, "T T", "T", 0, "Saturating signed addition."},
	OpUsubSat:                    {"usub_sat", FormatBinary, setVecint, 0, "T T", "T", 0, "Saturating unsigned subtraction."},
	OpSsubSat:                    {"ssub_sat", FormatBinary, setVecint, 0, "T T", "T", 0, "Saturating signed subtraction."},
	OpSaddOverflowCin:            {"sadd_overflow_cin", FormatTernary, setScalarint, 1, "T T i8", "T i8", 0, "Signed addition with carry in; sum and overflow."},
	OpUaddOverflowCin:            {"uadd_overflow_cin", FormatTernary, setScalarint, 1, "T T i8", "T i8", 0, "Unsigned addition with carry in; sum and carry."},
	OpUaddOverflow:               {"uadd_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Unsigned addition; sum and carry."},
	OpSaddOverflow:               {"sadd_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Signed addition; sum and overflow."},
	OpUsubOverflow:               {"usub_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Unsigned subtraction; difference and borrow."},
	OpSsubOverflow:               {"ssub_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Signed subtraction; difference and overflow."},
	OpUmulOverflow:               {"umul_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Unsigned multiplication; product and overflow."},
	OpSmulOverflow:               {"smul_overflow", FormatBinary, setScalarint, 0, "T T", "T i8", 0, "Signed multiplication; product and overflow."},
	OpSsubOverflowBin:            {"ssub_overflow_bin", FormatTernary, setScalarint, 1, "T T i8", "T i8", 0, "Signed subtraction with borrow in; difference and overflow."},
	OpUsubOverflowBin:            {"usub_overflow_bin", FormatTernary, setScalarint, 1, "T T i8", "T i8", 0, "Unsigned subtraction with borrow in; difference and borrow."},
	OpUaddOverflowTrap:           {"uadd_overflow_trap", FormatIntAddTrap, setScalarint, 0, "T T", "T", FlagTrap | FlagEffect, "Unsigned addition; traps on carry."},
	OpBand:                       {"band", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise and."},
	OpBor:                        {"bor", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise or."},
	OpBxor:                       {"bxor", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise exclusive or."},
	OpBnot:                       {"bnot", FormatUnary, setAny, 0, "T", "T", 0, "Bitwise not."},
	OpBandNot:                    {"band_not", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise and with the complement of the second operand."},
	OpBorNot:                     {"bor_not", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise or with the complement of the second operand."},
	OpBxorNot:                    {"bxor_not", FormatBinary, setAny, 0, "T T", "T", 0, "Bitwise exclusive or with the complement of the second operand."},
	OpRotl:                       {"rotl", FormatBinary, setInt, 0, "T i", "T", 0, "Rotate left by an amount modulo the lane width."},
	OpRotr:                       {"rotr", FormatBinary, setInt, 0, "T i", "T", 0, "Rotate right by an amount modulo the lane width."},
	OpIshl:                       {"ishl", FormatBinary, setInt, 0, "T i", "T", 0, "Shift left by an amount modulo the lane width."},
	OpUshr:                       {"ushr", FormatBinary, setInt, 0, "T i", "T", 0, "Shift right, filling with zeros, by an amount modulo the lane width."},
	OpSshr:                       {"sshr", FormatBinary, setInt, 0, "T i", "T", 0, "Shift right, filling with the sign, by an amount modulo the lane width."},
	OpBitrev:                     {"bitrev", FormatUnary, setScalarint, 0, "T", "T", 0, "Reverse the bits."},
	OpClz:                        {"clz", FormatUnary, setScalarint, 0, "T", "T", 0, "Count leading zeros."},
	OpCls:                        {"cls", FormatUnary, setScalarint, 0, "T", "T", 0, "Count leading bits equal to the sign, without the sign bit itself."},
	OpCtz:                        {"ctz", FormatUnary, setScalarint, 0, "T", "T", 0, "Count trailing zeros."},
	OpBswap:                      {"bswap", FormatUnary, setSwappable, 0, "T", "T", 0, "Reverse the bytes."},
	OpPopcnt:                     {"popcnt", FormatUnary, setInt, 0, "T", "T", 0, "Count ones."},
	OpFadd:                       {"fadd", FormatBinary, setFloat, 0, "T T", "T", 0, "Addition."},
	OpFsub:                       {"fsub", FormatBinary, setFloat, 0, "T T", "T", 0, "Subtraction."},
	OpFmul:                       {"fmul", FormatBinary, setFloat, 0, "T T", "T", 0, "Multiplication."},
	OpFdiv:                       {"fdiv", FormatBinary, setFloat, 0, "T T", "T", 0, "Division."},
	OpSqrt:                       {"sqrt", FormatUnary, setFloat, 0, "T", "T", 0, "Square root."},
	OpFma:                        {"fma", FormatTernary, setFloat, 1, "T T T", "T", 0, "x*y+z, rounded once."},
	OpFneg:                       {"fneg", FormatUnary, setFloat, 0, "T", "T", 0, "Flip the sign bit."},
	OpFabs:                       {"fabs", FormatUnary, setFloat, 0, "T", "T", 0, "Clear the sign bit."},
	OpFcopysign:                  {"fcopysign", FormatBinary, setFloat, 0, "T T", "T", 0, "The first operand with the sign of the second."},
	OpFmin:                       {"fmin", FormatBinary, setFloat, 0, "T T", "T", 0, "Minimum; NaN if either operand is, and -0 < +0."},
	OpFmax:                       {"fmax", FormatBinary, setFloat, 0, "T T", "T", 0, "Maximum; NaN if either operand is, and -0 < +0."},
	OpCeil:                       {"ceil", FormatUnary, setFloat, 0, "T", "T", 0, "Round up."},
	OpFloor:                      {"floor", FormatUnary, setFloat, 0, "T", "T", 0, "Round down."},
	OpTrunc:                      {"trunc", FormatUnary, setFloat, 0, "T", "T", 0, "Round towards zero."},
	OpNearest:                    {"nearest", FormatUnary, setFloat, 0, "T", "T", 0, "Round to nearest, ties to even."},
	OpBitcast:                    {"bitcast", FormatBitCast, setMem, CtrlExplicit, "any", "T", 0, "The same bits as another type; a byte order says how lanes are numbered."},
	OpScalarToVector:             {"scalar_to_vector", FormatUnary, setVec, CtrlExplicit, "lane(T)", "T", 0, "Lane 0 is the operand, the others are zero."},
	OpBmask:                      {"bmask", FormatUnary, setScalarint, CtrlExplicit, "i", "T", 0, "All ones if the operand is not zero, else zero."},
	OpIreduce:                    {"ireduce", FormatUnary, setScalarint, CtrlExplicit, "wider(T)", "T", 0, "Truncate."},
	OpUextend:                    {"uextend", FormatUnary, setScalarint, CtrlExplicit, "narrower(T)", "T", 0, "Zero-extend."},
	OpSextend:                    {"sextend", FormatUnary, setScalarint, CtrlExplicit, "narrower(T)", "T", 0, "Sign-extend."},
	OpSnarrow:                    {"snarrow", FormatBinary, setVecint, 0, "T T", "split(T)", 0, "Narrow two vectors with signed saturation."},
	OpUnarrow:                    {"unarrow", FormatBinary, setVecint, 0, "T T", "split(T)", 0, "Narrow two vectors of signed lanes with unsigned saturation."},
	OpUunarrow:                   {"uunarrow", FormatBinary, setVecint, 0, "T T", "split(T)", 0, "Narrow two vectors of unsigned lanes with unsigned saturation."},
	OpSwidenLow:                  {"swiden_low", FormatUnary, setVecint, 0, "T", "merge(T)", 0, "Sign-extend the low half of the lanes."},
	OpSwidenHigh:                 {"swiden_high", FormatUnary, setVecint, 0, "T", "merge(T)", 0, "Sign-extend the high half of the lanes."},
	OpUwidenLow:                  {"uwiden_low", FormatUnary, setVecint, 0, "T", "merge(T)", 0, "Zero-extend the low half of the lanes."},
	OpUwidenHigh:                 {"uwiden_high", FormatUnary, setVecint, 0, "T", "merge(T)", 0, "Zero-extend the high half of the lanes."},
	OpIaddPairwise:               {"iadd_pairwise", FormatBinary, setVecint, 0, "T T", "T", 0, "Add neighbouring lanes."},
	OpX86Pmaddubsw:               {"x86_pmaddubsw", FormatBinary, setNone, CtrlNone, "i8x16 i8x16", "i16x8", 0, "Multiply signed by unsigned bytes and add neighbours with saturation."},
	OpFpromote:                   {"fpromote", FormatUnary, setScalarfloat, CtrlExplicit, "narrower(T)", "T", 0, "To a wider format, exactly."},
	OpFdemote:                    {"fdemote", FormatUnary, setScalarfloat, CtrlExplicit, "wider(T)", "T", 0, "To a narrower format, rounding."},
	OpFvdemote:                   {"fvdemote", FormatUnary, setNone, CtrlNone, "f64x2", "f32x4", 0, "Demote two lanes; the high lanes are zero."},
	OpFvpromoteLow:               {"fvpromote_low", FormatUnary, setNone, CtrlNone, "f32x4", "f64x2", 0, "Promote the low two lanes."},
	OpFcvtToUint:                 {"fcvt_to_uint", FormatUnary, setScalarint, CtrlExplicit, "scalarfloat", "T", FlagTrap, "To unsigned integer towards zero; traps if out of range."},
	OpFcvtToSint:                 {"fcvt_to_sint", FormatUnary, setScalarint, CtrlExplicit, "scalarfloat", "T", FlagTrap, "To signed integer towards zero; traps if out of range."},
	OpFcvtToUintSat:              {"fcvt_to_uint_sat", FormatUnary, setInt, CtrlExplicit, "float", "T", 0, "To unsigned integer towards zero, saturating; NaN is zero."},
	OpFcvtToSintSat:              {"fcvt_to_sint_sat", FormatUnary, setInt, CtrlExplicit, "float", "T", 0, "To signed integer towards zero, saturating; NaN is zero."},
	OpX86Cvtt2dq:                 {"x86_cvtt2dq", FormatUnary, setInt, CtrlExplicit, "float", "T", 0, "To signed integer towards zero; the minimum if out of range."},
	OpFcvtFromUint:               {"fcvt_from_uint", FormatUnary, setFloat, CtrlExplicit, "int", "T", 0, "From unsigned integer, rounding."},
	OpFcvtFromSint:               {"fcvt_from_sint", FormatUnary, setFloat, CtrlExplicit, "int", "T", 0, "From signed integer, rounding."},
	OpIsplit:                     {"isplit", FormatUnary, setWideint, 0, "T", "half(T) half(T)", 0, "Low and high half."},
	OpIconcat:                    {"iconcat", FormatBinary, setNarrowint, 0, "T T", "double(T)", 0, "Concatenate low and high half."},
	OpSplat:                      {"splat", FormatUnary, setVec, CtrlExplicit, "lane(T)", "T", 0, "All lanes are the operand."},
	OpSwizzle:                    {"swizzle", FormatBinary, setNone, CtrlNone, "i8x16 i8x16", "i8x16", 0, "Bytes chosen by index; zero if out of range."},
	OpX86Pshufb:                  {"x86_pshufb", FormatBinary, setNone, CtrlNone, "i8x16 i8x16", "i8x16", 0, "Bytes chosen by the low index bits; zero if the top bit is set."},
	OpShuffle:                    {"shuffle", FormatShuffle, setNone, CtrlNone, "i8x16 i8x16", "i8x16", 0, "Bytes of two vectors chosen by a constant."},
	OpInsertlane:                 {"insertlane", FormatTernaryImm8, setVec, 0, "T lane(T)", "T", 0, "Replace a lane."},
	OpExtractlane:                {"extractlane", FormatBinaryImm8, setVec, 0, "T", "lane(T)", 0, "A lane."},
	OpExtractVector:              {"extract_vector", FormatBinaryImm8, setDynvec, 0, "T", "fixed(T)", 0, "A fixed vector of a dynamic one."},
	OpStackSwitch:                {"stack_switch", FormatTernary, setAddr, 0, "T T T", "T", FlagLoad | FlagStore | FlagCall | FlagEffect, "Switch to another stack."},
}
