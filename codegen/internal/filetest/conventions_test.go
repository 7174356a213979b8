package filetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/jit"
)

var (
	callTypes       = []string{"i8", "i16", "i32", "i64", "i128", "f32", "f64", "i8x16"}
	callConventions = []string{"system_v", "fast", "tail", "windows_fastcall", "winch"}
)

// callChain is the text of a chain of functions with random signatures and
// conventions. Each passes its parameters on to the next, in another order and
// some of them more than once, by a call of a random kind, and returns some of its own
// and some of the results, so that each kind of value lives over the call.
func callChain(r *rand.Rand, n int) string {
	type function struct {
		conv            string
		params, results []string // types
	}
	list := func(most int) (types []string) {
		for range r.IntN(most + 1) {
			types = append(types, callTypes[r.IntN(len(callTypes))])
		}
		return types
	}
	extended := func(types []string) string {
		var s []string
		for _, t := range types {
			// Narrow integers have junk above them unless something else is said.
			if k := r.IntN(6); k < 2 && (t == "i8" || t == "i16" || t == "i32") {
				t += [...]string{" uext", " sext"}[k]
			}
			s = append(s, t)
		}
		return strings.Join(s, ", ")
	}
	funcs := make([]function, n)
	for i := range funcs {
		funcs[i] = function{callConventions[r.IntN(len(callConventions))], list(14), list(9)}
	}
	var text strings.Builder
	signatures := make([]string, n)
	for i, f := range funcs {
		signatures[i] = "(" + extended(f.params) + ")"
		if len(f.results) > 0 {
			signatures[i] += " -> " + extended(f.results)
		}
		signatures[i] += " " + f.conv
	}
	for i, f := range funcs {
		fmt.Fprintf(&text, "function %%f%d%s {\n", i, signatures[i])
		if i+1 < n {
			colocated := [...]string{"", "colocated "}[r.IntN(2)]
			fmt.Fprintf(&text, "    sig0 = %s\n    fn0 = %s%%f%d%s\n", signatures[i+1], colocated, i+1, signatures[i+1])
		}
		values := map[string][]string{}
		next := 0
		define := func(t string) string {
			v := fmt.Sprintf("v%d", next)
			next++
			values[t] = append(values[t], v)
			return v
		}
		text.WriteString("block0")
		sep := "("
		for _, t := range f.params {
			fmt.Fprintf(&text, "%s%s: %s", sep, define(t), t)
			sep = ", "
		}
		if sep == ", " {
			text.WriteString(")")
		}
		text.WriteString(":\n")
		// take is a value of type t, a new one if there is none.
		take := func(t string) string {
			if have := values[t]; len(have) > 0 && r.IntN(5) != 0 {
				return have[r.IntN(len(have))]
			}
			k := r.IntN(100)
			switch t {
			case "i128":
				a := next
				next++
				v := define(t)
				fmt.Fprintf(&text, "    v%d = iconst.i64 %d\n    %s = uextend.i128 v%d\n", a, k, v, a)
				return v
			case "i8x16":
				a := next
				next++
				v := define(t)
				fmt.Fprintf(&text, "    v%d = iconst.i8 %d\n    %s = splat.i8x16 v%d\n", a, k, v, a)
				return v
			case "f32", "f64":
				v := define(t)
				fmt.Fprintf(&text, "    %s = %sconst 0x%x.0p0\n", v, t, k)
				return v
			}
			v := define(t)
			fmt.Fprintf(&text, "    %s = iconst.%s %d\n", v, t, k)
			return v
		}
		takeAll := func(types []string) string {
			var s []string
			for _, t := range types {
				s = append(s, take(t))
			}
			return strings.Join(s, ", ")
		}
		if i+1 < n {
			to := funcs[i+1]
			args := takeAll(to.params)
			kind := r.IntN(4)
			if to.conv == "tail" && f.conv == "tail" && slices.Equal(to.results, f.results) {
				fmt.Fprintf(&text, "    return_call fn0(%s)\n}\n", args)
				continue
			}
			if to.conv == "windows_fastcall" {
				kind &= 1 // has no exceptions
			}
			callee := "fn0"
			if kind&1 != 0 {
				callee = fmt.Sprintf("v%d", next)
				next++
				fmt.Fprintf(&text, "    %s = func_addr.i64 fn0\n", callee)
			}
			var results []string
			for _, t := range to.results {
				results = append(results, define(t))
			}
			switch kind {
			case 0, 1:
				text.WriteString("    ")
				if len(results) > 0 {
					text.WriteString(strings.Join(results, ", ") + " = ")
				}
				if kind == 0 {
					fmt.Fprintf(&text, "call fn0(%s)\n", args)
				} else {
					fmt.Fprintf(&text, "call_indirect sig0, %s(%s)\n", callee, args)
				}
			default:
				var params, rets []string
				for k, v := range results {
					params = append(params, v+": "+to.results[k])
					rets = append(rets, fmt.Sprintf("ret%d", k))
				}
				handlers := [...]string{"", " default: block2 "}[r.IntN(2)]
				if kind == 2 {
					fmt.Fprintf(&text, "    try_call fn0(%s), sig0, block1(%s), [%s]\n", args, strings.Join(rets, ", "), handlers)
				} else {
					fmt.Fprintf(&text, "    try_call_indirect %s(%s), sig0, block1(%s), [%s]\n", callee, args, strings.Join(rets, ", "), handlers)
				}
				if handlers != "" {
					text.WriteString("block2:\n    trap user1\n")
				}
				text.WriteString("block1")
				if len(params) > 0 {
					text.WriteString("(" + strings.Join(params, ", ") + ")")
				}
				text.WriteString(":\n")
			}
		}
		results := takeAll(f.results)
		fmt.Fprintf(&text, "    return %s\n}\n", results)
	}
	return text.String()
}

