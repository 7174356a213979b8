package ir

import (
	"slices"
	"strconv"
)

// Function is a function in CLIF. Make one with [NewFunction]; use it again
// with [Function.Clear].
type Function struct {
	Name Name
	Sig  Signature

	// Preamble: what the function refers to. Index with the entity types.
	Sigs            []Signature
	ExtFuncs        []ExtFunc
	StackSlots      []StackSlotData
	DynamicSlots    []DynamicSlotData
	DynamicTypes    []DynamicTypeData
	Globals         []GlobalData
	Regions         []RegionData
	ExceptionTables []ExceptionTableData
	StackLimit      GlobalValue // lowest stack pointer allowed, or NoGlobal

	// Loc is the source location that AddInst gives to new instructions.
	Loc SourceLoc

	constants []byte // pool of constant bytes
	consts    []constRange
	constMap  map[string]Constant

	insts   []InstData
	results []valueList
	links   []instLinks
	locs    []SourceLoc
	values  []valueData
	pool    []Value
	calls   []BlockCall
	blocks  []blockData

	firstBlock, lastBlock Block

	tags []tagRange // debug tags by instruction, sorted
	dbg  []DebugTag
	maps []stackMap
	ents []StackMapEntry

	sites      []InlineSite
	inlineLocs []inlineLoc
}

type constRange struct{ off, n uint32 }

// SourceLoc is a place in the source, in a unit that the user of the code
// generator chooses (WebAssembly: byte offset). 0 is no place. Numbers from 1<<31
// on are for code that has been inlined; see [Function.Locate].
type SourceLoc uint32

// NewFunction makes an empty function.
func NewFunction(name Name, sig Signature) *Function {
	f := &Function{}
	f.Clear()
	f.Name, f.Sig = name, sig
	return f
}

// Clear makes f empty, keeping the memory it has for the next function.
func (f *Function) Clear() {
	clear(f.constMap)
	*f = Function{
		Sigs: f.Sigs[:0], ExtFuncs: f.ExtFuncs[:0], StackSlots: f.StackSlots[:0], DynamicSlots: f.DynamicSlots[:0], DynamicTypes: f.DynamicTypes[:0],
		Globals: f.Globals[:0], Regions: f.Regions[:0], ExceptionTables: f.ExceptionTables[:0], StackLimit: NoGlobal,
		constants: f.constants[:0], consts: f.consts[:0], constMap: f.constMap,
		insts: f.insts[:0], results: f.results[:0], links: f.links[:0], locs: f.locs[:0], values: f.values[:0], pool: f.pool[:0], calls: f.calls[:0], blocks: f.blocks[:0],
		firstBlock: NoBlock, lastBlock: NoBlock,
		tags: f.tags[:0], dbg: f.dbg[:0], maps: f.maps[:0], ents: f.ents[:0],
		sites: f.sites[:0], inlineLocs: f.inlineLocs[:0],
	}
}

