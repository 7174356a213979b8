package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit/internal/testdata"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"davit": main})
}

// TestScripts runs the command as a user would: see testdata/script.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setup,
		UpdateScripts:       os.Getenv("DAVIT_UPDATE") != "",
		RequireExplicitExec: true,
	})
}

// setup keeps the settings of whoever runs the tests out of them.
func setup(e *testscript.Env) error {
	e.Setenv("XDG_CONFIG_HOME", e.WorkDir+"/xdg")
	e.Setenv("DAVIT_CONFIG", "")
	e.Setenv("NO_COLOR", "")
	// A program in C++ with debug information.
	e.Setenv("DEEP", filepath.Join(testdata.Root(), "internal", "debuginfo", "testdata", "deep.wasm"))
	return nil
}

// TestExamples runs the examples in the help of every command, each in a folder
// with the files of testdata/examples.
func TestExamples(t *testing.T) {
	var files []txtar.File
	err := filepath.WalkDir("testdata/examples", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel("testdata/examples", path)
		files = append(files, txtar.File{Name: filepath.ToSlash(name), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				visit(sub)
			}
		}
		if c.Short == "" {
			t.Errorf("%s has no description", c.CommandPath())
		}
		if c.Example == "" && !c.HasSubCommands() {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for i, line := range strings.Split(strings.TrimSpace(c.Example), "\n") {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			if !strings.HasPrefix(line+" ", c.CommandPath()+" ") && c.Name() != "davit" && !strings.HasPrefix(line, "davit --config ") {
				t.Errorf("an example of %s is about something else: %s", c.CommandPath(), line)
			}
			script := txtar.Archive{
				Comment: []byte("[unix] chmod 755 is-slow.sh\nexec sh -e example.sh\n"),
				Files:   append([]txtar.File{{Name: "example.sh", Data: []byte(line + "\n")}}, files...),
			}
			if strings.HasPrefix(line, "davit --config project.toml") { // the example before it makes the file
				script.Files[0].Data = []byte("davit config new project.toml\n" + line + "\n")
			}
			name := fmt.Sprintf("%s-%d.txtar", strings.ReplaceAll(c.CommandPath(), " ", "-"), i+1)
			if err := os.WriteFile(filepath.Join(dir, name), txtar.Format(&script), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	visit(rootCommand(&session{stderr: &terminal{}}))
	testscript.Run(t, testscript.Params{Dir: dir, Setup: setup, RequireExplicitExec: true})
}

// TestNear checks what is offered for wrong names.
func TestNear(t *testing.T) {
	names := []string{"run", "wast", "validate", "parse", "print", "inspect", "version", "max-memory", "_start", "sub_i32"}
	for _, test := range []struct{ name, want string }{
		{"rnu", "[run]"}, {"Prnt", "[print]"}, {"valid", "[validate]"}, {"max-mem", "[max-memory]"}, {"memory", "[max-memory]"},
		{"start", "[_start]"}, {"sub", "[sub_i32]"}, {"frobnicate", "[]"}, {"", "[]"}, {strings.Repeat("x", 1000), "[]"},
	} {
		if got := fmt.Sprint(near(test.name, names)); got != test.want {
			t.Errorf("%q: %s, want %s", test.name, got, test.want)
		}
	}
	if got := didYouMean([]string{"a", "b", "c"}, "--"); got != "did you mean '--a', '--b' or '--c'?" {
		t.Error(got)
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]uint64{
		"0": 0, "65536": 65536, "64K": 64 << 10, "64k": 64 << 10, "512MB": 512 << 20, "2GiB": 2 << 30, "1T": 1 << 40, "8B": 8,
	} {
		if got, err := parseSize(s); got != want || err != nil {
			t.Errorf("%q: %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "M", "1X", "-1", "1.5G", "1GG", "1IB", "99999999999999999999", "18446744073709551615T", "1 M"} {
		if got, err := parseSize(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
}

// TestProgress checks when the line about a long compilation is written.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := &progress{
		t: &terminal{Writer: &out, width: 38}, what: "a.wasm", delay: time.Second, every: time.Second / 10,
		now: func() time.Time { return now }, start: now,
	}
	step := func(after time.Duration, done int, want string) {
		t.Helper()
		now = now.Add(after)
		out.Reset()
		p.update(done, 200)
		if got := out.String(); got != want {
			t.Errorf("%d of 200: %q, want %q", done, got, want)
		}
	}
	line := "\rdavit: compiling a.wasm: %d%% (%d of 2\x1b[K" // cut to the width
	step(time.Second/2, 10, "")                              // too early
	step(time.Second/2, 20, fmt.Sprintf(line, 10, 20))
	step(time.Second/100, 21, "") // too soon
	step(time.Second/10, 22, fmt.Sprintf(line, 11, 22))
	step(0, 200, "\rdavit: compiling a.wasm: 100% (200 of\x1b[K") // the end is always shown
	out.Reset()
	p.clear()
	if got := out.String(); got != "\r\x1b[K" {
		t.Errorf("clear writes %q", got)
	}
	out.Reset()
	p.clear()
	(*progress)(nil).clear()
	if out.Len() > 0 {
		t.Errorf("nothing to clear, but %q", out.String())
	}
}

// FuzzConfig checks that whatever is in a configuration file gives settings that
// are known, or an error that names the file.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(configTemplate()))
	f.Add([]byte("color = 'never'\n[run]\ndir = ['.', \"a::b\"]\nenv-inherit = true\n[wast]\ntimeout = 3\n"))
	f.Add([]byte("run.dir = [[1]]\n[[wast]]\nx = {y = 1}\n"))
	f.Add([]byte("\"a,\\\"b\" = 1\n[print.folded]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := parseConfig("c.toml", data)
		if err != nil && !strings.HasPrefix(err.Error(), "c.toml:") {
			t.Fatalf("%v", err)
		}
		for _, x := range settings {
			if x.key == "" || x.values == nil || x.line < 1 {
				t.Fatalf("setting %+v", x)
			}
		}
	})
}
