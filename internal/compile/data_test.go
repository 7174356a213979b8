package compile

import (
	"fmt"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// TestJoinData: segments are joined exactly where nobody can tell.
func TestJoinData(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 4) "cd")`, `0:"ab\x00\x00cd"`},
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 2) "cd")`, `0:"abcd"`},
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 300) "cd")`, `0:"ab" 300:"cd"`},
		{`(memory 1) (data (i32.const 8) "ab") (data (i32.const 65534) "cd")`, `8:"ab" 65534:"cd"`},
		{`(memory 1) (data (i32.const 8) "ab") (data (i32.const 12) "cd") (data (i32.const 65535) "ef")`, `8:"ab" 12:"cd" 65535:"ef"`}, // fails
		{`(memory 1) (data (i32.const 4) "ab") (data (i32.const 0) "cd")`, `4:"ab" 0:"cd"`},
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 1) "cd")`, `0:"ab" 1:"cd"`},
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 2) "cd") (data "ef")`, `0:"ab" 2:"cd" passive:"ef"`},
		{`(import "m" "m" (memory 1)) (data (i32.const 0) "ab") (data (i32.const 2) "cd")`, `0:"ab" 2:"cd"`},
		{`(import "m" "g" (global i32)) (memory 1) (data (i32.const 0) "ab") (data (global.get 0) "cd")`, `0:"ab" 0:"cd"`},
		{`(memory 1) (memory i64 1) (data (i32.const 0) "ab") (data (i32.const 2) "cd") (data (memory 1) (i64.const 0) "ef") (data (memory 1) (i64.const 3) "gh")`,
			`0:"abcd" 0:"ef\x00gh"`},
		{`(memory 1) (data (i32.const 0) "ab") (data (i32.const 2) "cd") (func (data.drop 1))`, `0:"ab" 2:"cd"`},
	} {
		b, err := wat.Compile([]byte("(module "+c.text+")"), nil)
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		m, err := wasm.Decode(b, &wasm.Config{Features: wasm.FeaturesAll})
		if err != nil {
			t.Fatalf("%s: %v", c.text, err)
		}
		m.HasDataCount = strings.Contains(c.text, "data.drop") // the text format's encoder always counts
		var have []string
		for _, d := range joinData(m) {
			at, _ := d.Offset.Integer()
			if d.Mode == wasm.SegmentPassive {
				have = append(have, fmt.Sprintf("passive:%q", d.Init))
			} else {
				have = append(have, fmt.Sprintf("%d:%q", at, d.Init))
			}
		}
		if have := strings.Join(have, " "); have != c.want {
			t.Errorf("%s:\nhave %s\nwant %s", c.text, have, c.want)
		}
	}
}
