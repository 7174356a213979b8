package codegen_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/frontend"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/testdata"
)

// corpus is functions to compile again and again.
type corpus struct {
	name  string
	funcs []*ir.Function
}

// benchmarkCorpora are: the small functions of the run tests, and large ones
// that are like what a compiler for a source language makes.
func benchmarkCorpora(tb testing.TB) []corpus {
	large := corpus{name: "large"}
	for n := range 8 {
		f := ir.NewFunction(ir.Name{}, ir.Signature{})
		buildLarge(new(frontend.Builder), f, uint32(n), 500)
		large.funcs = append(large.funcs, f)
	}
	return []corpus{{"runtests", runtestFunctions(tb)}, large}
}

func runtestFunctions(tb testing.TB) (funcs []*ir.Function) {
	files, err := filepath.Glob(filepath.Join(testdata.Conformance(tb), "clif/filetests/runtests/*.clif"))
	if err != nil {
		tb.Fatal(err)
	}
	isa := target(tb)
	var ctx codegen.Context
	var f ir.Function
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		if !strings.Contains(string(src), "target x86_64") || strings.Contains(string(src), "\nset ") {
			continue
		}
		parsed, err := clif.ParseFile(file, string(src))
		if err != nil {
			tb.Fatal(err)
		}
		for _, g := range parsed.Funcs {
			f.CopyFrom(g.Function)
			// Some need extensions that the target does not have.
			if _, err := ctx.Compile(&f, isa, codegen.Options{}); err == nil {
				funcs = append(funcs, g.Function)
			}
		}
	}
	return funcs
}

var largeSignature = ir.Signature{Params: []ir.Param{{Type: ir.I64}, {Type: ir.I64}}, Returns: []ir.Param{{Type: ir.I64}}, CallConv: ir.SystemV}

// buildLarge makes a function of n statements on ten variables: arithmetic, memory, calls,
// ifs and loops.
func buildLarge(b *frontend.Builder, f *ir.Function, seed uint32, n int) {
	f.Clear()
	f.Name, f.Sig = ir.UserName(0, seed), largeSignature
	callee := f.AddExtFunc(ir.ExtFunc{Name: ir.UserName(1, 0), Sig: f.AddSig(f.Sig)})
	b.Begin(f)
	entry := b.CreateBlock()
	b.SwitchTo(entry)
	b.AppendFunctionParams(entry)
	b.Seal(entry)
	memory := f.Params(entry)[0]
	var vars [10]frontend.Variable
	for i := range vars {
		vars[i] = b.DeclareVar(ir.I64)
		b.DefVar(vars[i], b.Iadd(f.Params(entry)[1], b.Iconst(ir.I64, int64(i))))
	}
	random := seed*2654435761 + 1
	next := func(n int) int { // a linear congruential generator: Numerical Recipes
		random = random*1664525 + 1013904223
		return int(random>>8) % n
	}
	use := func() ir.Value { return b.UseVar(vars[next(len(vars))]) }
	def := func(v ir.Value) { b.DefVar(vars[next(len(vars))], v) }
	type open struct{ head, exit ir.Block } // head only of loops
	stack := make([]open, 0, 6)
	closeOne := func() {
		o := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if o.head != ir.NoBlock {
			b.Brif(b.Icmp(ir.UnsignedLessThan, use(), use()), o.head, nil, o.exit, nil)
			b.Seal(o.head)
		} else {
			b.Jump(o.exit)
		}
		b.Seal(o.exit)
		b.SwitchTo(o.exit)
	}
	for range n {
		switch next(12) {
		case 0, 1:
			def(b.Iadd(use(), use()))
		case 2:
			def(b.Isub(use(), b.Iconst(ir.I64, int64(next(1000)))))
		case 3:
			def(b.Imul(use(), use()))
		case 4:
			def(b.Bxor(use(), b.Ushr(use(), b.Iconst(ir.I64, int64(next(64))))))
		case 5:
			def(b.Select(b.Icmp(ir.SignedGreaterThan, use(), use()), use(), use()))
		case 6, 7:
			def(b.Load(ir.I64, ir.MemTrusted, memory, int32(next(64)*8)))
		case 8:
			b.Store(ir.MemTrusted, use(), memory, int32(next(64)*8))
		case 9:
			if next(4) == 0 {
				def(f.Result(b.Call(callee, use(), use())))
			}
		case 10:
			if len(stack) < cap(stack) {
				then, exit := b.CreateBlock(), b.CreateBlock()
				if next(3) == 0 {
					b.Jump(then)
					b.SwitchTo(then)
					stack = append(stack, open{then, exit})
				} else {
					b.Brif(b.Icmp(ir.Equal, use(), use()), then, nil, exit, nil)
					b.Seal(then)
					b.SwitchTo(then)
					stack = append(stack, open{ir.NoBlock, exit})
				}
			}
		case 11:
			if len(stack) > 0 {
				closeOne()
			}
		}
	}
	for len(stack) > 0 {
		closeOne()
	}
	sum := use()
	for _, v := range vars {
		sum = b.Bxor(sum, b.UseVar(v))
	}
	b.Return(sum)
	if err := b.Finish(); err != nil {
		panic(err)
	}
}