// CopyFrom makes f a copy of g, in the memory that f has, such as before a
// compilation, whose passes change the function. Signatures are shared.
func (f *Function) CopyFrom(g *Function) {
	constMap, tables := f.constMap, f.ExceptionTables
	clear(constMap)
	if constMap == nil && len(g.constMap) > 0 {
		constMap = make(map[string]Constant, len(g.constMap))
	}
	for k, c := range g.constMap {
		constMap[k] = c
	}
	tables = append(tables[:0], g.ExceptionTables...)
	for i := range tables {
		tables[i].Handlers = slices.Clone(tables[i].Handlers) // they name values
	}
	*f = Function{
		Name: g.Name, Sig: g.Sig, StackLimit: g.StackLimit, Loc: g.Loc,
		Sigs: append(f.Sigs[:0], g.Sigs...), ExtFuncs: append(f.ExtFuncs[:0], g.ExtFuncs...),
		StackSlots: append(f.StackSlots[:0], g.StackSlots...), DynamicSlots: append(f.DynamicSlots[:0], g.DynamicSlots...),
		DynamicTypes: append(f.DynamicTypes[:0], g.DynamicTypes...), Globals: append(f.Globals[:0], g.Globals...),
		Regions: append(f.Regions[:0], g.Regions...), ExceptionTables: tables,
		constants: append(f.constants[:0], g.constants...), consts: append(f.consts[:0], g.consts...), constMap: constMap,
		insts: append(f.insts[:0], g.insts...), results: append(f.results[:0], g.results...), links: append(f.links[:0], g.links...),
		locs: append(f.locs[:0], g.locs...), values: append(f.values[:0], g.values...), pool: append(f.pool[:0], g.pool...),
		calls: append(f.calls[:0], g.calls...), blocks: append(f.blocks[:0], g.blocks...),
		firstBlock: g.firstBlock, lastBlock: g.lastBlock,
		tags: append(f.tags[:0], g.tags...), dbg: append(f.dbg[:0], g.dbg...), maps: append(f.maps[:0], g.maps...), ents: append(f.ents[:0], g.ents...),
		sites: append(f.sites[:0], g.sites...), inlineLocs: append(f.inlineLocs[:0], g.inlineLocs...),
	}
}

// SourceLoc is the source location of inst.
func (f *Function) SourceLoc(inst Inst) SourceLoc { return f.locs[inst] }

// SetSourceLoc sets the source location of inst.
func (f *Function) SetSourceLoc(inst Inst, l SourceLoc) { f.locs[inst] = l }

// AddSig adds a signature to the preamble.
func (f *Function) AddSig(s Signature) SigRef {
	f.Sigs = append(f.Sigs, s)
	return SigRef(len(f.Sigs) - 1)
}

// AddExtFunc adds a callable function to the preamble.
func (f *Function) AddExtFunc(e ExtFunc) FuncRef {
	f.ExtFuncs = append(f.ExtFuncs, e)
	return FuncRef(len(f.ExtFuncs) - 1)
}

// AddStackSlot adds a stack slot.
func (f *Function) AddStackSlot(s StackSlotData) StackSlot {
	f.StackSlots = append(f.StackSlots, s)
	return StackSlot(len(f.StackSlots) - 1)
}

// AddGlobal adds a global value.
func (f *Function) AddGlobal(g GlobalData) GlobalValue {
	f.Globals = append(f.Globals, g)
	return GlobalValue(len(f.Globals) - 1)
}

// AddRegion adds an alias region; ok is false if there are too many.
func (f *Function) AddRegion(r RegionData) (reg AliasRegion, ok bool) {
	if len(f.Regions) >= MaxAliasRegions {
		return 0, false
	}
	f.Regions = append(f.Regions, r)
	return AliasRegion(len(f.Regions) - 1), true
}

// AddExceptionTable adds an exception table.
func (f *Function) AddExceptionTable(t ExceptionTableData) ExceptionTable {
	f.ExceptionTables = append(f.ExceptionTables, t)
	return ExceptionTable(len(f.ExceptionTables) - 1)
}

// AddConstant puts bytes (little endian) into the constant pool, once each.
func (f *Function) AddConstant(b []byte) Constant {
	if c, ok := f.constMap[string(b)]; ok {
		return c
	}
	c := Constant(len(f.consts))
	f.AddConstantAs(c, b)
	return c
}

// AddConstantAs puts bytes into the constant pool under the number c, which
// text may name freely.
func (f *Function) AddConstantAs(c Constant, b []byte) {
	for int(c) >= len(f.consts) {
		f.consts = append(f.consts, constRange{})
	}
	f.consts[c] = constRange{uint32(len(f.constants)), uint32(len(b))}
	f.constants = append(f.constants, b...)
	if f.constMap == nil {
		f.constMap = make(map[string]Constant)
	}
	if _, ok := f.constMap[string(b)]; !ok {
		f.constMap[string(b)] = c
	}
}

// Constant is the bytes of c, not to be changed; nil if there is no such constant.
func (f *Function) Constant(c Constant) []byte {
	if int(c) >= len(f.consts) {
		return nil
	}
	r := f.consts[c]
	return f.constants[r.off : r.off+r.n : r.off+r.n]
}

