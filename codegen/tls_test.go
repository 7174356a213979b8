package codegen_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
)

// TestTLS compares the sequences that linkers and systems know by their form.
func TestTLS(t *testing.T) {
	for _, c := range []struct{ model, code, relocs string }{
		{
			"elf_gd",
			"66488d3d00000000" + // data16 lea rdi, [rip]
				"666648e800000000", // data16 data16 rex.W call
			"4 tlsgd32 %v -4; 12 call32 %ElfTlsGetAddr -4",
		},
		{
			"macho",
			"488b3d00000000" + // mov rdi, [rip]
				"ff17", // call [rdi]
			"3 tlv32 %v -4",
		},
		{
			"coff",
			"8b0500000000" + // mov eax, [rip]
				"65488b342558000000" + // mov rsi, gs:[0x58]
				"488b04c6" + // mov rax, [rsi+rax*8]
				"480500000000", // add rax, imm32
			"2 pcrel32 %CoffTlsIndex -4; 21 secrel32 %v 0",
		},
	} {
		f, err := clif.ParseFunction("function %f() -> i64 system_v {\n gv0 = symbol tls %v\nblock0:\n v0 = tls_value.i64 gv0\n return v0\n}")
		if err != nil {
			t.Fatal(err)
		}
		var ctx codegen.Context
		code, err := ctx.Compile(f, target(t, "tls_model="+c.model), codegen.Options{CheckRegalloc: true, KeepPanics: true})
		if err != nil {
			t.Fatal(err)
		}
		const prologue, epilogue = 4, 2 // push rbp; mov rbp, rsp … pop rbp; ret
		if got := hex.EncodeToString(code.Text[prologue : code.CodeSize-epilogue]); got != c.code {
			t.Errorf("%s: code %s, want %s", c.model, got, c.code)
		}
		var relocs []string
		for _, r := range code.Relocs {
			relocs = append(relocs, fmt.Sprintf("%d %v %v %d", r.Offset-prologue, r.Kind, r.Name, r.Addend))
		}
		if got := strings.Join(relocs, "; "); got != c.relocs {
			t.Errorf("%s: relocations %s, want %s", c.model, got, c.relocs)
		}
	}
	f, err := clif.ParseFunction("function %f() -> i64 system_v {\n gv0 = symbol tls %v\nblock0:\n v0 = tls_value.i64 gv0\n return v0\n}")
	if err != nil {
		t.Fatal(err)
	}
	var ctx codegen.Context
	if _, err := ctx.Compile(f, target(t), codegen.Options{}); err == nil || !strings.Contains(err.Error(), "tls_model") {
		t.Errorf("without a model: error %v", err)
	}
}
