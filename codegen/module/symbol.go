package module

import (
	"strconv"

	"github.com/davit-wasm/davit/codegen/ir"
)

// libcallSymbols are the names in C libraries of the routines that compiled code
// may call.
var libcallSymbols = map[string]string{
	"CeilF32": "ceilf", "CeilF64": "ceil", "FloorF32": "floorf", "FloorF64": "floor",
	"TruncF32": "truncf", "TruncF64": "trunc", "NearestF32": "nearbyintf", "NearestF64": "nearbyint",
	"FmaF32": "fmaf", "FmaF64": "fma",
	"Memcpy": "memcpy", "Memset": "memset", "Memmove": "memmove", "Memcmp": "memcmp",
	"UdivI128": "__udivti3", "SdivI128": "__divti3", "UremI128": "__umodti3", "SremI128": "__modti3",
	"ElfTlsGetAddr": "__tls_get_addr", "ElfTlsGetOffset": "__tls_get_offset",
	"ElfGlobalOffsetTable": "_GLOBAL_OFFSET_TABLE_", "CoffTlsIndex": "_tls_index",
}

// SymbolName is what a name is called outside of davit: in object files, and by
// debuggers and profilers. A test name is itself, the routines that compiled
// code calls have the names that C libraries give them, and a user name u1:2 is
// "u1_2".
func SymbolName(n ir.Name) string {
	switch n.Kind {
	case ir.NameUser:
		return "u" + strconv.FormatUint(uint64(n.Namespace), 10) + "_" + strconv.FormatUint(uint64(n.Index), 10)
	case ir.NameLibCall, ir.NameKnown:
		if s, ok := libcallSymbols[n.Text]; ok {
			return s
		}
	}
	return n.Text
}
