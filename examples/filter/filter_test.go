package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// testCompiler has the verifier and the checker of register allocations on.
func testCompiler(t testing.TB, settings ...string) *Compiler {
	c, err := NewCompiler(append(settings, "enable_verifier=true", "regalloc_checker=true")...)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(c.Close)
	return c
}

// interpret is what the interpreter selects.
func interpret[T any](e *Expr[T], records []T) (want []int32) {
	for i := range records {
		if e.Interpret(&records[i]) {
			want = append(want, int32(i))
		}
	}
	return want
}

// same compares all ways to run a filter.
func same[T any](t testing.TB, c *Compiler, src string, records []T) []int32 {
	t.Helper()
	e, err := Parse[T](src)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	want := interpret(e, records)
	closure := e.Closure()
	var got []int32
	for i := range records {
		if closure(&records[i]) {
			got = append(got, int32(i))
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%s: closures select %v, the interpreter %v", src, got, want)
	}
	p, err := Compile(c, e)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	out := make([]int32, len(records))
	n, err := p.Select(context.Background(), records, out)
	if err != nil || !slices.Equal(out[:n], want) {
		t.Fatalf("%s: compiled it selects %v, %v, the interpreter %v", src, out[:n], err, want)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

func TestFilters(t *testing.T) {
	c := testCompiler(t)
	records := []Request{
		0: {},
		1: {Status: 200, Method: "GET", Path: "/", User: "ada", Owner: "ada", Bytes: math.MinInt64, Millis: math.Inf(1), Cached: true, Tries: 255},
		2: {Status: -1, Method: "POST", Path: "/api/users", User: "ada", Owner: "adb", Bytes: 100, Millis: math.NaN()},
		3: {Status: 404, Method: "GE", Path: strings.Repeat("abcdefgh", 12), User: "ad", Bytes: 7, Millis: -0.5, Tries: 1},
		4: {Status: 500, Method: "GETS", Path: strings.Repeat("abcdefgh", 11) + "abcdefgH", Bytes: -7, Millis: 2.5, Tries: 2},
	}
	for _, test := range []struct {
		src  string
		want []int32
	}{
		{`true`, []int32{0, 1, 2, 3, 4}},
		{`false || !true`, nil},
		{`cached`, []int32{1}},
		{`cached == (tries > 200)`, []int32{0, 1, 2, 3, 4}},
		{`!cached && status != 0`, []int32{2, 3, 4}},
		{`status < 0`, []int32{2}},
		{`tries == 255`, []int32{1}},
		{`status + tries * 2 == 406`, []int32{3}},
		{`0x10 + 1 == 17 && status == -1`, []int32{2}},
		{`bytes / status == 0`, []int32{0, 3, 4}},
		{`bytes / -1 == bytes && bytes != 0`, []int32{1}},
		{`bytes / status == -100`, []int32{2}},
		{`bytes % status == 0 && status < 1`, []int32{0, 2}},
		{`bytes % 2 == -1`, []int32{4}},
		{`bytes / 0 == 0`, []int32{0, 1, 2, 3, 4}},
		{`-bytes == 7`, []int32{4}},
		{`millis == millis`, []int32{0, 1, 3, 4}},
		{`millis != 0.0`, []int32{1, 2, 3, 4}},
		{`!(millis < 1) && !(millis >= 1)`, []int32{2}},
		{`millis * 2 == tries + 3.0`, []int32{4}},
		{`1e3 < millis`, []int32{1}},
		{`1e-3 < millis && 25E+1 > millis && 0xe+1 == 15`, []int32{4}},
		{`method == "GET"`, []int32{1}},
		{`method == ""`, []int32{0}},
		{`"GE" != method`, []int32{0, 1, 2, 4}},
		{`method startsWith "GE"`, []int32{1, 3, 4}},
		{`method startsWith ""`, []int32{0, 1, 2, 3, 4}},
		{`path endsWith "users"`, []int32{2}},
		{`"abc" startsWith "ab" && "abc" endsWith "bc" && !("abc" startsWith "b")`, []int32{0, 1, 2, 3, 4}},
		{`path == "` + strings.Repeat("abcdefgh", 12) + `"`, []int32{3}},
		{`path startsWith "` + strings.Repeat("abcdefgh", 11) + `abcdefg"`, []int32{3, 4}},
		{`path endsWith "efghabcdefgH"`, []int32{4}},
		{`user == owner`, []int32{0, 1, 4}},
		{`user != owner || "a" == "a\x00"`, []int32{2, 3}},
	} {
		if got := same(t, c, test.src, records); !slices.Equal(got, test.want) {
			t.Errorf("%s selects %v, not %v", test.src, got, test.want)
		}
	}
	same(t, c, `cached`, records[:0])
}

// TestPrefixes compares constants of every length with strings that differ in
// one byte, or are shorter.
func TestPrefixes(t *testing.T) {
	type record struct{ S string }
	c := testCompiler(t)
	text := "The quick brown fox jumps over the lazy dog; pack my box with five dozen"
	for n := range len(text) {
		records := []record{{text[:n]}, {text}, {text[len(text)-n:]}, {text[:max(n-1, 0)]}}
		for i := range n {
			changed := []byte(text[:n])
			changed[i]++
			records = append(records, record{string(changed)})
		}
		for _, form := range []string{"s == %q", "s startsWith %q", "s endsWith %q"} {
			same(t, c, fmt.Sprintf(form, text[:n]), records)
		}
	}
}

// TestKinds loads fields of every kind.
func TestKinds(t *testing.T) {
	type record struct {
		A      int8
		B      int16
		C      int32
		D      int64
		E      int
		F      uint8
		G      uint16
		H      uint32
		I      float32
		J      float64
		hidden int
	}
	c := testCompiler(t)
	records := []record{
		{-1, -1, -1, -1, -1, 255, 65535, math.MaxUint32, 0.1, 0.1, 0},
		{127, 32767, math.MaxInt32, math.MaxInt64, math.MaxInt, 1, 1, 1, 1, 1, 0},
	}
	for _, f := range "abcdefgh" {
		for _, v := range []int64{-1, 1, 127, 255, 32767, 65535, math.MaxInt32, math.MaxUint32, math.MaxInt64} {
			same(t, c, fmt.Sprintf("%c == %d", f, v), records)
		}
	}
	same(t, c, "i > j && h == 4294967295", records)
	if _, err := Parse[record]("hidden == 0"); err == nil {
		t.Error("a field that is not exported can be used")
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct{ src, want string }{
		{``, "column 1: the expression ends too early"},
		{`status`, "column 1: a filter is a condition, not of type int"},
		{`status == "a"`, "column 8: == needs two values of one type, not int and string"},
		{`status && cached`, "column 8: && needs two conditions, not int and bool"},
		{`millis % 2 == 0`, "column 8: % needs two ints, not float and float"},
		{`cached + 1 == 2`, "column 8: + needs two numbers, not bool and int"},
		{`path < "a"`, "column 6: < needs two numbers, not string and string"},
		{`path startsWith method`, "column 6: what comes after startsWith must be a literal"},
		{`!status == 1`, "column 1: ! needs a condition, not int"},
		{`-cached`, "column 1: - needs a number, not bool"},
		{`(status == 1`, "column 13: the parenthesis of column 1 is not closed"},
		{`status == 1)`, "column 12: unexpected )"},
		{`1 < 2 < 3`, "column 7: comparisons cannot be chained; use &&"},
		{`stat == 1`, `column 1: no field "stat"; there are bytes, cached, method, millis, owner, path, status, tries, user`},
		{`path == "a`, "column 9: a string without an end"},
		{`path == "\q"`, `column 9: "\q" is not a string as Go writes them`},
		{`status == 1x`, "column 11: 1x is not a number that fits"},
		{`status & 1`, "column 8: unexpected '&'"},
		{strings.Repeat("(", 600), "column 501: the expression is more than 500 levels deep"},
		{strings.Repeat("!", 600), "column 501: the expression is more than 500 levels deep"},
		{"true" + strings.Repeat(" && true", 600), "the expression is more than 500 levels deep"},
		{strings.Repeat(" ", maxSource+1), "a filter of 65537 bytes; 65536 are allowed"},
	} {
		_, err := Parse[Request](test.src)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40s: %v; want %s", test.src, err, test.want)
		}
	}
	if _, err := Parse[int]("true"); err == nil {
		t.Error("an int is a record")
	}
}

// generator makes random expressions.
type generator struct{ r *rand.Rand }

func (g *generator) pick(s ...string) string { return s[g.r.IntN(len(s))] }

func (g *generator) expr(t typ, depth int) string {
	if depth == 0 || g.r.IntN(6) == 0 {
		switch t {
		case tBool:
			return g.pick("cached", "true", "false", "!cached")
		case tInt:
			return g.pick("status", "bytes", "tries", "0", "1", "2", "200", "-1", "9223372036854775807")
		case tFloat:
			return g.pick("millis", "0.0", "1.5", "-2.0", "100.0", "1e300")
		}
		return g.pick("method", "path", "user", "owner", `""`, `"GET"`, `"/api/users"`, `"ada"`)
	}
	sub := func(t typ) string { return g.expr(t, depth-1) }
	switch t {
	case tBool:
		switch g.r.IntN(6) {
		case 0:
			return "(" + sub(tBool) + g.pick(" && ", " || ", " == ", " != ") + sub(tBool) + ")"
		case 1:
			return "!(" + sub(tBool) + ")"
		case 2:
			return "(" + sub(tString) + g.pick(` startsWith "/"`, ` startsWith "/api/"`, ` endsWith "o.png"`, ` endsWith "T"`) + ")"
		case 3:
			return "(" + sub(tString) + g.pick(" == ", " != ") + sub(tString) + ")"
		case 4:
			return "(" + sub(tFloat) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + sub(tFloat) + ")"
		}
		return "(" + sub(tInt) + g.pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + sub(tInt) + ")"
	case tInt:
		return "(" + sub(tInt) + g.pick(" + ", " - ", " * ", " / ", " % ") + sub(tInt) + ")"
	case tFloat:
		if g.r.IntN(4) == 0 {
			return "(" + sub(tFloat) + " * " + sub(tInt) + ")"
		}
		return "(" + sub(tFloat) + g.pick(" + ", " - ", " * ", " / ") + sub(tFloat) + ")"
	}
	return g.expr(tString, 0)
}

// TestRandom compares the compiler with the interpreter on random expressions.
func TestRandom(t *testing.T) {
	records := append(requests(40), Request{Bytes: math.MinInt64, Millis: math.NaN(), Status: -1})
	for _, level := range []string{"none", "speed"} {
		c := testCompiler(t, "opt_level="+level)
		g := generator{rand.New(rand.NewPCG(3, 4))}
		for range 300 {
			src := g.expr(tBool, 4)
			same(t, c, src, records)
		}
	}
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{`status >= 500 && path startsWith "/api/"`, `-(bytes / tries) % 3 == 1 || !cached`, `"a" == path && 1e3 > millis`} {
		f.Add(s)
	}
	c := testCompiler(f)
	records := requests(20)
	f.Fuzz(func(t *testing.T, src string) {
		if _, err := Parse[Request](src); err == nil {
			same(t, c, src, records)
		}
	})
}

// filters that the benchmarks run.
var filters = []struct{ name, src string }{
	{"numbers", `status >= 400 && bytes > 1000 && millis < 250.0 || tries > 2`},
	{"arithmetic", `(bytes * 8 + 512) / 1024 > 300 && millis * 1.5 + 10.0 < 150.0 && status - 200 < 300`},
	{"strings", `method == "GET" && path startsWith "/api/" && user != owner`},
	{"mixed", `(status == 500 || status == 503) && !cached && path startsWith "/api/orders" && millis > 20.0 && bytes % 7 != 3`},
}

// BenchmarkSelect runs the filters over records that fit the cache.
func BenchmarkSelect(b *testing.B) {
	records := requests(4096)
	out := make([]int32, len(records))
	c, err := NewCompiler()
	if err != nil {
		b.Skip(err)
	}
	defer c.Close()
	for _, f := range filters {
		e, err := Parse[Request](f.src)
		if err != nil {
			b.Fatal(err)
		}
		want := interpret(e, records)
		run := func(name string, pass func() int) {
			b.Run(f.name+"/"+name, func(b *testing.B) {
				n := 0
				for b.Loop() {
					n = pass()
				}
				if n != len(want) {
					b.Fatalf("%d records, not %d", n, len(want))
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(records)), "ns/record")
			})
		}
		run("interpreter", func() (n int) {
			for i := range records {
				if e.Interpret(&records[i]) {
					out[n] = int32(i)
					n++
				}
			}
			return n
		})
		closure := e.Closure()
		run("closures", func() (n int) {
			for i := range records {
				if closure(&records[i]) {
					out[n] = int32(i)
					n++
				}
			}
			return n
		})
		p, err := Compile(c, e)
		if err != nil {
			b.Fatal(err)
		}
		run("compiled", func() int {
			n, err := p.Select(context.Background(), records, out)
			if err != nil {
				b.Fatal(err)
			}
			return n
		})
	}
}

// BenchmarkCompile is the time from text to code that can be called.
func BenchmarkCompile(b *testing.B) {
	c, err := NewCompiler()
	if err != nil {
		b.Skip(err)
	}
	defer c.Close()
	for _, f := range filters {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			size := 0
			for b.Loop() {
				e, err := Parse[Request](f.src)
				if err != nil {
					b.Fatal(err)
				}
				p, err := Compile(c, e)
				if err != nil {
					b.Fatal(err)
				}
				size = p.Size()
				if err := p.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(size), "code-bytes")
		})
	}
}
