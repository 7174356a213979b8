package wasip1_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/wasi/vfs"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// goPackages are packages of Go's standard library whose tests are run as
// programs: those of the first list always, those of the second one if
// DAVIT_GO_TESTS is set (to "all", or to a list of packages with commas).
var (
	goPackages     = []string{"sort", "io/fs"}
	moreGoPackages = []string{
		"archive/zip", "bufio", "bytes", "compress/flate", "container/heap", "context", "crypto/sha256",
		"encoding/binary", "encoding/json", "errors", "fmt", "go/types", "hash/crc32", "html/template", "image/png",
		"io", "log", "maps", "math", "math/big", "net", "net/http/httptest", "os", "path/filepath", "regexp", "slices", "strconv",
		"strings", "sync", "sync/atomic", "testing/fstest", "text/template", "time", "unicode/utf8",
	}
)

// TestGoPackages builds the tests of packages of the standard library for
// wasip1 and runs them, each in its folder of the Go tree.
func TestGoPackages(t *testing.T) {
	packages := goPackages
	switch env := os.Getenv("DAVIT_GO_TESTS"); {
	case env == "all":
		packages = append(packages, moreGoPackages...)
	case env != "":
		packages = strings.Split(env, ",")
	case testing.Short():
		t.Skip("builds programs")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go command to build the programs with")
	}
	out, err := exec.Command(tool, "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("go env: %v", err)
	}
	root := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(root, "src", "sort", "sort_test.go")); err != nil {
		t.Skip("the Go tree has no tests")
	}
	if runtime.GOOS == "windows" {
		t.Skip("the tests expect paths of Unix systems")
	}
	engine := newEngine(t)
	for _, name := range packages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "test.wasm")
			cmd := exec.Command(tool, "test", "-c", "-o", file, name)
			cmd.Dir = filepath.Join(root, "src")
			cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOTOOLCHAIN=local", "GOFLAGS=", "GOPROXY=off")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("go test -c: %v\n%s", err, out)
			}
			temps := []wasip1.Mount{{Host: t.TempDir(), Guest: "/tmp"}}
			if name == "os" || name == "path/filepath" {
				temps = append(temps, wasip1.Mount{Dir: vfs.NewMem(nil).Root(), Guest: "/tmp"})
			}
			for _, temp := range temps {
				p := &program{
					file: file,
					args: []string{"-test.short"},
					env:  []string{"PWD=" + filepath.Join(root, "src", name), "TMPDIR=/tmp", "GOROOT=" + root, "HOME=/tmp"},
					dirs: []wasip1.Mount{
						{Host: "/", Guest: "/", ReadOnly: true},
						{Host: "/dev", Guest: "/dev"}, // null can be written to
						temp,
					},
				}
				if r := run(t, engine, p); r.err != nil || r.code != 0 {
					t.Errorf("in memory %t: exit code %d; %v\n%s%s", temp.Dir != nil, r.code, r.err, tail(r.stdout), tail(r.stderr))
				}
			}
		})
	}
}
