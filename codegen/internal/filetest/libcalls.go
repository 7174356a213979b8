package filetest

import (
	"context"
	"encoding/binary"
	"math"
	"math/big"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/jit"
)

// libcalls are the library functions that compiled and interpreted code calls,
// on the bits of their arguments.
var libcalls = map[string]func(args []uint64) (uint64, error){
	"CeilF32":    unary32(math.Ceil),
	"FloorF32":   unary32(math.Floor),
	"TruncF32":   unary32(math.Trunc),
	"NearestF32": unary32(math.RoundToEven),
	"CeilF64":    unary64(math.Ceil),
	"FloorF64":   unary64(math.Floor),
	"TruncF64":   unary64(math.Trunc),
	"NearestF64": unary64(math.RoundToEven),
	"FmaF64": func(a []uint64) (uint64, error) {
		return math.Float64bits(math.FMA(math.Float64frombits(a[0]), math.Float64frombits(a[1]), math.Float64frombits(a[2]))), nil
	},
	"FmaF32": func(a []uint64) (uint64, error) {
		return uint64(fma32(uint32(a[0]), uint32(a[1]), uint32(a[2]))), nil
	},
}

// wideLibcalls are those on values of 128 bits. They are not called with what has
// no result.
var wideLibcalls = map[string]func(r, x, y *big.Int) *big.Int{
	"UdivI128": (*big.Int).Quo,
	"SdivI128": (*big.Int).Quo,
	"UremI128": (*big.Int).Rem,
	"SremI128": (*big.Int).Rem,
}

// wideLibcall is the host function of one of wideLibcalls.
func wideLibcall(name string) jit.HostFunc {
	return func(_ context.Context, slots []byte) error {
		word := func(at int) uint64 { return binary.LittleEndian.Uint64(slots[at:]) }
		value := func(at int) *big.Int {
			v := new(big.Int).SetUint64(word(at + 8))
			if name[0] == 'S' {
				v.SetInt64(int64(word(at + 8)))
			}
			return v.Lsh(v, 64).Add(v, new(big.Int).SetUint64(word(at)))
		}
		r := wideLibcalls[name](new(big.Int), value(0), value(jit.SlotSize))
		low := new(big.Int).And(r, new(big.Int).SetUint64(math.MaxUint64))
		binary.LittleEndian.PutUint64(slots, low.Uint64())
		high := r.Rsh(r, 64)
		high.And(high, new(big.Int).SetUint64(math.MaxUint64))
		binary.LittleEndian.PutUint64(slots[8:], high.Uint64())
		return nil
	}
}

func unary64(f func(float64) float64) func([]uint64) (uint64, error) {
	return func(a []uint64) (uint64, error) { return math.Float64bits(f(math.Float64frombits(a[0]))), nil }
}

func unary32(f func(float64) float64) func([]uint64) (uint64, error) {
	return func(a []uint64) (uint64, error) {
		return uint64(math.Float32bits(float32(f(float64(math.Float32frombits(uint32(a[0]))))))), nil
	}
}

// fma32 is x*y+z rounded once. The product is exact in 64 bits; the sum is
// rounded to odd there, so that rounding it to 32 bits is right.
func fma32(x, y, z uint32) uint32 {
	a, b, c := float64(math.Float32frombits(x)), float64(math.Float32frombits(y)), float64(math.Float32frombits(z))
	p := a * b
	s := p + c
	if math.IsNaN(s) || math.IsInf(s, 0) {
		return math.Float32bits(float32(s))
	}
	// The error of the sum, by Knuth's two-sum.
	t := s - p
	e := (p - (s - t)) + (c - t)
	if e != 0 && math.Float64bits(s)&1 == 0 {
		// The exact sum is not s: move to the neighbour in its direction, which
		// is odd.
		if (e > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return math.Float32bits(float32(s))
}

// libcallSignature is the signature of a library function that the code
// generator itself calls.
func libcallSignature(name ir.Name) (s ir.Signature, ok bool) {
	if wideLibcalls[name.Text] != nil {
		p := ir.Param{Type: ir.I128}
		return ir.Signature{Params: []ir.Param{p, p}, Returns: []ir.Param{p}, CallConv: ir.SystemV}, true
	}
	if libcalls[name.Text] == nil {
		return s, false
	}
	t := ir.F64
	if name.Text[len(name.Text)-2:] == "32" {
		t = ir.F32
	}
	p := ir.Param{Type: t}
	s = ir.Signature{Params: []ir.Param{p}, Returns: []ir.Param{p}, CallConv: ir.SystemV}
	if name.Text[:3] == "Fma" {
		s.Params = []ir.Param{p, p, p}
	}
	return s, true
}

// throwName is a function that the files call to throw.
const throwName = "__cranelift_throw"

// throw takes the frame pointers of entry and exit and the exit's program
// counter, which it does not need, then the tag and the payload.
func throw(_ context.Context, slots []byte) error {
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(slots[i*jit.SlotSize:]) }
	return &jit.Exception{Tag: uint32(word(3)), Payload: [2]uint64{word(4), word(5)}}
}
