// Package testdata finds the conformance suites, real programs and benchmark
// corpora that lie beside a checkout (`../shared`), for tests. On a machine
// without them the tests that ask for them are skipped with a message.
package testdata

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Conformance returns the folder of conformance suites: $DAVIT_CONFORMANCE, or
// ../shared/conformance beside the repository. It skips t when that is absent.
func Conformance(t testing.TB) string {
	t.Helper()
	return find(t, "DAVIT_CONFORMANCE", "conformance")
}

// Real returns the folder of real programs: $DAVIT_REAL, or ../shared/real
// beside the repository. It skips t when that is absent.
func Real(t testing.TB) string {
	t.Helper()
	return find(t, "DAVIT_REAL", "real")
}

// Bench returns the folder of the benchmark corpus: $DAVIT_BENCH, or
// ../shared/bench beside the repository. It skips t when that is absent.
func Bench(t testing.TB) string {
	t.Helper()
	return find(t, "DAVIT_BENCH", "bench")
}

// Root returns the root folder of the repository.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

func find(t testing.TB, env, name string) string {
	t.Helper()
	dir := os.Getenv(env)
	if dir == "" {
		dir = filepath.Join(Root(), "..", "shared", name)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		t.Skipf("no test data at %s (set %s to the folder that has it)", dir, env)
	}
	return dir
}
