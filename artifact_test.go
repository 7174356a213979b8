package davit_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wat"
)

// divider traps three calls deep in what has names, and calls the host.
const divider = `(module $divider
  (import "host" "log" (func $log (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "some data")
  (func $div (param i32 i32) (result i32) (i32.div_u (local.get 0) (local.get 1)))
  (func $middle (param i32 i32) (result i32)
    (call $log (local.get 1))
    (i32.add (i32.const 1) (call $div (local.get 0) (local.get 1))))
  (func (export "run") (param i32 i32) (result i32) (call $middle (local.get 0) (local.get 1))))`

func assemble(t testing.TB, text string) []byte {
	t.Helper()
	code, err := wat.Compile([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// useDivider does with a divider what can be done with it, and tells what came of
// it.
func useDivider(t *testing.T, e *davit.Engine, m *davit.Module) string {
	t.Helper()
	var b strings.Builder
	s, err := davit.NewStore(e, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l := davit.NewLinker(e)
	logged := 0
	err = l.DefineFunc("host", "log", davit.FuncType{Params: types(davit.I32)}, func(context.Context, *davit.Caller, []uint64) error {
		logged++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	in, err := l.Instantiate(ctx, s, m)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := in.Memory("memory").ReadString(100, 9)
	b.WriteString(data)
	results, err := in.Func("run").Call(ctx, davit.ValueI32(100), davit.ValueI32(7))
	if err != nil {
		t.Fatal(err)
	}
	b.WriteString(results[0].String())
	_, err = in.Func("run").Call(ctx, davit.ValueI32(100), davit.ValueI32(0))
	trap := wantTrap(t, err, davit.TrapIntegerDivideByZero)
	b.WriteString(trap.Backtrace())
	for name, content := range m.CustomSections() {
		b.WriteString(name)
		b.Write(content)
	}
	b.WriteString(m.Name())
	if logged != 2 {
		t.Errorf("logged %d times", logged)
	}
	return b.String()
}

// TestArtifacts: a module that was loaded does what it did when it was compiled,
// however it was made and loaded.
func TestArtifacts(t *testing.T) {
	eachInterruption(t, func(t *testing.T, c *davit.Config) {
		e := newEngine(t, c)
		code := assemble(t, divider)
		m, err := e.Compile(ctx, code)
		if err != nil {
			t.Fatal(err)
		}
		want := useDivider(t, e, m)
		if !strings.Contains(want, "divider!div") {
			t.Fatalf("no names: %s", want)
		}
		var written bytes.Buffer
		n, err := m.WriteTo(&written)
		if err != nil || int(n) != written.Len() {
			t.Fatalf("%d bytes of %d: %v", n, written.Len(), err)
		}
		m.Close()
		if _, err := m.Serialize(); !errors.Is(err, davit.ErrClosed) {
			t.Errorf("serialized after Close: %v", err)
		}
		if !davit.IsArtifact(written.Bytes()) || davit.IsArtifact(code) {
			t.Error("artifacts are not known for what they are")
		}
		precompiled, err := davit.Precompile(ctx, c, "", code)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(precompiled, written.Bytes()) {
			t.Error("Precompile and WriteTo differ")
		}
		name := filepath.Join(t.TempDir(), "divider.cwasm")
		if err := os.WriteFile(name, precompiled, 0o600); err != nil {
			t.Fatal(err)
		}
		unchecked := davit.Config{}
		if c != nil {
			unchecked = *c
		}
		unchecked.UncheckedFiles = true
		other := newEngine(t, &unchecked)
		for _, x := range []struct {
			how    string
			engine *davit.Engine
			load   func() (*davit.Module, error)
		}{
			{"memory", e, func() (*davit.Module, error) { return e.LoadModule(precompiled) }},
			{"file", e, func() (*davit.Module, error) { return e.LoadModuleFile(name) }},
			{"unchecked", other, func() (*davit.Module, error) { return other.LoadModuleFile(name) }},
		} {
			m, err := x.load()
			if err != nil {
				t.Fatalf("%s: %v", x.how, err)
			}
			if have := useDivider(t, x.engine, m); have != want {
				t.Errorf("%s: have %s\nwant %s", x.how, have, want)
			}
			again, err := m.Serialize()
			if err != nil || !bytes.Equal(again, precompiled) {
				t.Errorf("%s: serialized again, it differs (%v)", x.how, err)
			}
			next := m.CustomSections()
			m.Close()
			runtime.GC()
			_ = m.Name()
			for _, content := range next {
				_ = bytes.Count(content, []byte{0})
			}
			for _, x := range m.Exports() {
				_ = x.Type.Func
			}
			_ = m.Imports()
		}
	})
}

// TestArtifactSettings: an engine refuses what was compiled with settings that it
// does not allow, and takes what only costs time.
func TestArtifactSettings(t *testing.T) {
	code := assemble(t, divider)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := []byte("nobody knows this")
	for _, c := range []struct {
		name           string
		compiled, runs davit.Config
		reason         davit.ArtifactReason
		ok             bool
	}{
		{"same", davit.Config{}, davit.Config{}, 0, true},
		{"epochs", davit.Config{Interruption: davit.InterruptionEpoch}, davit.Config{Interruption: davit.InterruptionSignal}, 0, true},
		{"signals", davit.Config{}, davit.Config{Interruption: davit.InterruptionEpoch}, davit.ArtifactSettings, false},
		{"explicit", davit.Config{ExplicitBounds: true}, davit.Config{}, 0, true},
		{"guards", davit.Config{}, davit.Config{ExplicitBounds: true}, davit.ArtifactSettings, false},
		{"relaxed", davit.Config{}, davit.Config{DeterministicRelaxedSIMD: true}, davit.ArtifactSettings, false},
		{"features", davit.Config{}, davit.Config{Features: 1}, davit.ArtifactSettings, false},
		{"signed", davit.Config{SigningKey: private}, davit.Config{VerifyKey: public}, 0, true},
		{"unsigned", davit.Config{}, davit.Config{VerifyKey: public}, davit.ArtifactBadSignature, false},
		{"secret", davit.Config{ArtifactSecret: secret}, davit.Config{ArtifactSecret: secret}, 0, true},
		{"other secret", davit.Config{ArtifactSecret: secret}, davit.Config{ArtifactSecret: append(secret, '!')}, davit.ArtifactBadSignature, false},
		{"no secret", davit.Config{}, davit.Config{ArtifactSecret: secret}, davit.ArtifactBadSignature, false},
		{"signature for secret", davit.Config{SigningKey: private}, davit.Config{ArtifactSecret: secret}, davit.ArtifactBadSignature, false},
		{"secret for signature", davit.Config{ArtifactSecret: secret}, davit.Config{VerifyKey: public}, davit.ArtifactBadSignature, false},
		{"unasked secret", davit.Config{ArtifactSecret: secret}, davit.Config{}, 0, true},
		{"processor", davit.Config{CPU: "x86-64-v2"}, davit.Config{}, 0, true},
	} {
		e := newEngine(t, &c.runs)
		data, err := davit.Precompile(ctx, &c.compiled, "x86_64-linux", code)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(t.TempDir(), "x.cwasm")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, load := range []func() (*davit.Module, error){
			func() (*davit.Module, error) { return e.LoadModule(data) },
			func() (*davit.Module, error) { return e.LoadModuleFile(name) },
		} {
			m, err := load()
			var refused *davit.ArtifactError
			switch {
			case c.ok && err != nil, !c.ok && (!errors.As(err, &refused) || refused.Reason != c.reason):
				t.Errorf("%s: %v", c.name, err)
			case c.ok:
				useDivider(t, e, m)
				m.Close()
			}
		}
	}
	if _, err := davit.Precompile(ctx, nil, "sparc-solaris", code); err == nil || !strings.Contains(err.Error(), "sparc") {
		t.Errorf("an unknown target: %v", err)
	}
	if _, err := davit.Precompile(ctx, nil, "x86_64-windows", code); err == nil || !strings.Contains(err.Error(), "no runtime") {
		t.Errorf("a target without a runtime: %v", err)
	}
	if _, err := newEngine(t, nil).LoadModuleFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// TestKeys: what cannot be a key is refused before it is needed.
func TestKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	newEngine(t, nil)
	for _, c := range []struct {
		config davit.Config
		text   string
	}{
		{davit.Config{SigningKey: private[:7]}, "SigningKey has 7 bytes"},
		{davit.Config{VerifyKey: public[:5]}, "VerifyKey has 5 bytes"},
		{davit.Config{ArtifactSecret: []byte("short")}, "ArtifactSecret has 5 bytes"},
		{davit.Config{ArtifactSecret: []byte{}}, "ArtifactSecret has 0 bytes"},
		{davit.Config{ArtifactSecret: private, SigningKey: private}, "both"},
		{davit.Config{ArtifactSecret: private, VerifyKey: public}, "both"},
	} {
		if _, err := davit.NewEngine(&c.config); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%v, want %q", err, c.text)
		}
		if _, err := davit.Precompile(ctx, &c.config, "", []byte("\x00asm\x01\x00\x00\x00")); err == nil || !strings.Contains(err.Error(), c.text) {
			t.Errorf("Precompile: %v, want %q", err, c.text)
		}
	}
}

// TestPrecompiledExample builds the example without the compiler, with an artifact
// inside.
func TestPrecompiledExample(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	newEngine(t, nil)
	dir := t.TempDir()
	folder := filepath.Join(testdata.Root(), "examples", "precompiled")
	text, err := os.ReadFile(filepath.Join(folder, "program", "greet.wat"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := davit.Precompile(ctx, nil, "", assemble(t, string(text)))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "greet.cwasm")
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(folder, "program", "greet.cwasm"): file}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file, data, 0o600), os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "precompiled")
	build := exec.Command("go", "build", "-tags", "davit_nocompile", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, ".")
	build.Dir = folder
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).CombinedOutput()
	if want := "the module says: 42\n42\n"; err != nil || string(out) != want {
		t.Errorf("%v, have %q, want %q", err, out, want)
	}
	list := exec.Command("go", "list", "-tags", "davit_nocompile", "-deps", ".")
	list.Dir = folder
	deps, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(deps), "davit/codegen") {
		t.Error("the compiler is part of the program")
	}
}

// BenchmarkLoad measures how long it takes until a large program that was
// compiled before is an instance whose functions can be called: from a mapped
// file, with and without the checksum of all of it, and from memory. Its memory
// is large: the last one leaves the instance out.
func BenchmarkLoad(b *testing.B) {
	program, err := os.ReadFile(filepath.Join(testdata.Real(b), "esbuild.wasm"))
	if err != nil {
		b.Fatal(err)
	}
	data, err := davit.Precompile(context.Background(), nil, "", program)
	if err != nil {
		b.Skip(err)
	}
	name := filepath.Join(b.TempDir(), "esbuild.cwasm")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		b.Fatal(err)
	}
	checked, err := davit.NewEngine(nil)
	if err != nil {
		b.Skip(err)
	}
	unchecked, err := davit.NewEngine(&davit.Config{UncheckedFiles: true})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name        string
		instantiate bool
		load        func() (*davit.Module, error)
	}{
		{"memory", true, func() (*davit.Module, error) { return checked.LoadModule(data) }},
		{"file", true, func() (*davit.Module, error) { return checked.LoadModuleFile(name) }},
		{"unchecked", true, func() (*davit.Module, error) { return unchecked.LoadModuleFile(name) }},
		{"alone", false, func() (*davit.Module, error) { return unchecked.LoadModuleFile(name) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				m, err := c.load()
				if err != nil {
					b.Fatal(err)
				}
				if c.instantiate {
					instantiateWithStubs(b, m)
				}
				m.Close()
			}
		})
	}
}

// instantiateWithStubs makes an instance of m, whose imports are functions that do
// nothing.
func instantiateWithStubs(b *testing.B, m *davit.Module) {
	s, err := davit.NewStore(m.Engine(), nil)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l := davit.NewLinker(m.Engine())
	l.AllowShadowing(true) // some are imported twice
	for _, im := range m.Imports() {
		err := l.DefineFunc(im.Module, im.Name, *im.Type.Func, func(context.Context, *davit.Caller, []uint64) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	in, err := l.Instantiate(ctx, s, m)
	if err != nil {
		b.Fatal(err)
	}
	if in.Func("_start") == nil {
		b.Fatal("no _start")
	}
}
