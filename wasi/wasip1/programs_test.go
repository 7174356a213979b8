package wasip1_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasi/vfs"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// program is a program with its job and the expected result.
type program struct {
	file  string
	args  []string
	env   []string
	stdin []byte
	dirs  []wasip1.Mount
	more  func(*davit.Linker) error // defines what it imports besides; may be nil
}

// result is what became of it.
type result struct {
	code           int
	stdout, stderr string
	err            error // other than an exit
}

func newEngine(t testing.TB) *davit.Engine {
	t.Helper()
	e, err := davit.NewEngine(nil)
	if err != nil {
		t.Skip(err)
	}
	return e
}

// run runs a program to its end.
func run(t testing.TB, e *davit.Engine, p *program) result {
	t.Helper()
	code, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	module, err := e.Compile(ctx, code)
	if err != nil {
		t.Fatal(err)
	}
	defer module.Close()
	store, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var stdout, stderr bytes.Buffer
	args := append([]string{filepath.Base(p.file)}, p.args...)
	process, err := wasip1.New(&wasip1.Config{
		Args: args, Env: p.env, Stdin: bytes.NewReader(p.stdin), Stdout: &stdout, Stderr: &stderr, Mounts: p.dirs,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	linker := davit.NewLinker(e)
	if err := process.Define(linker); err != nil {
		t.Fatal(err)
	}
	if p.more != nil {
		if err := p.more(linker); err != nil {
			t.Fatal(err)
		}
	}
	instance, err := linker.Instantiate(ctx, store, module)
	if err != nil {
		t.Fatal(err)
	}
	_, err = instance.Func("_start").Call(ctx)
	r := result{stdout: stdout.String(), stderr: stderr.String()}
	var exit *davit.ExitError
	var trap *davit.Trap
	switch {
	case errors.As(err, &exit):
		r.code = int(exit.Code)
	case errors.As(err, &trap):
		r.code, r.err = 134, err
		r.stderr += trap.Backtrace()
	default:
		r.err = err
	}
	return r
}

// copyDir makes a fresh copy of a folder, without what earlier runs left.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	leftovers, _ := filepath.Glob(filepath.Join(to, "*.cleanup"))
	for _, f := range leftovers {
		os.RemoveAll(f)
	}
	return to
}

// notYet are features of programs that the compiler does not have.
var notYet = []string{"eh", "threads"}

// TestRealPrograms runs programs that other people's compilers made.
func TestRealPrograms(t *testing.T) {
	dir := testdata.Real(t)
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest []struct {
		Name, Kind, File, Stdin, Fixture string
		Args, Preopen, Features          []string
		Env                              map[string]string
		ExitCode                         int               `json:"exit_code"`
		Stdout                           string            `json:"expect_stdout_sha256"`
		Files                            map[string]string `json:"expect_files"`
	}
	if err := json.Unmarshal(data, &manifest); err != nil {
		t.Fatal(err)
	}
	engine := newEngine(t)
	seen := 0
	for _, m := range manifest {
		if m.Kind != "core-p1" || slices.ContainsFunc(m.Features, func(f string) bool { return slices.Contains(notYet, f) }) {
			continue
		}
		seen++
		t.Run(m.Name, func(t *testing.T) {
			if info, err := os.Stat(filepath.Join(dir, m.File)); err == nil && testing.Short() && info.Size() > 1<<20 {
				t.Skip("large")
			}
			p := &program{file: filepath.Join(dir, m.File), args: m.Args, stdin: []byte(m.Stdin)}
			if name, ok := strings.CutPrefix(m.Stdin, "@"); ok {
				if p.stdin, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
			for k, v := range m.Env {
				p.env = append(p.env, k+"="+v)
			}
			work := ""
			if m.Fixture != "" {
				work = copyDir(t, filepath.Join(dir, "fixtures", m.Fixture))
			}
			for _, d := range m.Preopen {
				host, guest, _ := strings.Cut(d, ":")
				p.dirs = append(p.dirs, wasip1.Mount{Host: filepath.Join(work, host), Guest: guest})
			}
			r := run(t, engine, p)
			if r.err != nil || r.code != m.ExitCode {
				t.Fatalf("exit code %d, want %d; %v\n%s", r.code, m.ExitCode, r.err, tail(r.stderr))
			}
			if m.Stdout != "" && sum(r.stdout) != m.Stdout {
				t.Errorf("unexpected output:\n%s", tail(r.stdout))
			}
			for name, want := range m.Files {
				b, err := os.ReadFile(filepath.Join(work, name))
				if err != nil {
					t.Error(err)
				} else if sum(string(b)) != want {
					t.Errorf("file %s is not as expected:\n%s", name, tail(string(b)))
				}
			}
		})
	}
	if seen == 0 {
		t.Error("the manifest has no programs")
	}
}

func sum(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

func tail(s string) string {
	if len(s) > 2000 {
		return "…" + s[len(s)-2000:]
	}
	return s
}

// exceptions are programs of the suites that are known to fail, each with the
// reason why it may. One that passes does not belong here.
var exceptions = map[string]string{}

// expected is the result that a suite wants; nil: whatever it is.
type expected struct {
	code           int
	stdout, stderr *string
}

// check runs a program of a suite.
func check(t *testing.T, e *davit.Engine, p *program, want expected) {
	err := func() error {
		r := run(t, e, p)
		if r.code != want.code || r.err != nil && r.code != 134 {
			return fmt.Errorf("exit code %d, want %d; %v\n%s%s", r.code, want.code, r.err, tail(r.stdout), tail(r.stderr))
		}
		if want.stdout != nil && r.stdout != *want.stdout {
			return fmt.Errorf("output %q, want %q", tail(r.stdout), tail(*want.stdout))
		}
		if want.stderr != nil && r.stderr != *want.stderr {
			return fmt.Errorf("error output %q, want %q", tail(r.stderr), tail(*want.stderr))
		}
		return nil
	}()
	reason, excepted := exceptions[strings.TrimPrefix(t.Name(), "Test")]
	switch {
	case excepted && err == nil:
		t.Errorf("it passes, but is among the exceptions: %s", reason)
	case excepted:
		t.Skipf("known to fail: %s\n%v", reason, err)
	case err != nil:
		t.Error(err)
	}
}

// suite finds the programs of a suite.
func suite(t *testing.T, pattern string) []string {
	files, err := filepath.Glob(filepath.Join(testdata.Conformance(t), filepath.FromSlash(pattern)))
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d programs: %v", len(files), err)
	}
	return files
}

// TestSuite runs the programs of the wasi-testsuite.
func TestSuite(t *testing.T) {
	engine := newEngine(t)
	for _, file := range suite(t, "wasi/testsuite/*/wasm32-wasip1/*.wasm") {
		base := strings.TrimSuffix(file, ".wasm")
		language := filepath.Base(filepath.Dir(filepath.Dir(file)))
		t.Run(language+"/"+filepath.Base(base), func(t *testing.T) {
			var m struct {
				Args           []string
				Env            map[string]string
				Root           string
				ExitCode       int `json:"exit_code"`
				Stdout, Stderr *string
			}
			if data, err := os.ReadFile(base + ".json"); err == nil {
				if err := json.Unmarshal(data, &m); err != nil {
					t.Fatal(err)
				}
			}
			p := &program{file: file, args: m.Args}
			for k, v := range m.Env {
				p.env = append(p.env, k+"="+v)
			}
			want := expected{m.ExitCode, m.Stdout, m.Stderr}
			if m.Root == "" {
				check(t, engine, p, want)
				return
			}
			root := filepath.Join(filepath.Dir(file), m.Root)
			t.Run("host", func(t *testing.T) {
				p.dirs = []wasip1.Mount{{Host: copyDir(t, root), Guest: "/"}}
				check(t, engine, p, want)
			})
			t.Run("memory", func(t *testing.T) {
				p.dirs = []wasip1.Mount{{Dir: copyMem(t, root).Root(), Guest: "/"}}
				check(t, engine, p, want)
			})
		})
	}
}

// copyMem copies a folder into memory, without what earlier runs left.
func copyMem(t testing.TB, from string) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem(nil)
	fsys := os.DirFS(from)
	err := fs.WalkDir(fsys, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(name, ".cleanup") && e.IsDir():
			return fs.SkipDir
		case strings.HasSuffix(name, ".cleanup"):
			return nil
		case e.IsDir():
			return m.MkdirAll(name)
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		return m.WriteFile(name, data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOlderSuite runs the programs of an older suite, each with files beside it
// that hold its arguments, input and expected output.
func TestOlderSuite(t *testing.T) {
	engine := newEngine(t)
	root := filepath.Join(testdata.Conformance(t), "wasi/p1-caspervonb")
	for _, file := range suite(t, "wasi/p1-caspervonb/*/*.wasm") {
		base := strings.TrimSuffix(file, ".wasm")
		t.Run(filepath.ToSlash(strings.TrimPrefix(base, root+string(filepath.Separator))), func(t *testing.T) {
			read := func(ext string) string {
				b, err := os.ReadFile(base + ext)
				if err != nil && !errors.Is(err, os.ErrNotExist) {
					t.Fatal(err)
				}
				return string(b)
			}
			p := &program{file: file, stdin: []byte(read(".stdin"))}
			p.args = strings.Fields(read(".arg"))
			p.env = strings.Fields(read(".env"))
			if _, err := os.Stat(base + ".dir"); err == nil {
				p.dirs = []wasip1.Mount{{Host: copyDir(t, base+".dir"), Guest: filepath.Base(base) + ".dir"}}
			}
			var want expected
			if s := strings.TrimSpace(read(".status")); s != "" {
				if err := json.Unmarshal([]byte(s), &want.code); err != nil {
					t.Fatal(err)
				}
			}
			for ext, p := range map[string]**string{".stdout": &want.stdout, ".stderr": &want.stderr} {
				if b, err := os.ReadFile(base + ext); err == nil {
					s := string(b)
					*p = &s
				}
			}
			check(t, engine, p, want)
		})
	}
}