// benchmarkTarget is the target that the benchmarks compile for.
func benchmarkTarget(tb testing.TB, level string, settings ...string) *isa.TargetISA {
	b, err := isa.Lookup("x86_64-linux")
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range append([]string{"opt_level=" + level}, settings...) {
		if err := b.Set(s); err != nil {
			tb.Fatal(err)
		}
	}
	t, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// BenchmarkCompile compiles functions, copied each time as the passes change
// them. It reports functions and megabytes of code per second, the time of each
// pass, and allocations: an operation is the whole corpus.
func BenchmarkCompile(b *testing.B) {
	for _, c := range benchmarkCorpora(b) {
		for _, level := range []string{"none", "speed"} {
			for _, verify := range []string{"true", "false"} {
				name := c.name + "/" + level
				if verify == "true" {
					name += "+verifier"
				}
				t := benchmarkTarget(b, level, "enable_verifier="+verify)
				b.Run(name, func(b *testing.B) { benchmarkCompile(b, c.funcs, t) })
			}
		}
	}
}

func benchmarkCompile(b *testing.B, funcs []*ir.Function, t *isa.TargetISA) {
	var ctx codegen.Context
	var f ir.Function
	times := make([]time.Duration, len(codegen.Passes()))
	bytes := 0
	pass := func() {
		bytes = 0
		for _, g := range funcs {
			f.CopyFrom(g)
			code, err := ctx.Compile(&f, t, codegen.Options{Times: times})
			if err != nil {
				b.Fatal(err)
			}
			bytes += len(code.Text)
		}
	}
	pass()
	clear(times)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		pass()
		n++
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(n*len(funcs))/seconds, "funcs/s")
	b.ReportMetric(float64(n*bytes)/seconds/1e6, "code-MB/s")
	for i, p := range codegen.Passes() {
		b.ReportMetric(float64(times[i].Nanoseconds())/float64(n*len(funcs)), p+"-ns/func")
	}
}

// BenchmarkBuild is the front end's part: variables to SSA form.
func BenchmarkBuild(b *testing.B) {
	b.ReportAllocs()
	var builder frontend.Builder
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	insts, n := 0, 0
	for b.Loop() {
		buildLarge(&builder, f, uint32(n%8), 500)
		insts += f.NumInsts()
		n++
	}
	b.ReportMetric(float64(insts)/b.Elapsed().Seconds(), "insts/s")
}

// TestSteadyState: a Builder and a Context that have seen a function allocate
// nothing for the next one of its size.
func TestSteadyState(t *testing.T) {
	var b frontend.Builder
	f := ir.NewFunction(ir.Name{}, ir.Signature{})
	if n := testing.AllocsPerRun(10, func() { buildLarge(&b, f, 1, 500) }); n > 0 {
		t.Errorf("building allocates %v times", n)
	}
	for _, c := range benchmarkCorpora(t) {
		for _, level := range []string{"none", "speed"} {
			isa := benchmarkTarget(t, level)
			var ctx codegen.Context
			var f ir.Function
			for _, g := range c.funcs {
				pass := func() {
					f.CopyFrom(g)
					if _, err := ctx.Compile(&f, isa, codegen.Options{}); err != nil {
						t.Fatal(err)
					}
				}
				pass()
				if n := testing.AllocsPerRun(1, pass); n > 0 {
					t.Errorf("%s/%s: %v: %v allocations", c.name, level, g.Name, n)
				}
			}
		}
	}
}

// TestCopy: a copy is the same function, and compiling it leaves the original
// as it is.
func TestCopy(t *testing.T) {
	for _, c := range benchmarkCorpora(t) {
		isa := benchmarkTarget(t, "speed")
		var ctx codegen.Context
		var f ir.Function
		var before, after []byte
		for _, g := range c.funcs {
			before = clif.AppendFunction(before[:0], g)
			f.CopyFrom(g)
			if after = clif.AppendFunction(after[:0], &f); string(after) != string(before) {
				t.Errorf("the copy of\n%s\nis\n%s", before, after)
			}
			if _, err := ctx.Compile(&f, isa, codegen.Options{}); err != nil {
				t.Error(err)
			}
			if after = clif.AppendFunction(after[:0], g); string(after) != string(before) {
				t.Errorf("compiling the copy changes\n%s\nto\n%s", before, after)
			}
		}
	}
}
