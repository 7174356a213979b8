package codegen_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
)

// TestReturns looks at how functions end on x86-64.
func TestReturns(t *testing.T) {
	target := benchmarkTarget(t, "speed", "preserve_frame_pointers=true")
	for _, test := range []struct{ name, source, end string }{
		// The stack pointer does not wait for the frame pointer.
		{"frame", `function %f(i64) -> i64 tail {
    fn0 = colocated %g(i64) -> i64 tail
block0(v0: i64):
    v1 = call fn0(v0)
    v2 = iadd v1, v0
    return v2
}`, "48 83 c4 10  5d  c3"}, // add rsp, 16; pop rbp; ret
		{"aligned frame", `function %f(i64) -> i64 tail {
    ss0 = explicit_slot 32, align = 32
    fn0 = colocated %g(i64) tail
block0(v0: i64):
    v1 = stack_addr.i64 ss0
    call fn0(v1)
    return v0
}`, "48 8b e5  5d  c3"}, // mov rsp, rbp; pop rbp; ret
		// A function that leaves for another stack, and is resumed, returns by a jump.
		{"leaves", `function %f(i64) tail {
    sig0 = () tail
block0(v0: i64):
    v1 = get_call_return_address.i64
    store notrap v1, v0
    v2 = load.i64 notrap v0+8
    call_indirect sig0, v2()
    return
}`, "5d  41 5b  41 ff e3"}, // pop rbp; pop r11; jmp r11
		// If it may also come here without having left, it does not.
		{"may leave", `function %f(i64, i32) tail {
    sig0 = () tail
block0(v0: i64, v1: i32):
    brif v1, block1, block2
block1:
    v2 = get_call_return_address.i64
    store notrap v2, v0
    v3 = load.i64 notrap v0+8
    call_indirect sig0, v3()
    jump block2
block2:
    return
}`, "5d  c3"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, err := clif.ParseFunction(test.source)
			if err != nil {
				t.Fatal(err)
			}
			var ctx codegen.Context
			code, err := ctx.Compile(f, target, codegen.Options{})
			if err != nil {
				t.Fatal(err)
			}
			end, err := hex.DecodeString(strings.ReplaceAll(test.end, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			if text := code.Text[:code.CodeSize]; !bytes.HasSuffix(text, end) {
				t.Errorf("ends with % x, not % x", text[max(0, len(text)-16):], end)
			}
		})
	}
}
