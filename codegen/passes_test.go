package codegen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestPassesDocumented holds that docs/codegen/passes.md has a row for every
// pass, in their order.
func TestPassesDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(testdata.Root(), "docs", "codegen", "passes.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(line, "| `"); ok {
			name, _, _ = strings.Cut(name, "`")
			rows = append(rows, name)
		}
	}
	if got, want := strings.Join(rows, " "), strings.Join(codegen.Passes(), " "); got != want {
		t.Errorf("the page has %s, the compiler %s", got, want)
	}
}