// NumConstants is the size of the constant pool.
func (f *Function) NumConstants() int { return len(f.consts) }

// NameKind says what a [Name] is.
type NameKind uint8

// Kinds of names.
const (
	NameUser    NameKind = iota // u0:1
	NameTest                    // %name
	NameLibCall                 // %Memcpy …: a routine that compiled code may need
	NameKnown                   // %ElfGlobalOffsetTable …
)

// Name names a function or a data object. It is comparable.
type Name struct {
	Kind             NameKind
	Namespace, Index uint32 // NameUser
	Text             string // the others, without %
}

// UserName is the name u<namespace>:<index>.
func UserName(namespace, index uint32) Name { return Name{Namespace: namespace, Index: index} }

// TestName is the name %text.
func TestName(text string) Name { return Name{Kind: NameTest, Text: text} }

// LibCallName is the name of a support routine, such as "CeilF32".
func LibCallName(text string) Name { return Name{Kind: NameLibCall, Text: text} }

func (n Name) String() string {
	if n.Kind == NameUser {
		return "u" + strconv.FormatUint(uint64(n.Namespace), 10) + ":" + strconv.FormatUint(uint64(n.Index), 10)
	}
	return "%" + n.Text
}

// CallConv is a calling convention.
type CallConv uint8

// Calling conventions.
const (
	Fast            CallConv = iota // no promise to the outside
	Tail                            // no callee-saved registers, callee pops its stack arguments; calls in tail position cost no stack
	SystemV                         // System V
	WindowsFastcall                 // Windows x64
	AppleAarch64                    // Apple's variant for aarch64
	Probestack                      // of stack probes
	Winch                           // as a baseline compiler's
	PreserveAll                     // the callee saves every register
	Go                              // extension: entered from Go, runs on a native stack
	numCallConvs
)

var callConvNames = [numCallConvs]string{"fast", "tail", "system_v", "windows_fastcall", "apple_aarch64", "probestack", "winch", "preserve_all", "go"}

func (c CallConv) String() string { return callConvNames[c] }

// Valid reports whether c is one of the conventions above.
func (c CallConv) Valid() bool { return c < numCallConvs }

// ParseCallConv reads a convention as String writes it.
func ParseCallConv(s string) (CallConv, bool) {
	for i, n := range callConvNames {
		if n == s {
			return CallConv(i), true
		}
	}
	return 0, false
}

// Extension says what the bits above a narrow integer parameter are.
type Extension uint8

// Extensions.
const (
	NoExtension Extension = iota
	ZeroExtend            // uext
	SignExtend            // sext
)

// Purpose is the special role of a parameter.
type Purpose uint8

// Purposes.
const (
	Normal        Purpose = iota
	StructArg             // sarg(size): passed by copying to the stack
	StructReturn          // sret: where to write the result
	VMContext             // vmctx
	CallerContext         // caller_vmctx, extension: the vmctx of the caller, in a register of its own that most callees ignore
	Pass                  // pass, extension, the first parameter in convention go: the execution context is found, and claimed, by it
)

// Param is a parameter or a result in a signature.
type Param struct {
	Type    Type
	Purpose Purpose
	Ext     Extension
	Size    uint32 // StructArg: size in bytes
}

// Signature is the type of a function. Its slices are not to be changed once
// it is in use; several functions may share them.
type Signature struct {
	Params, Returns []Param
	CallConv        CallConv
}

// ExtFunc is a function that may be called.
type ExtFunc struct {
	Name      Name
	Sig       SigRef
	Colocated bool // in the same image: reachable by a direct, position-independent call
	Patchable bool
}

// StackSlotData describes a stack slot.
type StackSlotData struct {
	Size      uint32
	AlignLog2 uint8
	HasKey    bool
	Key       uint64 // a user's mark, meaningful with HasKey
}

// DynamicSlotData describes a dynamic stack slot.
type DynamicSlotData struct{ Type DynamicType }

