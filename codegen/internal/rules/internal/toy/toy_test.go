package toy

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/davit-wasm/davit/codegen/internal/rules"
)

func TestGeneratedIsUpToDate(t *testing.T) {
	want, err := rules.CompileFiles([]string{"toy.rules"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("toy_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("toy_gen.go is not what toy.rules generates: run go generate")
	}
}

// nodes: v0, v1 are arguments; the rest as given.
func newCtx(ns ...*Node) *ctx {
	return &ctx{nodes: append([]*Node{{op: opArg}, {op: opArg}}, ns...)}
}

func TestLower(t *testing.T) {
	k := func(v int64) *Node { return &Node{op: opKonst, imm: v} }
	for _, tt := range []struct {
		name string
		c    *ctx // the last node is lowered
		lea  bool
		want string
	}{
		{"plain", newCtx(&Node{op: opAdd, a: 0, b: 1}), false, "add(v0,v1)"},
		{"equal operands", newCtx(&Node{op: opAdd, a: 1, b: 1}), false, "shl1(v1,v1)"},
		{"small constant", newCtx(k(5), &Node{op: opAdd, a: 0, b: 2}), false, "addi(v0,5)"},
		{"literal", newCtx(k(1), &Node{op: opAdd, a: 0, b: 2}), false, "inc(v0)"},
		{"implicit conversion of the result", newCtx(k(0), &Node{op: opAdd, a: 1, b: 2}), false, "v1"},
		{"nested", newCtx(&Node{op: opNeg, a: 1}, &Node{op: opAdd, a: 0, b: 2}), false, "sub(v0,v1)"},
		{"guard holds", newCtx(k(500), &Node{op: opAdd, a: 1, b: 2}, &Node{op: opAdd, a: 0, b: 3}), true, "lea(pair(v0,v1),500)"},
		{"guard fails", newCtx(k(500), &Node{op: opAdd, a: 1, b: 2}, &Node{op: opAdd, a: 0, b: 3}), false, "add(v0,v3)"},
		{"let", newCtx(k(0x205), &Node{op: opAdd, a: 0, b: 2}), false, "addlo(addhi(v0,2),5)"},
		{"guard's result matched", newCtx(k(9), k(4), &Node{op: opSub, a: 2, b: 3}), false, "sum(none(r0),5)"},
		{"guard's result doesn't match", newCtx(k(900), k(4), &Node{op: opSub, a: 2, b: 3}), false, "sub(v2,v3)"},
		{"named constant and partial guard", newCtx(k(64), k(bigNumber), &Node{op: opSub, a: 2, b: 3}), false, "log(r0,6)"},
		{"partial guard fails", newCtx(k(65), k(bigNumber), &Node{op: opSub, a: 2, b: 3}), false, "sub(v2,v3)"},
		{"enum", newCtx(&Node{op: opLoad, size: size32, a: 1}), false, "load32(v1)"},
		{"higher priority beside an enum", newCtx(&Node{op: opAdd, a: 0, b: 1}, &Node{op: opLoad, size: size64, a: 2}), false, "any(v0,then(v0,v1))"},
		{"no rule", newCtx(&Node{op: opLoad, size: size64, a: 1}), false, "none"},
	} {
		tt.c.lea = tt.lea
		got, ok := tt.c.lower(tt.c.nodes[len(tt.c.nodes)-1])
		if !ok {
			got = "none"
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestSharing holds that a test which several rules need is made once.
func TestSharing(t *testing.T) {
	c := newCtx(&Node{op: opKonst, imm: 77777}, &Node{op: opAdd, a: 0, b: 2})
	c.lower(c.nodes[3])
	if c.calls != 1 || !slices.Equal(c.notes, []string{"split"}) {
		t.Errorf("def called %d times, notes %v; want 1 and [split]", c.calls, c.notes)
	}
}

func TestMulti(t *testing.T) {
	c := newCtx(&Node{op: opKonst, imm: 7})
	c.nodes = append(c.nodes, &Node{op: opAdd, others: []*Node{{op: opKonst, imm: 7}, {op: opNeg}, {op: opSub, a: 2}}})
	got := c.forms(3, nil)
	if want := []string{"add", "7", "seven", "7", "forms2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	buf := make([]string, 0, 8)
	if n := testing.AllocsPerRun(100, func() { buf = c.forms(0, buf[:0]) }); n != 0 {
		t.Errorf("%v allocations for a multi term with room in its result", n)
	}
}

// TestCommutative: both orders of operands match, but no rule does so twice for
// one of them.
func TestCommutative(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    *ctx
		want []string
	}{
		{"negated second", newCtx(&Node{op: opNeg, a: 1}, &Node{op: opAdd, a: 1, b: 2}), []string{"negated", "node"}},
		{"negated first", newCtx(&Node{op: opNeg, a: 1}, &Node{op: opAdd, a: 2, b: 1}), []string{"negated", "node"}},
		{"negation of another", newCtx(&Node{op: opNeg, a: 0}, &Node{op: opAdd, a: 2, b: 1}), []string{"node"}},
		{"nested", newCtx(&Node{op: opLoad, size: size8, a: 1}, &Node{op: opAdd, a: 1, b: 2}), []string{"loaded", "node"}},
		{"constant second", newCtx(&Node{op: opKonst, imm: 5}, &Node{op: opAdd, a: 1, b: 2}), []string{"5", "node"}},
		{"constant first, which is not tried", newCtx(&Node{op: opKonst, imm: 5}, &Node{op: opAdd, a: 2, b: 1}), []string{"node"}},
	} {
		got := tt.c.cancels(tt.c.nodes[len(tt.c.nodes)-1], nil)
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestConversion: a conversion may have another term in expressions than in
// patterns.
func TestConversion(t *testing.T) {
	var c ctx
	for label, want := range map[string]string{".12": "#12", ".x": ".x"} {
		if got := c.rename(label); got != want {
			t.Errorf("%s: got %s, want %s", label, got, want)
		}
	}
}

func TestOrdered(t *testing.T) {
	c := newCtx()
	for _, tt := range []struct {
		a, b int64
		want string
	}{{0, 0, "zero"}, {3, 3, "same"}, {0, 5, "left"}, {4, 5, "5"}, {400, 5, "other"}} {
		if got := c.classify(tt.a, tt.b); got != tt.want {
			t.Errorf("classify(%d, %d) = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestOutlinedCases(t *testing.T) {
	c := newCtx()
	for _, tt := range []struct {
		a, b int64
		want string
	}{{0, 9, "nought"}, {1, 1000, "one"}, {1, 1, "small one"}, {5, 7, "five sevens"}, {5, 1000, "1000"}, {5, 8, "8"}, {7, 0, "seven"}, {8, 3, "3"}} {
		if got := c.digit(tt.a, tt.b); got != tt.want {
			t.Errorf("digit(%d, %d) = %s, want %s", tt.a, tt.b, got, tt.want)
		}
	}
}
