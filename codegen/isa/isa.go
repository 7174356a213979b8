// Package isa names the targets of the code generator and holds their
// settings: flags that all targets share ([Shared]) and instruction set
// extensions ([X64]).
//
// A [TargetISA] is made in three steps:
//
//	b, err := isa.Lookup("x86_64-linux")   // or isa.Host()
//	err = b.Set("opt_level=speed")         // shared and target flags alike, as in .clif files
//	t, err := b.Finish()
package isa

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/davit-wasm/davit/codegen/ir"
)

// Arch is an architecture.
type Arch uint8

// Architectures.
const (
	UnknownArch Arch = iota
	X86_64
	AArch64
	S390x
	RISCV64
)

var archNames = [...]string{"unknown", "x86_64", "aarch64", "s390x", "riscv64"}

func (a Arch) String() string { return archNames[a] }

// Triple is the parsed name of a target: architecture, then vendor, operating
// system and environment as far as they are given.
type Triple struct {
	Arch Arch
	OS   string // "linux", "darwin", "windows", "freebsd" or "unknown"
}

func (t Triple) String() string { return t.Arch.String() + "-" + t.OS }

// ErrUnknownArch is wrapped by errors for names of no architecture, and
// ErrNoBackend for architectures that there is no back end for.
var (
	ErrUnknownArch = errors.New("unknown architecture")
	ErrNoBackend   = errors.New("no code generator for this architecture")
)

// ParseTriple reads a target's name, such as x86_64, aarch64-linux or
// x86_64-unknown-linux-gnu.
func ParseTriple(s string) (Triple, error) {
	parts := strings.Split(s, "-")
	t := Triple{OS: "unknown"}
	switch a := parts[0]; {
	case a == "x86_64" || a == "amd64":
		t.Arch = X86_64
	case a == "aarch64" || a == "arm64":
		t.Arch = AArch64
	case a == "s390x":
		t.Arch = S390x
	case strings.HasPrefix(a, "riscv64"):
		t.Arch = RISCV64
	default:
		return t, fmt.Errorf("target %q: %w", s, ErrUnknownArch)
	}
	for _, p := range parts[1:] {
		for _, os := range [...][2]string{{"linux", "linux"}, {"darwin", "darwin"}, {"macos", "darwin"}, {"windows", "windows"}, {"freebsd", "freebsd"}} {
			if strings.HasPrefix(p, os[0]) {
				t.OS = os[1]
			}
		}
	}
	return t, nil
}

// HostTriple is the target that this program runs on.
func HostTriple() Triple {
	t, _ := ParseTriple(runtime.GOARCH)
	t.OS = runtime.GOOS
	return t
}

// Builder collects settings for a target.
type Builder struct {
	isa TargetISA
}

// Lookup begins a target with default settings and no optional instruction set
// extensions.
func Lookup(triple string) (*Builder, error) {
	t, err := ParseTriple(triple)
	if err != nil {
		return nil, err
	}
	if t.Arch != X86_64 {
		return nil, fmt.Errorf("target %q: %w", triple, ErrNoBackend)
	}
	b := &Builder{}
	b.isa.Triple = t
	b.isa.Shared = DefaultShared()
	b.isa.X64 = baselineX64()
	return b, nil
}

// Host begins the target that this program runs on, with the instruction set
// extensions that its processor and operating system have.
func Host() (*Builder, error) {
	t := HostTriple()
	if t.Arch == UnknownArch {
		return nil, fmt.Errorf("%s/%s: %w", runtime.GOOS, runtime.GOARCH, ErrNoBackend)
	}
	b, err := Lookup(t.String())
	if err != nil {
		return nil, err
	}
	b.isa.X64 = hostX64()
	return b, nil
}

// Finish is the target as set. The Builder may be used further.
func (b *Builder) Finish() (*TargetISA, error) {
	t := b.isa
	if t.X64.HasAVX2 && !t.X64.HasAVX || t.X64.HasFMA && !t.X64.HasAVX {
		return nil, errors.New("has_avx2 and has_fma need has_avx")
	}
	return &t, nil
}

// TargetISA is a target with all settings: what code is compiled for. It is not
// to be changed and may be shared.
type TargetISA struct {
	Triple Triple
	Shared Shared
	X64    X64
}

// PointerType is the type of addresses.
func (t *TargetISA) PointerType() ir.Type { return ir.I64 }

// DefaultCallConv is the convention of the target's operating system.
func (t *TargetISA) DefaultCallConv() ir.CallConv {
	switch {
	case t.Triple.Arch == X86_64 && t.Triple.OS == "windows":
		return ir.WindowsFastcall
	case t.Triple.Arch == AArch64 && t.Triple.OS == "darwin":
		return ir.AppleAarch64
	}
	return ir.SystemV
}

// CPU lists the optional extensions that code for t may use, comma-separated in
// a fixed order. Code runs on a processor that has all of them.
func (t *TargetISA) CPU() string {
	var names []string
	for i := range x64Flags {
		if f := &x64Flags[i]; *f.field(&t.X64) {
			names = append(names, strings.TrimPrefix(f.name, "has_"))
		}
	}
	return strings.Join(names, ",")
}
