package filetest

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestOptimizeCosts holds what our passes make of the functions of `test optimize`
// against the text that the suite expects, by what it costs: the text
// is that of another compiler, and a value has many good forms. The functions for which
// ours costs more are listed in testdata/optimize_costs.txt, each with the reason.
func TestOptimizeCosts(t *testing.T) {
	known, seen := knownCosts(t), map[string]bool{}
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	compared, less, more := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".clif" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		parsed, err := clif.ParseFile(path, string(src))
		if err != nil {
			return nil // other tests say so
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		for _, h := range parsed.Header {
			if h.Word != "test" || len(h.Args) == 0 || h.Args[0] != "optimize" {
				continue
			}
			f := &file{File: parsed, src: string(src), opt: Options{Exact: true}, res: &Result{}}
			f.compile(h.Args, true, func(c *compiled) error {
				want, ok := wantedCost(c)
				if !ok {
					return nil
				}
				compared++
				got := cost(c.ir)
				key := fmt.Sprintf("%s %v", filepath.ToSlash(name), c.fn.Function.Name)
				extra := known[key]
				seen[key] = true
				switch {
				case got < want:
					less++
				case got > want:
					more++
				}
				if n := max(got-want, 0); n != extra {
					t.Errorf("%s: costs %d more than the %d that are wanted; known are %d\n%s", key, n, want, extra, c.ir)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for key := range known {
		if !seen[key] {
			t.Errorf("optimize_costs.txt names %s, which is not compared", key)
		}
	}
	if compared < 800 {
		t.Errorf("only %d functions were compared", compared)
	}
	t.Logf("%d functions compared: %d cost less than is wanted, %d more", compared, less, more)
}

// knownCosts are the functions that cost more than they should, and by how much.
func knownCosts(t *testing.T) map[string]int {
	text, err := os.ReadFile("testdata/optimize_costs.txt")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]int{}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		if len(f) < 4 {
			t.Fatalf("optimize_costs.txt: no reason: %s", line)
		}
		if known[f[0]+" "+f[1]], err = strconv.Atoi(f[2]); err != nil {
			t.Fatal(err)
		}
	}
	return known
}

// wantedCost is the cost of what the comments of a function want: the whole
// text, or the instructions that directives name.
func wantedCost(c *compiled) (n int, ok bool) {
	var text strings.Builder
	for _, x := range c.fn.Comments {
		if !c.precise {
			if m := directiveRE.FindStringSubmatch(x.Text); m != nil && m[1] != "not" && m[1] != "regex" {
				text.WriteString(m[2] + "\n")
			}
		} else if x.Line > c.fn.Line && !strings.HasPrefix(x.Text, ";") {
			text.WriteString(x.Text + "\n")
		}
	}
	return cost(text.String()), strings.Contains(text.String(), "return")
}

var opcodeRE = regexp.MustCompile(`(?m)^\s*(?:v\d+(?:, v\d+)* = )?([a-z][a-z0-9_]*)`)

// cost counts the instructions of a text. Constants, and what becomes part of
// other instructions, are free; multiplications and divisions count by what they
// are beside an addition.
func cost(text string) int {
	n := 0
	for _, m := range opcodeRE.FindAllStringSubmatch(text, -1) {
		op, ok := ir.ParseOpcode(m[1])
		if !ok {
			continue
		}
		switch op {
		case ir.OpIconst, ir.OpF16const, ir.OpF32const, ir.OpF64const, ir.OpF128const, ir.OpVconst,
			ir.OpUextend, ir.OpSextend, ir.OpIreduce, ir.OpIconcat, ir.OpIsplit, ir.OpJump, ir.OpReturn:
		case ir.OpImul, ir.OpUmulhi, ir.OpSmulhi:
			n += 3
		case ir.OpUdiv, ir.OpSdiv, ir.OpUrem, ir.OpSrem:
			n += 20
		default:
			n++
		}
	}
	return n
}
