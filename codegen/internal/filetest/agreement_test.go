package filetest

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/jit"
	"github.com/davit-wasm/davit/codegen/verifier"
	"github.com/davit-wasm/davit/internal/testdata"
)

// interesting are words that arithmetic goes wrong on.
var interesting = []uint64{
	0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000,
	1<<63 - 1, 1 << 63, ^uint64(0), ^uint64(1), 0x8080_8080_8080_8080, 0x7f7f_7f7f_7f7f_7f7f,
	0x3f80_0000, 0xbf80_0000, 0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0x0000_0001, 0x8000_0000, 0x4f00_0000, 0xcf00_0000, 0x5f00_0000, 0x3f00_0000,
	0x3ff0_0000_0000_0000, 0xbff0_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001,
	0x41e0_0000_0000_0000, 0xc1e0_0000_0000_0000, 0x43e0_0000_0000_0000, 0x3fe0_0000_0000_0000, 0x4330_0000_0000_0001, 0x7fef_ffff_ffff_ffff,
}

func randomWord(rng *rand.Rand, lane int) (w uint64) {
	if lane < 32 {
		if rng.IntN(2) == 0 {
			return rng.Uint64()
		}
		for i := 0; i < 64; i += lane {
			w |= interesting[rng.IntN(len(interesting))] & (1<<lane - 1) << i
		}
		return w
	}
	pick := func() uint64 {
		switch rng.IntN(4) {
		case 0:
			return rng.Uint64()
		case 1:
			return rng.Uint64() >> rng.IntN(64)
		}
		return interesting[rng.IntN(len(interesting))]
	}
	if lane == 32 {
		return pick()&0xffff_ffff | pick()<<32
	}
	return pick()
}

// closed tells whether a function depends on nothing but its arguments: it
// accesses no memory but its stack slots and calls nothing.
func closed(f *ir.Function) bool {
	for b := f.Entry(); b != ir.NoBlock; b = f.NextBlock(b) {
		for i := f.FirstInst(b); i != ir.NoInst; i = f.NextInst(i) {
			switch op := f.Inst(i).Op; op {
			case ir.OpGetFramePointer, ir.OpGetStackPointer, ir.OpGetReturnAddress, ir.OpGetPinnedReg, ir.OpSetPinnedReg, ir.OpSymbolValue,
				ir.OpStackAddr, ir.OpFuncAddr, ir.OpDebugtrap, ir.OpTlsValue:
				return false
			default:
				if op.IsCall() || op.Flags()&(ir.FlagLoad|ir.FlagStore) != 0 && op != ir.OpFence {
					return false
				}
			}
		}
	}
	for _, list := range [...][]ir.Param{f.Sig.Params, f.Sig.Returns} {
		for _, p := range list {
			if p.Type.Bits() > 128 || p.Type.IsDynamic() || p.Purpose != ir.Normal {
				return false
			}
		}
	}
	return len(f.Sig.Returns) > 0
}

// TestAgreement calls every function of the suite that depends on nothing but
// its arguments with random ones, compiled and interpreted: results and traps
// must be the same, but for the bits of NaNs. Code is made for this machine, and
// for the least of its kind with both register allocators.
func TestAgreement(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	b, err := isa.Host()
	if err != nil {
		t.Skip(err)
	}
	host, err := b.Finish()
	if err != nil {
		t.Fatal(err)
	}
	targets := []*isa.TargetISA{host}
	for _, algorithm := range []string{"backtracking", "single_pass"} {
		b, err := isa.Lookup("x86_64")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Set("regalloc_algorithm=" + algorithm); err != nil {
			t.Fatal(err)
		}
		plain, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, plain)
	}
	root := filepath.Join(testdata.Conformance(t), "clif", "filetests")
	rng := rand.New(rand.NewPCG(11, 12))
	calls, traps, funcs := 0, 0, 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".clif" {
			return err
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := clif.ParseFile(path, string(src))
		if err != nil {
			return err
		}
		var again []*clif.File
		var mods []*jit.Module
		for _, target := range targets {
			parsed, err := clif.ParseFile(path, string(src))
			if err != nil {
				return err
			}
			m := jit.New(target)
			defer m.Close()
			again, mods = append(again, parsed), append(mods, m)
		}
		var list []*clif.Func
		for i, fn := range file.Funcs {
			if !closed(fn.Function) || verifier.Verify(fn.Function, verifier.Options{PointerType: ir.I64}) != nil {
				continue
			}
			fn.Function.Name = ir.UserName(77, uint32(i)) // names may be there twice
			ok := true
			for k, m := range mods {
				g := again[k].Funcs[i].Function
				g.Name = fn.Function.Name
				_, err := m.Define(g)
				ok = ok && err == nil
			}
			if ok {
				list = append(list, fn)
			}
		}
		for _, m := range mods {
			for _, name := range m.Undefined() {
				sig, ok := libcallSignature(name)
				if !ok {
					t.Fatalf("%s: %v is not defined", path, name)
				}
				if _, err := m.DefineHost(name, sig, hostFunction(name, &sig)); err != nil {
					t.Fatal(err)
				}
			}
			if err := m.Finalize(); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
		}
		for _, fn := range list {
			funcs++
			im := interp.Machine{Fuel: 100_000}
			im.Define(fn.Function)
			for range 8 {
				run := &clif.Run{Func: fn.Function.Name}
				for _, p := range fn.Sig.Params {
					v := clif.Data{Type: p.Type, Lo: randomWord(rng, p.Type.LaneBits()), Hi: randomWord(rng, p.Type.LaneBits())}
					if n := p.Type.Bits(); n <= 64 {
						v.Hi = 0
						v.Lo &= 1<<(n-1)<<1 - 1
					}
					run.Args = append(run.Args, v)
				}
				want, err := callInterpreted(&im, &runLine{fn: fn, run: run})
				var trap *interp.Trap
				if err != nil && !errors.As(err, &trap) {
					break // not supported, or too slow
				}
				calls++
				for _, m := range mods {
					got, err := callCompiled(m, run)
					var ct *jit.Trap
					if trap != nil {
						traps++
						if !errors.As(err, &ct) || ct.Code != trap.Code {
							t.Errorf("%s:%d: (%s): got %v %v, want trap %v", path, fn.Line, join(run.Args), join(got), err, trap.Code)
						}
						continue
					}
					if err != nil {
						t.Errorf("%s:%d: (%s): %v, want %s", path, fn.Line, join(run.Args), err, join(want))
					} else if !slices.Equal(anyNaN(got), anyNaN(want)) {
						t.Errorf("%s:%d: (%s): got %s, want %s", path, fn.Line, join(run.Args), join(got), join(want))
					}
				}
				if t.Failed() && calls > 200_000 {
					t.FailNow()
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d calls of %d functions, %d traps", calls, funcs, traps)
	if calls < 40_000 {
		t.Errorf("only %d calls", calls)
	}
}
