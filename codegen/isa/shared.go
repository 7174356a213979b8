package isa

import (
	"fmt"
	"strconv"
	"strings"
)

// Shared are the settings that all targets have. Their names in text are those
// of the table below.
type Shared struct {
	OptLevel           OptLevel
	RegallocAlgorithm  RegallocAlgorithm
	RegallocChecker    bool // prove every register allocation right
	Verifier           bool // verify the IR first
	AliasAnalysis      bool
	Inlining           bool // calls may be replaced by bodies, if the compiler's user has them. Extension
	PIC                bool // position-independent code
	ColocatedLibcalls  bool // library functions are within reach of a direct call
	NaNCanonical       bool // results that are NaN have the canonical bits
	PinnedReg          bool // one register is set aside for get_pinned_reg
	MultiRetSret       bool // results beyond the registers go by way of a hidden pointer; they do in any case
	LLVMABIExtensions  bool
	UnwindInfo         bool
	FramePointers      bool // every function keeps a frame pointer
	CFGInfo            bool // offsets of blocks and edges in the result
	Probestack         bool
	ProbestackAdjusts  bool
	ProbestackSize     uint8 // log2
	ProbestackStrategy ProbestackStrategy
	JumpTables         bool // br_table may become a jump table, else comparisons
	HeapSpectre        bool // checks of WebAssembly's memories are guards that speculation cannot pass
	TableSpectre       bool // likewise of tables, and the index of a br_table
	Atomics            bool
	Float              bool
	BlockPadding       uint8 // log2 of the bytes of padding after each block, plus 1; 0 for none. For tests of long branches
	FunctionAlign      uint8 // log2 of the least alignment of a function
	TLSModel           TLSModel
	StackSwitchModel   StackSwitchModel
	LibcallCallConv    LibcallCallConv
	// NativeStackCheck makes prologues compare the stack pointer with the limit in
	// the execution context of the native stack they run on (internal/layout), and
	// trap with stk_ovf. Conventions go and those whose callees keep all registers
	// are without it. Extension.
	NativeStackCheck bool

	regallocLogs, cacheChecks, safepoints, pcc, compactUnwind bool // accepted, without effect here
}

// OptLevel says what to optimize for.
type OptLevel uint8

// Optimization levels.
const (
	OptNone OptLevel = iota
	OptSpeed
	OptSpeedAndSize
)

// RegallocAlgorithm chooses the register allocator.
type RegallocAlgorithm uint8

// Register allocators.
const (
	Backtracking RegallocAlgorithm = iota
	SinglePass
)

// TLSModel says how thread-local storage is reached.
type TLSModel uint8

// Models of thread-local storage.
const (
	TLSNone TLSModel = iota
	TLSElfGD
	TLSMachO
	TLSCOFF
)

// ProbestackStrategy says how stack probes are made.
type ProbestackStrategy uint8

// Strategies for stack probes.
const (
	ProbestackOutline ProbestackStrategy = iota
	ProbestackInline
)

// StackSwitchModel says what stack_switch saves.
type StackSwitchModel uint8

// Models of stack switching.
const (
	StackSwitchNone StackSwitchModel = iota
	StackSwitchBasic
	StackSwitchWindowsTIB
)

// LibcallCallConv is the convention of library functions.
type LibcallCallConv uint8

// Conventions of library functions.
const (
	LibcallISADefault LibcallCallConv = iota
	LibcallFast
	LibcallSystemV
	LibcallWindowsFastcall
	LibcallAppleAarch64
	LibcallProbestack
)

// DefaultShared are the settings that hold if nothing is set.
func DefaultShared() Shared {
	return Shared{
		Verifier: true, AliasAnalysis: true, Inlining: true, UnwindInfo: true, ProbestackSize: 12, JumpTables: true,
		HeapSpectre: true, TableSpectre: true, Atomics: true, Float: true,
	}
}

// sharedFlag is a shared setting: a boolean, or a number, which may have names.
type sharedFlag struct {
	name   string
	flag   func(*Shared) *bool
	number func(*Shared) *uint8
	names  []string // of the numbers from 0
	max    uint8    // without names
}

