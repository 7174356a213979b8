package reference

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/testdata"
)

// TestCurrent holds that the files are what go generate makes. That they can be
// made says that every example verifies.
func TestCurrent(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join(testdata.Root(), filepath.FromSlash(path)))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is out of date: run go generate ./codegen/internal/reference", path)
		}
	}
}

// TestComplete holds that the page has every instruction, setting, group and
// calling convention.
func TestComplete(t *testing.T) {
	page, err := Page()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "```\n")
	text, _, _ = strings.Cut(text, "```\n")
	first, err := clif.ParseFunction(text)
	if err == nil {
		err = check(first)
	}
	if err != nil {
		t.Errorf("the first example: %v", err)
	}
	for o := ir.OpInvalid + 1; o < ir.NumOpcodes; o++ {
		if !bytes.Contains(page, []byte("\n#### "+o.String()+"\n\n"+o.Info().Doc)) {
			t.Errorf("no entry of %v", o)
		}
	}
	for _, s := range isa.SharedSettings() {
		if settingDocs[s.Name] == "" {
			t.Errorf("setting %s is not explained", s.Name)
		}
	}
	for c := ir.CallConv(0); c.Valid(); c++ {
		if conventionDocs[c] == "" {
			t.Errorf("convention %v is not explained", c)
		}
	}
	for _, g := range groups {
		if !bytes.Contains(page, []byte("\n### "+g.title+"\n")) {
			t.Errorf("no part %q", g.title)
		}
	}
}

// expressions are all regular expressions of a grammar.
func expressions(t *testing.T, list []pattern) (all []*regexp.Regexp, names []string) {
	for _, p := range list {
		for _, s := range []string{p.Match, p.Begin, p.End} {
			if s == "" {
				continue
			}
			re, err := regexp.Compile(s)
			if err != nil {
				t.Error(err)
				continue
			}
			all, names = append(all, re), append(names, p.Name)
		}
		a, n := expressions(t, p.Patterns)
		all, names = append(all, a...), append(names, n...)
	}
	return all, names
}

// TestGrammars holds that the grammars are JSON and their expressions correct,
// and that a line of CLIF is taken apart as it should be: the first expression
// that matches earliest wins, as in editors.
func TestGrammars(t *testing.T) {
	for _, text := range [][]byte{clifGrammar(), rulesGrammar()} {
		var g grammar
		if err := json.Unmarshal(text, &g); err != nil {
			t.Fatal(err)
		}
		res, names := expressions(t, g.Patterns)
		if g.ScopeName != "source.clif" {
			continue
		}
		scope := func(w string) string {
			at, found := len(w)+1, ""
			for i, re := range res {
				if m := re.FindStringIndex(w); m != nil && m[0] < at && strings.TrimSpace(w[m[0]:m[1]]) == w {
					at, found = m[0], names[i]
				}
			}
			return found
		}
		for o := ir.OpInvalid + 1; o < ir.NumOpcodes; o++ {
			if s := scope(o.String()); s != "support.function.clif" && s != "keyword.control.clif" {
				t.Errorf("%v is %q", o, s)
			}
		}
		for word, want := range map[string]string{
			"v12": "variable.other.clif", "block3": "entity.name.label.clif", "i32": "storage.type.clif", "i8x16": "storage.type.clif", "i32x4xN": "storage.type.clif",
			"%add": "entity.name.function.clif", "u0:12": "entity.name.function.clif", "ss0": "constant.other.entity.clif", "system_v": "storage.modifier.convention.clif",
			"notrap": "storage.modifier.clif", "slt": "keyword.operator.condition.clif", "heap_oob": "constant.language.trap.clif", "user7": "constant.language.trap.clif",
			"0x1.8p3": "constant.numeric.clif", "42": "constant.numeric.clif", "-5": "constant.numeric.clif", "->": "keyword.operator.clif",
			"br_table": "keyword.control.clif", "uadd_overflow_trap": "keyword.control.clif", "get_exception_handler_address": "support.function.clif",
		} {
			if s := scope(word); s != want {
				t.Errorf("%s is %q, want %q", word, s, want)
			}
		}
	}
}

// TestExtension holds that the extension's description names the files there are.
func TestExtension(t *testing.T) {
	dir := filepath.Join(testdata.Root(), "editors", "vscode")
	text, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Contributes struct {
			Languages []struct{ ID, Configuration string }
			Grammars  []struct{ Language, ScopeName, Path string }
		}
	}
	if err := json.Unmarshal(text, &p); err != nil {
		t.Fatal(err)
	}
	if len(p.Contributes.Languages) != 2 || len(p.Contributes.Grammars) != 2 {
		t.Errorf("%+v", p)
	}
	for _, l := range p.Contributes.Languages {
		var any map[string]any
		if text, err := os.ReadFile(filepath.Join(dir, l.Configuration)); err != nil || json.Unmarshal(text, &any) != nil {
			t.Errorf("%s: no %s", l.ID, l.Configuration)
		}
	}
	for _, x := range p.Contributes.Grammars {
		var g grammar
		if text, err := os.ReadFile(filepath.Join(dir, x.Path)); err != nil || json.Unmarshal(text, &g) != nil || g.ScopeName != x.ScopeName {
			t.Errorf("%s: no grammar %s for %s", x.Language, x.Path, x.ScopeName)
		}
	}
}