// DynamicTypeData describes a dynamic vector type: base times a scale.
type DynamicTypeData struct {
	Base  Type
	Scale GlobalValue
}

// GlobalKind says what a global value is.
type GlobalKind uint8

// Kinds of global values.
const (
	GlobalVMContext GlobalKind = iota
	GlobalLoad
	GlobalIAddImm
	GlobalSymbol
	GlobalDynScale // dyn_scale_target_const
)

// GlobalData describes a global value.
type GlobalData struct {
	Kind      GlobalKind
	Type      Type        // GlobalLoad, GlobalIAddImm; of GlobalDynScale the vector type
	Base      GlobalValue // GlobalLoad, GlobalIAddImm
	Offset    int64
	Flags     MemFlags // GlobalLoad
	Name      Name     // GlobalSymbol
	Colocated bool
	TLS       bool
}

// RegionData describes an alias region.
type RegionData struct {
	ID          uint32 // the user's number for it
	Description string
}

// HandlerKind says which exceptions a handler takes.
type HandlerKind uint8

// Kinds of handlers.
const (
	HandlerTag     HandlerKind = iota // those with a tag
	HandlerDefault                    // all
	HandlerContext                    // none: from here on tags are looked up in this context value
)

// Handler is an item of an exception table. Handlers of kind HandlerTag and
// HandlerDefault own the block calls after the first of their try_call, in order.
type Handler struct {
	Kind    HandlerKind
	Tag     uint32
	Context Value // HandlerContext
}

// ExceptionTableData belongs to a try_call.
type ExceptionTableData struct {
	Sig      SigRef
	Handlers []Handler
}

// DebugTagKind is the kind of a [DebugTag].
type DebugTagKind uint8

// Kinds of debug tags.
const (
	DebugStackSlot DebugTagKind = iota
	DebugUser
)

// DebugTag marks a call or sequence_point for a debugger's tables.
type DebugTag struct {
	Kind  DebugTagKind
	Value uint32
}

type tagRange struct {
	inst   Inst
	off, n uint32
}

// SetDebugTags attaches tags to inst; instructions must be tagged in ascending order.
func (f *Function) SetDebugTags(inst Inst, tags []DebugTag) {
	f.tags = append(f.tags, tagRange{inst, uint32(len(f.dbg)), uint32(len(tags))})
	f.dbg = append(f.dbg, tags...)
}

// DebugTags are the tags of inst.
func (f *Function) DebugTags(inst Inst) []DebugTag {
	lo, hi := 0, len(f.tags)
	for lo < hi {
		m := (lo + hi) / 2
		if f.tags[m].inst < inst {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(f.tags) && f.tags[lo].inst == inst {
		t := f.tags[lo]
		return f.dbg[t.off : t.off+t.n]
	}
	return nil
}

// StackMapEntry says that a stack slot holds a reference the collector must
// see while a call is under way.
type StackMapEntry struct {
	Type   Type
	Slot   StackSlot
	Offset uint32
}

type stackMap struct {
	inst   Inst
	off, n uint32
}

// AddStackMapEntry appends an entry to the stack map of the call inst. The
// entries of one call must be added one after the other, calls in ascending order.
func (f *Function) AddStackMapEntry(inst Inst, e StackMapEntry) {
	if n := len(f.maps); n == 0 || f.maps[n-1].inst != inst {
		f.maps = append(f.maps, stackMap{inst, uint32(len(f.ents)), 0})
	}
	f.maps[len(f.maps)-1].n++
	f.ents = append(f.ents, e)
}

// StackMap is the stack map of the call inst.
func (f *Function) StackMap(inst Inst) []StackMapEntry {
	lo, hi := 0, len(f.maps)
	for lo < hi {
		m := (lo + hi) / 2
		if f.maps[m].inst < inst {
			lo = m + 1
		} else {
			hi = m
		}
	}
	if lo < len(f.maps) && f.maps[lo].inst == inst {
		m := f.maps[lo]
		return f.ents[m.off : m.off+m.n]
	}
	return nil
}