var sharedFlags = []sharedFlag{
	{name: "opt_level", number: func(s *Shared) *uint8 { return (*uint8)(&s.OptLevel) }, names: []string{"none", "speed", "speed_and_size"}},
	{name: "regalloc_algorithm", number: func(s *Shared) *uint8 { return (*uint8)(&s.RegallocAlgorithm) }, names: []string{"backtracking", "single_pass"}},
	{name: "regalloc_checker", flag: func(s *Shared) *bool { return &s.RegallocChecker }},
	{name: "regalloc_verbose_logs", flag: func(s *Shared) *bool { return &s.regallocLogs }},
	{name: "enable_verifier", flag: func(s *Shared) *bool { return &s.Verifier }},
	{name: "enable_alias_analysis", flag: func(s *Shared) *bool { return &s.AliasAnalysis }},
	{name: "enable_inlining", flag: func(s *Shared) *bool { return &s.Inlining }},
	{name: "enable_pcc", flag: func(s *Shared) *bool { return &s.pcc }},
	{name: "is_pic", flag: func(s *Shared) *bool { return &s.PIC }},
	{name: "use_colocated_libcalls", flag: func(s *Shared) *bool { return &s.ColocatedLibcalls }},
	{name: "enable_nan_canonicalization", flag: func(s *Shared) *bool { return &s.NaNCanonical }},
	{name: "enable_pinned_reg", flag: func(s *Shared) *bool { return &s.PinnedReg }},
	{name: "enable_multi_ret_implicit_sret", flag: func(s *Shared) *bool { return &s.MultiRetSret }},
	{name: "enable_llvm_abi_extensions", flag: func(s *Shared) *bool { return &s.LLVMABIExtensions }},
	{name: "unwind_info", flag: func(s *Shared) *bool { return &s.UnwindInfo }},
	{name: "preserve_frame_pointers", flag: func(s *Shared) *bool { return &s.FramePointers }},
	{name: "machine_code_cfg_info", flag: func(s *Shared) *bool { return &s.CFGInfo }},
	{name: "enable_probestack", flag: func(s *Shared) *bool { return &s.Probestack }},
	{name: "probestack_func_adjusts_sp", flag: func(s *Shared) *bool { return &s.ProbestackAdjusts }},
	{name: "probestack_size_log2", number: func(s *Shared) *uint8 { return &s.ProbestackSize }, max: 63},
	{name: "probestack_strategy", number: func(s *Shared) *uint8 { return (*uint8)(&s.ProbestackStrategy) }, names: []string{"outline", "inline"}},
	{name: "enable_jump_tables", flag: func(s *Shared) *bool { return &s.JumpTables }},
	{name: "enable_heap_access_spectre_mitigation", flag: func(s *Shared) *bool { return &s.HeapSpectre }},
	{name: "enable_table_access_spectre_mitigation", flag: func(s *Shared) *bool { return &s.TableSpectre }},
	{name: "enable_atomics", flag: func(s *Shared) *bool { return &s.Atomics }},
	{name: "enable_float", flag: func(s *Shared) *bool { return &s.Float }},
	{name: "enable_safepoints", flag: func(s *Shared) *bool { return &s.safepoints }},
	{name: "enable_compact_unwind_abi", flag: func(s *Shared) *bool { return &s.compactUnwind }},
	{name: "enable_incremental_compilation_cache_checks", flag: func(s *Shared) *bool { return &s.cacheChecks }},
	{name: "bb_padding_log2_minus_one", number: func(s *Shared) *uint8 { return &s.BlockPadding }, max: 28},
	{name: "log2_min_function_alignment", number: func(s *Shared) *uint8 { return &s.FunctionAlign }, max: 12},
	{name: "tls_model", number: func(s *Shared) *uint8 { return (*uint8)(&s.TLSModel) }, names: []string{"none", "elf_gd", "macho", "coff"}},
	{name: "stack_switch_model", number: func(s *Shared) *uint8 { return (*uint8)(&s.StackSwitchModel) }, names: []string{"none", "basic", "update_windows_tib"}},
	{name: "libcall_call_conv", number: func(s *Shared) *uint8 { return (*uint8)(&s.LibcallCallConv) }, names: []string{"isa_default", "fast", "system_v", "windows_fastcall", "apple_aarch64", "probestack"}},
	{name: "enable_native_stack_check", flag: func(s *Shared) *bool { return &s.NativeStackCheck }},
}

// Set changes one setting of the target: "name=value", or "name" alone for
// booleans that become true and for presets. Names are looked for among the
// shared settings first, then among the target's.
func (b *Builder) Set(setting string) error {
	name, value, given := strings.Cut(setting, "=")
	for i := range sharedFlags {
		f := &sharedFlags[i]
		if f.name != name {
			continue
		}
		if f.flag != nil {
			return setBool(f.flag(&b.isa.Shared), name, value, given)
		}
		for n, s := range f.names {
			if s == value {
				*f.number(&b.isa.Shared) = uint8(n)
				return nil
			}
		}
		if f.names != nil {
			return fmt.Errorf("setting %s: %q is none of %s", name, value, strings.Join(f.names, ", "))
		}
		n, err := strconv.ParseUint(value, 10, 8)
		if err != nil || n > uint64(f.max) {
			return fmt.Errorf("setting %s: %q is not a number from 0 to %d", name, value, f.max)
		}
		*f.number(&b.isa.Shared) = uint8(n)
		return nil
	}
	return b.setX64(name, value, given)
}

func setBool(p *bool, name, value string, given bool) error {
	switch {
	case !given, value == "true", value == "on", value == "yes", value == "1":
		*p = true
	case value == "false", value == "off", value == "no", value == "0":
		*p = false
	default:
		return fmt.Errorf("setting %s: %q is neither true nor false", name, value)
	}
	return nil
}

// Setting describes a setting of a target.
type Setting struct {
	Name string
	// Values are those it can have, or a range such as "0…12".
	Values  string
	Default string
}

// SharedSettings lists the settings that all targets have.
func SharedSettings() []Setting {
	s := DefaultShared()
	list := make([]Setting, len(sharedFlags))
	for i := range sharedFlags {
		f := &sharedFlags[i]
		list[i].Name = f.name
		switch {
		case f.flag != nil:
			list[i].Values, list[i].Default = "true, false", strconv.FormatBool(*f.flag(&s))
		case f.names != nil:
			list[i].Values, list[i].Default = strings.Join(f.names, ", "), f.names[*f.number(&s)]
		default:
			list[i].Values, list[i].Default = "0…"+strconv.Itoa(int(f.max)), strconv.Itoa(int(*f.number(&s)))
		}
	}
	return list
}
