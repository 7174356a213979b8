package x64

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/rules"
	"github.com/davit-wasm/davit/codegen/ir"
)

// ruleFiles reads the go:generate line, so that the test compiles what go generate does.
func ruleFiles(t *testing.T) []string {
	src, err := os.ReadFile("lower.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(src), "\n") {
		if _, files, ok := strings.Cut(line, "rulesc -o lower_gen.go "); ok {
			return strings.Fields(files)
		}
	}
	t.Fatal("lower.go has no go:generate line for rulesc")
	return nil
}

func TestGeneratedRulesAreUpToDate(t *testing.T) {
	want, err := rules.CompileFiles(ruleFiles(t))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("lower_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("lower_gen.go is not what the rules generate: run go generate")
	}
}

// TestVocabularyIsUsed finds terms of our rules that no rule mentions.
func TestVocabularyIsUsed(t *testing.T) {
	var text []byte
	for _, name := range ruleFiles(t) {
		if strings.Contains(name, "/lib/") {
			continue // for all targets
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, regexp.MustCompile(`(?m);.*$`).ReplaceAll(src, nil)...)
	}
	mentions := map[string]int{}
	for _, m := range regexp.MustCompile(`[^\s()]+`).FindAll(text, -1) {
		mentions[string(m)]++
	}
	flags := `(?:(?:pure|partial|multi|rec|ordered) )*`
	declared := map[string]bool{}
	for _, m := range regexp.MustCompile(`\((?:decl `+flags+`|extern (?:constructor|extractor) (?:infallible )?)(\w+)`).FindAllSubmatch(text, -1) {
		declared[string(m[1])] = true
		mentions[string(m[1])]--
	}
	for name := range declared {
		if mentions[name] <= 0 {
			t.Errorf("%s is declared and not used", name)
		}
	}
	if len(declared) < 100 {
		t.Errorf("only %d terms found", len(declared))
	}
}

func TestGeneratedOpcodesAreUpToDate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "ir_gen.rules")
	cmd := exec.Command("go", "run", "../rules/cmd/irops", "-o", out)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("irops: %v\n%s", err, b)
	}
	want, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../rules/lib/ir_gen.rules")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("ir_gen.rules is not what the opcode table generates: run go generate")
	}
}

// TestDisjointTypes holds what the rules take for granted: of a disjoint set, at most one matches any type.
func TestDisjointTypes(t *testing.T) {
	var c *lower
	extractors := map[string]func(ir.Type) (ir.Type, bool){
		"fits_in_64": c.fitsIn64, "fits_in_32": c.fitsIn32, "ty_8_or_16": c.ty8Or16, "ty_32_or_64": c.ty32Or64,
		"ty_scalar_float": c.tyScalarFloat, "ty_vec128": c.tyVec128, "int_vec": c.intVec, "float_vec": c.floatVec, "ty_lane32": c.tyLane32,
		"ty_small16": c.tySmall16, "ty_small32": c.tySmall32, "ty_small64": c.tySmall64,
		"ty_vec256": func(t ir.Type) (ir.Type, bool) { return t, isWide(t) },
	}
	var types []ir.Type
	for lane := ir.I8; lane <= ir.F128; lane++ {
		for n := 1; n <= 256; n *= 2 {
			if v := lane.Vector(n); v != ir.Invalid {
				types = append(types, v, v.Dynamic())
			}
		}
	}
	sets := 0
	for _, file := range ruleFiles(t) {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\(disjoint (.*)\)`).FindAllStringSubmatch(string(src), -1) {
			if strings.Contains(m[1], "endian") {
				continue
			}
			sets++
			for _, typ := range types {
				var matched []string
				for _, name := range strings.Fields(m[1]) {
					if name[0] == '$' {
						k, ok := ir.ParseType(strings.ToLower(name[1:]))
						if !ok {
							t.Fatalf("%s: %s is no type", file, name)
						}
						if k == typ {
							matched = append(matched, name)
						}
						continue
					}
					f := extractors[name]
					if f == nil {
						t.Fatalf("%s: no extractor %s in the test's list", file, name)
					}
					if _, ok := f(typ); ok {
						matched = append(matched, name)
					}
				}
				if len(matched) > 1 {
					t.Errorf("%s: (disjoint %s): %v is matched by %v", file, m[1], typ, matched)
				}
			}
		}
	}
	if sets < 10 {
		t.Errorf("only %d sets found", sets)
	}
}
