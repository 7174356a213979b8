package wast_test

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/internal/wast"
	"github.com/davit-wasm/davit/internal/wast/engine"
	"github.com/davit-wasm/davit/wasm"
)

const knownFailures = "testdata/known_failures.txt"

// suites are the folders of scripts about core modules.
var suites = []string{"core", "wasmtime/misc_testsuite"}

// TestConformance runs the suites on the engine. What fails must be listed in
// known_failures.txt, and what is listed there must fail. With DAVIT_UPDATE set
// it writes the list, and keeps the reasons that are there.
func TestConformance(t *testing.T) {
	conformance(t, davit.Config{}, os.Getenv("DAVIT_UPDATE") != "")
}

// TestConformanceChecked runs the suites with explicit checks of memory bounds
// and of interruption in code, where the engine otherwise leaves both to the
// hardware.
func TestConformanceChecked(t *testing.T) {
	conformance(t, davit.Config{ExplicitBounds: true, Interruption: davit.InterruptionEpoch}, false)
}

// TestConformanceLevels runs the suites at every optimization level, by both register
// allocators and with bounds checked in both ways: with -short, each two of these meet
// once.
func TestConformanceLevels(t *testing.T) {
	for i, level := range []string{"none", "speed", "speed_and_size"} {
		for k, allocator := range []string{"backtracking", "single_pass"} {
			for _, explicit := range []bool{false, true} {
				if testing.Short() && explicit != ((i+k)%2 == 1) {
					continue
				}
				t.Run(fmt.Sprintf("%s, %s, explicit %v", level, allocator, explicit), func(t *testing.T) {
					settings := []string{"opt_level=" + level, "regalloc_algorithm=" + allocator}
					conformance(t, davit.Config{Settings: settings, ExplicitBounds: explicit}, false)
				})
			}
		}
	}
}

// TestConformanceArtifacts runs the suites on modules that have been written to
// artifacts and loaded again.
func TestConformanceArtifacts(t *testing.T) {
	conformanceOn(t, &engine.Engines{Artifacts: t.TempDir()}, false)
}

func conformance(t *testing.T, config davit.Config, update bool) {
	conformanceOn(t, &engine.Engines{Config: config}, update)
}

func conformanceOn(t *testing.T, engines *engine.Engines, update bool) {
	root := testdata.Conformance(t)
	if _, err := davit.NewEngine(nil); err != nil {
		if runtime.GOOS == "linux" && runtime.GOARCH == "amd64" {
			t.Fatal(err)
		}
		t.Skipf("no native code here: %v", err)
	}
	known := readKnownFailures(t)
	r := wast.Runner{NewEngine: engines.New}
	failing := make(map[string]string)
	for _, suite := range suites {
		err := filepath.WalkDir(filepath.Join(root, suite), func(path string, d fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".wast" || strings.Contains(path, "/component-model") ||
				strings.Contains(path, "/prebuilt-json-wasm/") {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			rel = filepath.ToSlash(rel)
			result := r.RunFile(path)
			reason, listed := known[rel]
			delete(known, rel)
			if len(result.Failures) == 0 {
				if listed {
					t.Errorf("%s passes, but is listed in %s (%s)", rel, knownFailures, reason)
				}
				return nil
			}
			first := result.Failures[0]
			failing[rel] = reason
			if !listed {
				failing[rel] = fmt.Sprintf("%.120s", strings.ReplaceAll(first.Msg, "\n", " "))
				t.Errorf("%s:%d: %s (and %d more)", rel, first.Line, first.Msg, len(result.Failures)-1)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for rel := range known {
		t.Errorf("%s is listed in %s, but does not exist", rel, knownFailures)
	}
	t.Logf("%s; %d of %d messages in the suite's words; %d scripts fail as known",
		r.Summary(), r.Messages, r.MessagesWanted, len(failing))
	if update {
		writeKnownFailures(t, failing)
	}
}

// TestNoCrash runs scripts and modules that are about other things, or were
// made to break engines: whatever becomes of them, nothing may panic.
func TestNoCrash(t *testing.T) {
	root := testdata.Conformance(t)
	if _, err := davit.NewEngine(nil); err != nil {
		t.Skipf("no native code here: %v", err)
	}
	engines := engine.Engines{Timeout: 10 * time.Second}
	r := wast.Runner{NewEngine: engines.New}
	modules := 0
	for _, dir := range []string{"wasm-tools/cli", "wasmtime/misc_testsuite", "component-model/spec", "core/fuzzcases-wazero"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, _ := filepath.Rel(root, path)
			switch filepath.Ext(path) {
			case ".wast":
				for _, f := range r.RunFile(path).Failures {
					if strings.Contains(f.Msg, "panic: ") {
						t.Errorf("%s:%d: %s", rel, f.Line, f.Msg)
					}
				}
			case ".wasm":
				modules++
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				tryModule(t, rel, &engines, data)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("scripts: %s; %d modules", r.Summary(), modules)
}

// tryModule compiles and instantiates a module and calls what it exports
// without parameters.
func tryModule(t *testing.T, name string, engines *engine.Engines, data []byte) {
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", name, p)
		}
	}()
	e, err := engines.New(wasm.FeaturesAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Errorf("%s: closing: %v", name, err)
		}
	}()
	m, err := e.Compile(data)
	if err != nil {
		return
	}
	in, err := e.Instantiate(m, func(string, string) (wast.Extern, bool) { return nil, false })
	if err != nil {
		return
	}
	for _, x := range m.(*davit.Module).Exports() {
		if x.Type.Func != nil && len(x.Type.Func.Params) == 0 {
			in.Call(x.Name, nil)
		}
	}
}

const knownFailuresHeader = `# Scripts that do not pass, and why. A script that is listed and passes is an
# error, like one that is not listed and fails. Written by the test with
# DAVIT_UPDATE=1; reasons are kept.
`

func readKnownFailures(t *testing.T) map[string]string {
	known := make(map[string]string)
	f, err := os.Open(knownFailures)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		path, reason, ok := strings.Cut(line, ": ")
		if !ok || reason == "" {
			t.Fatalf("%s: no reason in %q", knownFailures, line)
		}
		known[path] = reason
	}
	return known
}

func writeKnownFailures(t *testing.T, failing map[string]string) {
	var lines []string
	for path, reason := range failing {
		lines = append(lines, path+": "+reason+"\n")
	}
	sort.Strings(lines)
	if err := os.WriteFile(knownFailures, []byte(knownFailuresHeader+strings.Join(lines, "")), 0o644); err != nil {
		t.Fatal(err)
	}
}