// TestConventions calls through chains of functions of all conventions, compiled
// and interpreted.
func TestConventions(t *testing.T) {
	if err := jit.Supported(); err != nil {
		t.Skip(err)
	}
	seeds := uint64(400)
	if testing.Short() {
		seeds = 60
	}
	var targets []*isa.TargetISA
	for _, settings := range [][]string{{}, {"regalloc_algorithm=single_pass", "is_pic"}, {"enable_llvm_abi_extensions", "opt_level=speed"}} {
		b, err := isa.Host()
		if err != nil {
			t.Skip(err)
		}
		for _, s := range settings {
			if err := b.Set(s); err != nil {
				t.Fatal(err)
			}
		}
		target, err := b.Finish()
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 5))
		text := callChain(r, 2+r.IntN(4))
		file, err := clif.ParseFile("chain", text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		first := file.Funcs[0]
		im := interp.Machine{Fuel: 100_000}
		for _, fn := range file.Funcs {
			im.Define(fn.Function)
		}
		run := &clif.Run{Func: first.Function.Name}
		for _, p := range first.Sig.Params {
			v := clif.Data{Type: p.Type, Lo: r.Uint64(), Hi: r.Uint64()}
			if n := p.Type.Bits(); n <= 64 {
				v.Hi = 0
				v.Lo &= 1<<(n-1)<<1 - 1
			}
			run.Args = append(run.Args, v)
		}
		want, err := callInterpreted(&im, &runLine{fn: first, run: run})
		if err != nil {
			t.Fatalf("seed %d: interpreter: %v\n%s", seed, err, text)
		}
		for k, target := range targets {
			again, err := clif.ParseFile("chain", text)
			if err != nil {
				t.Fatal(err)
			}
			m := jit.New(target)
			for _, fn := range again.Funcs {
				if _, err := m.DefineWith(fn.Function, codegen.Options{CheckRegalloc: true, KeepPanics: true}); err != nil {
					t.Fatalf("seed %d, target %d: %v\n%s", seed, k, err, text)
				}
			}
			if err := m.Finalize(); err != nil {
				t.Fatalf("seed %d, target %d: %v\n%s", seed, k, err, text)
			}
			got, err := callCompiled(m, run)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("seed %d, target %d: (%s): got %s %v, want %s\n%s", seed, k, join(run.Args), join(got), err, join(want), text)
			}
			m.Close()
			if t.Failed() {
				return
			}
		}
	}
}
