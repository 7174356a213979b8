package filetest

import (
	"fmt"
	"strings"

	"golang.org/x/arch/x86/x86asm"
)

// Disassemble is the text of x86-64 machine code, an instruction on a line,
// with offsets.
func Disassemble(code []byte) string {
	var out strings.Builder
	for at := 0; at < len(code); {
		in, err := x86asm.Decode(code[at:], 64)
		n, text := in.Len, ""
		if err != nil {
			n, text = 1, fmt.Sprintf(".byte 0x%02x", code[at])
		} else {
			text = strings.TrimSpace(x86asm.GNUSyntax(in, uint64(at), nil))
		}
		fmt.Fprintf(&out, "%5x:  %s\n", at, text)
		at += n
	}
	return out.String()
}
