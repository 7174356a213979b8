package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/sys/cpu"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/layout"
	"github.com/davit-wasm/davit/wasm"
)

// Info is what the note of an artifact says.
type Info struct {
	Version  string // of davit
	Contract string // of compiled code and runtime: see Contract
	Target   string
	CPU      string
	Settings image.Settings
	Features wasm.Features
	Hash     [32]byte // of the module
}

// Bits of settings in the note.
const (
	bitExplicitBounds = 1 << iota
	bitEpoch
	bitDeterministicRelaxedSIMD
	bitFuel
	allBits = 1<<iota - 1
)

// infoOf is the note for an image.
func infoOf(im *image.Image) *Info {
	return &Info{Version(), Contract(), im.Target, im.CPU, im.Settings, im.Features, im.Hash}
}

// append appends the note's contents.
func (x *Info) append(b []byte) []byte {
	w := writer{b}
	w.b = le.AppendUint32(w.b, format)
	for _, s := range []string{x.Version, x.Contract, x.Target, x.CPU} {
		w.string(s)
	}
	bits := uint64(0)
	for i, on := range []bool{x.Settings.ExplicitBounds, x.Settings.Epoch, x.Settings.DeterministicRelaxedSIMD, x.Settings.Fuel} {
		if on {
			bits |= 1 << i
		}
	}
	w.number(bits)
	w.number(uint64(x.Features))
	w.b = append(w.b, x.Hash[:]...)
	return w.b
}

// readInfo reads the note's contents.
func readInfo(b []byte) (*Info, error) {
	if len(b) < 4 {
		return nil, corrupt("the note is too short")
	}
	r := reader{b: b[4:]}
	x := &Info{Version: r.string(), Contract: r.string()}
	if f := le.Uint32(b); f != format && !r.bad {
		return nil, refuse(OtherVersion, "it was made by davit %s, in version %d of the format; this is davit %s, whose format is %d", x.Version, f, Version(), format)
	}
	x.Target, x.CPU = r.string(), r.string()
	bits := r.number()
	x.Settings = image.Settings{
		ExplicitBounds: bits&bitExplicitBounds != 0, Epoch: bits&bitEpoch != 0, DeterministicRelaxedSIMD: bits&bitDeterministicRelaxedSIMD != 0,
		Fuel: bits&bitFuel != 0,
	}
	x.Features = wasm.Features(r.number())
	copy(x.Hash[:], r.bytes(uint64(len(x.Hash))))
	if r.bad || bits&^allBits != 0 {
		return nil, corrupt("the note cannot be read")
	}
	return x, nil
}

// check tells whether this program can run code with this note.
func (x *Info) check() error {
	if x.Contract != Contract() || x.Version != Version() {
		return refuse(OtherVersion, "it was made by another version of davit: %s (%.8s), this is %s (%.8s)", x.Version, x.Contract, Version(), Contract())
	}
	if t, ok := targets[x.Target]; !ok || t.goos != runtime.GOOS || t.goarch != runtime.GOARCH {
		return refuse(OtherTarget, "it is for %s, this is %s/%s", x.Target, runtime.GOOS, runtime.GOARCH)
	}
	var missing []string
	for name := range strings.SplitSeq(x.CPU, ",") {
		if name != "" && !hasExtension(name) {
			missing = append(missing, name)
		}
	}
	if missing != nil {
		return refuse(OtherProcessor, "it is for processors with %s, which this one does not have", strings.Join(missing, ", "))
	}
	return nil
}

// hasExtension reports whether this machine has an instruction set extension, by
// the code generator's name. Go's package does not list all of them: LZCNT comes
// with BMI2 at the latest, F16C with FMA.
func hasExtension(name string) bool {
	c := &cpu.X86
	switch name {
	case "sse3":
		return c.HasSSE3
	case "ssse3":
		return c.HasSSSE3
	case "cmpxchg16b":
		return c.HasCX16
	case "sse41":
		return c.HasSSE41
	case "sse42":
		return c.HasSSE42
	case "popcnt":
		return c.HasPOPCNT
	case "avx":
		return c.HasAVX
	case "avx2":
		return c.HasAVX2
	case "fma", "f16c":
		return c.HasFMA
	case "bmi1":
		return c.HasBMI1
	case "bmi2", "lzcnt":
		return c.HasBMI2
	case "erms":
		return true // what it tells is that an instruction of all processors is fast
	case "avx512f":
		return c.HasAVX512F
	case "avx512dq":
		return c.HasAVX512DQ
	case "avx512bw":
		return c.HasAVX512BW
	case "avx512vl":
		return c.HasAVX512VL
	case "avx512vbmi":
		return c.HasAVX512VBMI
	case "avx512bitalg":
		return c.HasAVX512BITALG
	case "avx512vnni":
		return c.HasAVX512VNNI
	case "avx_vnni":
		return c.HasAVXVNNI
	}
	return false
}

const module = "github.com/davit-wasm/davit"

// Version is the version of davit in this program, as the module system knows
// it. Programs built in davit's own repository, from whichever state of it, have
// none.
var Version = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Path == module {
		return released(info.Main.Version)
	}
	for _, m := range info.Deps {
		if m.Path == module && m.Replace == nil {
			return m.Version
		}
	}
	return development
})

// development is the version of what has not been released.
const development = "(devel)"

// pseudoVersion are versions that the go command makes of a commit.
var pseudoVersion = regexp.MustCompile(`[-.]\d{14}-[0-9a-f]{12}`)

func released(version string) string {
	if version == "" || strings.Contains(version, "+dirty") || pseudoVersion.MatchString(version) {
		return development
	}
	return version
}

// IsDevelopment reports whether the version says nothing about the sources that
// this program was built from.
func IsDevelopment() bool { return Version() == development || Version() == "unknown" }

// Contract identifies what compiled code and runtime must agree about: a sum
// over the texts that define it. During development versions have no names, and
// the same one may stand for different states of the sources.
var Contract = sync.OnceValue(func() string {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", format)
	h.Write([]byte(layout.Source()))
	h.Write([]byte(image.Source()))
	return hex.EncodeToString(h.Sum(nil)[:16])
})
