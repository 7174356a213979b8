package wasm_test

import (
	"github.com/davit-wasm/davit/wasm"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// diff compares modules, without the places where things lie
// (empty sections, after which a custom section may be, are not encoded).
func diff(a, b *wasm.Module) string {
	return cmp.Diff(a, b, cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(wasm.Module{}, "CodeOffset", "CodeSize"),
		cmpopts.IgnoreFields(wasm.ConstExpr{}, "Offset"),
		cmpopts.IgnoreFields(wasm.Data{}, "InitOffset"),
		cmpopts.IgnoreFields(wasm.Code{}, "Offset", "EntryOffset"),
		cmpopts.IgnoreFields(wasm.Custom{}, "Offset", "After"))
}
