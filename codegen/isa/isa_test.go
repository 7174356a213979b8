package isa

import (
	"errors"
	"strings"
	"testing"
)

func TestParseTriple(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Triple
	}{
		{"x86_64", Triple{X86_64, "unknown"}},
		{"x86_64-unknown-linux-gnu", Triple{X86_64, "linux"}},
		{"amd64-windows", Triple{X86_64, "windows"}},
		{"aarch64-apple-darwin", Triple{AArch64, "darwin"}},
		{"aarch64-apple-macosx11.0", Triple{AArch64, "darwin"}},
		{"riscv64gc-unknown-freebsd", Triple{RISCV64, "freebsd"}},
		{"s390x", Triple{S390x, "unknown"}},
	} {
		got, err := ParseTriple(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: %v, %v, want %v", c.in, got, err, c.want)
		}
	}
	if _, err := ParseTriple("pdp11-unix"); !errors.Is(err, ErrUnknownArch) {
		t.Errorf("pdp11: %v", err)
	}
	if _, err := Lookup("s390x-linux"); !errors.Is(err, ErrNoBackend) {
		t.Errorf("s390x: %v", err)
	}
}

func TestSettings(t *testing.T) {
	b, err := Lookup("x86_64")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"opt_level=speed", "enable_verifier=false", "is_pic", "tls_model=elf_gd", "probestack_size_log2=14", "haswell", "has_avx512f=true", "has_bmi2=false", "enable_native_stack_check=1"} {
		if err := b.Set(s); err != nil {
			t.Error(err)
		}
	}
	isa, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	s, x := isa.Shared, isa.X64
	if s.OptLevel != OptSpeed || s.Verifier || !s.PIC || s.TLSModel != TLSElfGD || s.ProbestackSize != 14 || !s.NativeStackCheck {
		t.Errorf("shared settings %+v", s)
	}
	if !x.HasAVX2 || !x.HasFMA || !x.HasBMI1 || x.HasBMI2 || !x.HasAVX512F || x.HasAVX512DQ {
		t.Errorf("extensions %+v", x)
	}
	if got, want := isa.CPU(), "sse3,ssse3,cmpxchg16b,sse41,sse42,popcnt,avx,avx2,fma,f16c,bmi1,lzcnt,avx512f"; got != want {
		t.Errorf("CPU %s, want %s", got, want)
	}
	for _, s := range []string{"opt_level=fast", "enable_verifier=maybe", "probestack_size_log2=64", "probestack_size_log2=x", "no_such_flag", "has_lse", "haswell=true", "tls_model"} {
		if err := b.Set(s); err == nil {
			t.Errorf("%s is accepted", s)
		} else if name, _, _ := strings.Cut(s, "="); !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v does not name the setting", s, err)
		}
	}
	// What was finished does not change any more.
	if err := b.Set("opt_level=none"); err != nil || isa.Shared.OptLevel != OptSpeed {
		t.Errorf("a finished target changed, or %v", err)
	}
}

func TestDependentExtensions(t *testing.T) {
	b, err := Lookup("x86_64")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Set("has_avx2"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Finish(); err == nil {
		t.Error("AVX2 without AVX is accepted")
	}
}

// TestMissingOnHost: extensions that this machine does not have are named.
func TestMissingOnHost(t *testing.T) {
	if HostTriple().Arch != X86_64 {
		t.Skip("extensions are those of x86-64")
	}
	host, err := Host()
	if err != nil {
		t.Fatal(err)
	}
	target, err := host.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if m := target.MissingOnHost(); len(m) > 0 {
		t.Errorf("this machine lacks %v of its own", m)
	}
	for i := range x64Flags {
		f := &x64Flags[i]
		more := *target
		*f.field(&more.X64) = true
		want := 0
		if !*f.field(&target.X64) {
			want = 1
		}
		if m := more.MissingOnHost(); len(m) != want || want == 1 && m[0] != f.name {
			t.Errorf("with %s: %v", f.name, m)
		}
	}
}
