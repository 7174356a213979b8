package codegen_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestShortLoops: wherever they come to lie, innermost loops of up to 64 bytes are in one line
// of memory, and others are left where they are; and they do what they should.
func TestShortLoops(t *testing.T) {
	for filler := range 40 {
		// Collatz's sequence: a branch out of the way in the loop, and one out of it; in a loop of
		// one block before, and in another one with many instructions around.
		var w strings.Builder
		w.WriteString("function %f(i64) -> i64 tail {\nblock0(v0: i64):\n v9 = iconst.i64 1\n v1000 = iconst.i64 7\n")
		for i := range filler {
			fmt.Fprintf(&w, " v%d = rotl v%d, v9\n", 1001+i, 1000+i)
		}
		fmt.Fprintf(&w, ` v10 = popcnt.i64 v%d
 v11 = iconst.i64 3
 v12 = iconst.i64 0
 jump block1(v0, v12)
block1(v20: i64, v21: i64):
 v22 = iadd v21, v11
 v23 = isub v20, v9
 brif v23, block1(v23, v22), block2
block2:
 jump block3(v0, v22)
block3(v30: i64, v31: i64):
 v32 = icmp eq v30, v9
 brif v32, block6, block4
block4:
 v33 = band v30, v9
 brif v33, block5, block7
block5:
 v34 = imul v30, v11
 v35 = iadd v34, v9
 v36 = iadd v31, v9
 jump block3(v35, v36)
block7:
 v37 = ushr v30, v9
 v38 = iadd v31, v9
 jump block3(v37, v38)
block6:
 v40 = imul v31, v10
`, 1000+filler)
		last := 40
		w.WriteString(" jump block8(v0, v40)\nblock8(v50: i64, v51: i64):\n")
		for i := range 30 {
			fmt.Fprintf(&w, " v%d = bxor v%d, v50\n v%d = imul v%d, v11\n", 60+2*i, max(51, 59+2*i)*min(i, 1)+51*(1-min(i, 1)), 61+2*i, 60+2*i)
			last = 61 + 2*i
		}
		fmt.Fprintf(&w, " v52 = isub v50, v9\n brif v52, block8(v52, v%d), block9\nblock9:\n return v%d\n}", last, last)
		var results [3]uint64
		for k, settings := range [][]string{{"opt_level=speed"}, {"opt_level=speed_and_size"}, {"opt_level=none"}} {
			m := build(t, w.String(), append(settings, "machine_code_cfg_info")...)
			results[k] = m.call1("f", 27)
			code := m.codes["f"]
			short := 0
			for _, e := range code.Edges {
				if e.To > e.From { // from is where the block that goes back begins
					continue
				}
				end := code.CodeSize
				for _, b := range code.Blocks {
					if b > e.From {
						end = min(end, b)
					}
				}
				if end-e.To <= 64 {
					short++
					if k == 0 && e.To/64 != (end-1)/64 {
						t.Errorf("%d: a loop lies from %d to %d", filler, e.To, end)
					}
				}
			}
			if short < 2 {
				t.Errorf("%d, %s: %d short loops, want two at least", filler, settings, short)
			}
			if k == 0 && code.Alignment != 64 || k > 0 && code.Alignment > 16 {
				t.Errorf("%d, %s: aligned to %d", filler, settings, code.Alignment)
			}
		}
		if results[0] != results[2] || results[1] != results[2] {
			t.Errorf("%d: the results are %d", filler, results)
		}
	}
}
