// Package toy is a small target for the rule compiler's tests: expression trees "lowered" to text.
package toy

//go:generate go run ../../cmd/rulesc -o toy_gen.go toy.rules

import "fmt"

type op uint8

const (
	opArg op = iota
	opAdd
	opSub
	opNeg
	opKonst
	opLoad
)

// Size is the width of a load.
type Size uint8

const (
	size8 Size = iota
	size32
	size64
)

const bigNumber = 1 << 40

// Value is an index into the nodes of a ctx.
type Value int

// Node is an expression. Alternatives lists the nodes that each_node yields for its value.
type Node struct {
	op     op
	a, b   Value
	imm    int64
	size   Size
	others []*Node
}

type ctx struct {
	nodes []*Node
	lea   bool
	notes []string
	calls int // of def
}

func (c *ctx) op(n *Node) op      { return n.op }
func (c *ctx) arg0(n *Node) Value { return n.a }
func (c *ctx) arg1(n *Node) Value { return n.b }
func (c *ctx) imm(n *Node) int64  { return n.imm }
func (c *ctx) size(n *Node) Size  { return n.size }
func (c *ctx) hasLea() bool       { return c.lea }

func (c *ctx) def(v Value) (*Node, bool) {
	c.calls++
	n := c.nodes[v]
	return n, n.op != opArg
}

func (c *ctx) inReg(v Value) string { return fmt.Sprintf("v%d", v) }

func (c *ctx) small(k int64) (int64, bool)   { return k, k >= -128 && k < 128 }
func (c *ctx) large(k int64) (int64, bool)   { return k, k < -128 || k >= 128 }
func (c *ctx) halves(k int64) (int64, int64) { return k >> 8, k & 0xff }
func (c *ctx) sum(a, b int64) int64          { return a - b }

func (c *ctx) exactLog2(k int64) (int64, bool) {
	for i := int64(0); i < 63; i++ {
		if k == 1<<i {
			return i, true
		}
	}
	return 0, false
}

func (c *ctx) op1(name, a string) string          { return name + "(" + a + ")" }
func (c *ctx) op2(name, a, b string) string       { return name + "(" + a + "," + b + ")" }
func (c *ctx) opi(name, a string, k int64) string { return fmt.Sprintf("%s(%s,%d)", name, a, k) }
func (c *ctx) note(s string)                      { c.notes = append(c.notes, s) }
func (c *ctx) text(k int64) string                { return fmt.Sprint(k) }
func (c *ctx) eachNode(v Value, i int) (*Node, int, bool) {
	n := c.nodes[v]
	if i == 0 {
		return n, 1, true
	}
	if i <= len(n.others) {
		return n.others[i-1], i + 1, true
	}
	return nil, 0, false
}

// Labels are texts with a mark.
func (c *ctx) labelText(l string) string { return l[1:] }
func (c *ctx) newLabel(s string) string  { return "#" + s }
func (c *ctx) digits(s string) (string, bool) {
	return s, s != "" && s[0] >= '0' && s[0] <= '9'
}
