package codegen_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// randomFunc writes a function of random instructions and computes, while it writes, what the function returns for the
// arguments it was made with. The instructions are those that selection likes to merge: arithmetic with constants, loads and
// stores of a stack slot through addresses of all shapes, comparisons on their way to branches and selects.
type randomFunc struct {
	r      *rand.Rand
	w      strings.Builder
	values [5][]randomValue // by binary logarithm of the width in bits, less 3; floats of 64 bits last
	next   int
	block  int
	memory [64]byte
	live   bool // the code being written is on the path that is taken
}

type randomValue struct {
	name string
	bits uint64
}

const randomF64 = 4

var randomTypes = [5]string{"i8", "i16", "i32", "i64", "f64"}

func (g *randomFunc) width(t int) int   { return 8 << t }
func (g *randomFunc) mask(t int) uint64 { return ^uint64(0) >> (64 - g.width(t)) }
func (g *randomFunc) signed(t int, x uint64) int64 {
	n := 64 - g.width(t)
	return int64(x<<n) >> n
}

func (g *randomFunc) define(t int, bits uint64, format string, args ...any) randomValue {
	v := randomValue{fmt.Sprintf("v%d", g.next), bits}
	if t != randomF64 {
		v.bits &= g.mask(t)
	}
	g.next++
	fmt.Fprintf(&g.w, "    %s = %s\n", v.name, fmt.Sprintf(format, args...))
	g.values[t] = append(g.values[t], v)
	return v
}

// constant makes a constant, often one at the edge of what an immediate can be.
func (g *randomFunc) constant(t int) randomValue {
	var k uint64
	switch g.r.IntN(6) {
	case 0:
		k = uint64(g.r.IntN(5)) - 2
	case 1:
		k = 1<<g.r.IntN(64) - uint64(g.r.IntN(2))
	case 2:
		k = [...]uint64{0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff}[g.r.IntN(9)]
	case 3:
		k = -[...]uint64{0x7f, 0x80, 0x81, 0x8000, 0x7fffffff, 0x80000000, 0x80000001}[g.r.IntN(7)]
	default:
		k = g.r.Uint64()
	}
	k &= g.mask(t)
	return g.define(t, k, "iconst.%s %#x", randomTypes[t], k)
}

// imm makes a constant for an operation's second operand; it is none that others use.
func (g *randomFunc) imm(t int, k uint64) string {
	name := fmt.Sprintf("v%d", g.next)
	g.next++
	fmt.Fprintf(&g.w, "    %s = iconst.%s %d\n", name, randomTypes[t], k)
	return name
}

// use picks a value, recent ones more often, or makes a constant.
func (g *randomFunc) use(t int) randomValue {
	list := g.values[t]
	if len(list) == 0 || t != randomF64 && g.r.IntN(5) == 0 {
		if t == randomF64 {
			x := g.use(2)
			return g.define(t, math.Float64bits(float64(int32(x.bits))), "fcvt_from_sint.f64 %s", x.name)
		}
		return g.constant(t)
	}
	if g.r.IntN(2) == 0 {
		return list[max(0, len(list)-1-g.r.IntN(4))]
	}
	return list[g.r.IntN(len(list))]
}

func boolBits(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// bits picks bits of a value: by a mask, or one by its number.
func (g *randomFunc) bits() (v randomValue, t int) {
	t = 2 + g.r.IntN(2)
	x := g.use(t)
	define := func(bits uint64, format string, args ...any) randomValue {
		v := g.define(t, bits, format, args...)
		if g.r.IntN(2) == 0 {
			g.values[t] = g.values[t][:len(g.values[t])-1]
		}
		return v
	}
	switch g.r.IntN(3) {
	case 0:
		m := uint64(g.r.IntN(300))
		return define(x.bits&m, "band %s, %s", x.name, g.imm(t, m)), t
	case 1:
		n := g.use(g.r.IntN(4))
		y := define(x.bits>>(int(n.bits)&(g.width(t)-1)), "ushr %s, %s", x.name, n.name)
		return define(y.bits&1, "band %s, %s", y.name, g.imm(t, 1)), t
	}
	n := g.use(g.r.IntN(4))
	y := define(1<<(int(n.bits)&(g.width(t)-1)), "ishl %s, %s", g.imm(t, 1), n.name)
	if g.r.IntN(2) == 0 {
		return define(y.bits&x.bits, "band %s, %s", y.name, x.name), t
	}
	return define(x.bits&y.bits, "band %s, %s", x.name, y.name), t
}

// condition makes a value of any type for a branch or select.
func (g *randomFunc) condition() randomValue {
	switch g.r.IntN(6) {
	case 0:
		v, _ := g.bits()
		return v
	case 1:
		return g.use(g.r.IntN(4))
	}
	return g.compare()
}

// compare makes an i8 from a comparison.
func (g *randomFunc) compare() randomValue {
	switch g.r.IntN(8) {
	case 0, 1:
		return g.loadAndCompare()
	case 2:
		x, t := g.bits()
		if g.r.IntN(2) == 0 {
			return g.define(0, boolBits(x.bits == 0), "icmp eq %s, %s", x.name, g.imm(t, 0))
		}
		return g.define(0, boolBits(x.bits != 0), "icmp ne %s, %s", x.name, g.imm(t, 0))
	}
	if g.r.IntN(5) == 0 {
		x, y := g.use(randomF64), g.use(randomF64)
		a, b := math.Float64frombits(x.bits), math.Float64frombits(y.bits)
		cc := g.r.IntN(8)
		res := [...]bool{a == b, a != b, a < b, a <= b, a > b, a >= b, a == a && b == b, !(a >= b)}[cc]
		return g.define(0, boolBits(res), "fcmp %s %s, %s", [...]string{"eq", "ne", "lt", "le", "gt", "ge", "ord", "ult"}[cc], x.name, y.name)
	}
	t := g.r.IntN(4)
	x, y := g.use(t), g.use(t)
	a, b := g.signed(t, x.bits), g.signed(t, y.bits)
	cc := g.r.IntN(10)
	res := [...]bool{a == b, a != b, a < b, a >= b, a > b, a <= b, x.bits < y.bits, x.bits >= y.bits, x.bits > y.bits, x.bits <= y.bits}[cc]
	return g.define(0, boolBits(res), "icmp %s %s, %s", [...]string{"eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule"}[cc], x.name, y.name)
}

// address makes an address in the slot for an access of n bytes: its text with offset, and the place.
func (g *randomFunc) address(n int) (string, int) {
	room := 64 - n
	base := g.define(3, 0, "stack_addr.i64 ss0")
	g.values[3] = g.values[3][:len(g.values[3])-1] // where the stack is must not show
	name, at := base.name, 0
	keep := func(format string, args ...any) {
		v := fmt.Sprintf("v%d", g.next)
		g.next++
		fmt.Fprintf(&g.w, "    %s = %s\n", v, fmt.Sprintf(format, args...))
		name = v
	}
	switch g.r.IntN(4) {
	case 0: // + (x & mask)
		x := g.use(3)
		m := uint64(7)
		idx := g.define(3, x.bits&m, "band %s, %s", x.name, g.imm(3, m))
		keep("iadd %s, %s", name, idx.name)
		at += int(idx.bits)
	case 1: // + (zero-extended << scale)
		x := g.use(2)
		m := uint64(3)
		y := g.define(2, x.bits&m, "band %s, %s", x.name, g.imm(2, m))
		z := g.define(3, y.bits, "uextend.i64 %s", y.name)
		s := g.r.IntN(4)
		k := g.define(3, z.bits<<s, "ishl %s, %s", z.name, g.imm(3, uint64(s)))
		keep("iadd %s, %s", k.name, name)
		at += int(k.bits)
	case 2: // + constant
		c := g.r.IntN(8)
		k := g.define(3, uint64(c), "iconst.i64 %d", c)
		keep("iadd %s, %s", name, k.name)
		at += c
	}
	off := g.r.IntN(room - at + 1)
	return fmt.Sprintf("%s+%d", name, off), at + off
}

func (g *randomFunc) load(t int) {
	n := g.width(t) / 8
	a, at := g.address(n)
	var b [8]byte
	copy(b[:], g.memory[at:at+n])
	g.define(t, binary.LittleEndian.Uint64(b[:]), "load.%s %s", randomTypes[t], a)
}

// floatBits moves bits between integers, floats and memory. What is loaded as a float may be any NaN, so it is not calculated
// with.
func (g *randomFunc) floatBits() {
	t := 2 + g.r.IntN(2) // of the integer
	float := [...]string{2: "f32", 3: "f64"}[t]
	n := g.width(t) / 8
	a, at := g.address(n)
	var b [8]byte
	copy(b[:], g.memory[at:at+n])
	name := fmt.Sprintf("v%d", g.next)
	g.next++
	switch g.r.IntN(5) {
	case 0: // load a float, want an integer
		fmt.Fprintf(&g.w, "    %s = load.%s %s\n", name, float, a)
		g.define(t, binary.LittleEndian.Uint64(b[:]), "bitcast.%s %s", randomTypes[t], name)
	case 1: // load an integer, want a float, want an integer
		fmt.Fprintf(&g.w, "    %s = load.%s %s\n    v%d = bitcast.%s %s\n", name, randomTypes[t], a, g.next, float, name)
		g.next++
		g.define(t, binary.LittleEndian.Uint64(b[:]), "bitcast.%s v%d", randomTypes[t], g.next-1)
	case 2: // store an integer as a float
		x := g.use(t)
		fmt.Fprintf(&g.w, "    %s = bitcast.%s %s\n    store %s, %s\n", name, float, x.name, name, a)
		g.put(at, n, x.bits)
	case 3: // store a float as an integer
		x := g.use(randomF64)
		t, n = 3, 8
		a, at = g.address(n)
		fmt.Fprintf(&g.w, "    %s = bitcast.i64 %s\n    store %s, %s\n", name, x.name, name, a)
		g.put(at, n, x.bits)
	case 4: // store a constant
		i := g.r.IntN(4)
		k := [...]float64{0, math.Copysign(0, -1), 1, -2.5}[i]
		bits := math.Float64bits(k)
		if t == 2 {
			bits = uint64(math.Float32bits(float32(k)))
		}
		text := [...]string{"0.0", "-0.0", "0x1.0", "-0x1.4p1"}[i]
		fmt.Fprintf(&g.w, "    %s = %sconst %s\n    store %s, %s\n", name, float, text, name, a)
		g.put(at, n, bits)
	}
}

// extendingLoad loads fewer bits than it makes.
func (g *randomFunc) extendingLoad(t int) {
	from := g.r.IntN(t)
	n := g.width(from) / 8
	a, at := g.address(n)
	var b [8]byte
	copy(b[:], g.memory[at:at+n])
	x := binary.LittleEndian.Uint64(b[:])
	if g.r.IntN(3) == 0 {
		g.define(t, uint64(g.signed(from, x)), "sload%d.%s %s", g.width(from), g.extending(from, t), a)
		return
	}
	g.define(t, x, "uload%d.%s %s", g.width(from), g.extending(from, t), a)
}

// extending is the type of a load of the given width: that of 32 bits has but one, and its controlling type is the address's.
func (g *randomFunc) extending(from, t int) string {
	if from == 2 {
		return "i64"
	}
	return randomTypes[t]
}

// truncatingStore stores fewer bits than the value has.
func (g *randomFunc) truncatingStore(t int) {
	x := g.use(t)
	if g.r.IntN(2) == 0 {
		y := g.use(0)
		x = g.define(t, y.bits, "uextend.%s %s", randomTypes[t], y.name)
	}
	to := g.r.IntN(t)
	n := g.width(to) / 8
	a, at := g.address(n)
	fmt.Fprintf(&g.w, "    istore%d %s, %s\n", g.width(to), x.name, a)
	g.put(at, n, x.bits)
}

// loadAndCompare compares or tests memory with a constant.
func (g *randomFunc) loadAndCompare() randomValue {
	t := 2 + g.r.IntN(2)
	if g.r.IntN(2) == 0 {
		g.load(t)
	} else {
		g.extendingLoad(t)
	}
	x := g.values[t][len(g.values[t])-1]
	g.values[t] = g.values[t][:len(g.values[t])-1]
	k := uint64(0)
	switch g.r.IntN(3) {
	case 0:
		m := g.constant(t)
		g.values[t] = g.values[t][:len(g.values[t])-1]
		if g.r.IntN(2) == 0 {
			m = randomValue{bits: uint64(g.r.IntN(300))}
			m.name = g.imm(t, m.bits)
		}
		x = g.define(t, x.bits&m.bits, "band %s, %s", x.name, m.name)
		g.values[t] = g.values[t][:len(g.values[t])-1]
	case 1:
		k = uint64(g.r.IntN(300))
	}
	a, b := g.signed(t, x.bits), int64(k)
	cc := g.r.IntN(10)
	res := [...]bool{a == b, a != b, a < b, a >= b, a > b, a <= b, x.bits < k, x.bits >= k, x.bits > k, x.bits <= k}[cc]
	c := g.define(0, boolBits(res), "icmp %s %s, %s", [...]string{"eq", "ne", "slt", "sge", "sgt", "sle", "ult", "uge", "ugt", "ule"}[cc], x.name, g.imm(t, k))
	return c
}

func (g *randomFunc) store(t int) {
	n := g.width(t) / 8
	x := g.use(t)
	a, at := g.address(n)
	fmt.Fprintf(&g.w, "    store %s, %s\n", x.name, a)
	g.put(at, n, x.bits)
}

func (g *randomFunc) put(at, n int, x uint64) {
	if !g.live {
		return
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], x)
	copy(g.memory[at:at+n], b[:n])
}

// update is load, operation, store at one address.
func (g *randomFunc) update(t int) {
	n := g.width(t) / 8
	a, at := g.address(n)
	var b [8]byte
	copy(b[:], g.memory[at:at+n])
	x := g.define(t, binary.LittleEndian.Uint64(b[:]), "load.%s %s", randomTypes[t], a)
	if g.r.IntN(4) > 0 {
		g.values[t] = g.values[t][:len(g.values[t])-1]
	}
	y := g.use(t)
	var res uint64
	op := g.r.IntN(5)
	switch op {
	case 0:
		res = x.bits + y.bits
	case 1:
		res = x.bits - y.bits
	case 2:
		res = x.bits & y.bits
	case 3:
		res = x.bits | y.bits
	case 4:
		res = x.bits ^ y.bits
	}
	if g.r.IntN(2) == 0 && op != 1 {
		x, y = y, x
	}
	z := g.define(t, res, "%s %s, %s", [...]string{"iadd", "isub", "band", "bor", "bxor"}[op], x.name, y.name)
	if g.r.IntN(4) > 0 {
		g.values[t] = g.values[t][:len(g.values[t])-1]
	}
	fmt.Fprintf(&g.w, "    store %s, %s\n", z.name, a)
	g.put(at, n, z.bits)
}

func (g *randomFunc) instruction() {
	t := g.r.IntN(4)
	n := g.width(t)
	switch g.r.IntN(27) {
	case 0, 1, 2:
		x, y := g.use(t), g.use(t)
		g.define(t, x.bits+y.bits, "iadd %s, %s", x.name, y.name)
	case 3:
		x, y := g.use(t), g.use(t)
		g.define(t, x.bits-y.bits, "isub %s, %s", x.name, y.name)
	case 4:
		x, y := g.use(t), g.use(t)
		g.define(t, x.bits*y.bits, "imul %s, %s", x.name, y.name)
	case 5:
		x, y := g.use(t), g.use(t)
		switch g.r.IntN(6) {
		case 0:
			g.define(t, x.bits&y.bits, "band %s, %s", x.name, y.name)
		case 1:
			g.define(t, x.bits|y.bits, "bor %s, %s", x.name, y.name)
		case 2:
			g.define(t, x.bits^y.bits, "bxor %s, %s", x.name, y.name)
		case 3:
			z := g.define(t, ^y.bits, "bnot %s", y.name)
			g.define(t, x.bits&z.bits, "band %s, %s", x.name, z.name)
		case 4:
			g.define(t, x.bits&^y.bits, "band_not %s, %s", x.name, y.name)
		case 5:
			g.define(t, -x.bits, "ineg %s", x.name)
		}
	case 6, 7:
		x, y := g.use(t), g.use(g.r.IntN(4))
		k := int(y.bits) & (n - 1)
		switch g.r.IntN(5) {
		case 0:
			g.define(t, x.bits<<k, "ishl %s, %s", x.name, y.name)
		case 1:
			g.define(t, x.bits>>k, "ushr %s, %s", x.name, y.name)
		case 2:
			g.define(t, uint64(g.signed(t, x.bits)>>k), "sshr %s, %s", x.name, y.name)
		case 3:
			g.define(t, x.bits<<k|x.bits>>(n-k), "rotl %s, %s", x.name, y.name)
		case 4:
			g.define(t, x.bits>>k|x.bits<<(n-k), "rotr %s, %s", x.name, y.name)
		}
	case 8:
		x := g.use(t)
		switch g.r.IntN(4) {
		case 0:
			g.define(t, uint64(bits.LeadingZeros64(x.bits)-(64-n)), "clz %s", x.name)
		case 1:
			g.define(t, uint64(min(n, bits.TrailingZeros64(x.bits))), "ctz %s", x.name)
		case 2:
			g.define(t, uint64(bits.OnesCount64(x.bits)), "popcnt %s", x.name)
		case 3:
			g.define(t, bits.Reverse64(x.bits)>>(64-n), "bitrev %s", x.name)
		}
	case 9, 10:
		from := g.r.IntN(4)
		x := g.use(from)
		switch {
		case from < t && g.r.IntN(2) == 0:
			g.define(t, x.bits, "uextend.%s %s", randomTypes[t], x.name)
		case from < t:
			g.define(t, uint64(g.signed(from, x.bits)), "sextend.%s %s", randomTypes[t], x.name)
		case from > t:
			g.define(t, x.bits, "ireduce.%s %s", randomTypes[t], x.name)
		}
	case 11, 12:
		c := g.condition()
		if g.r.IntN(3) == 0 {
			c = g.compare()
			c = g.define(0, boolBits(c.bits == 0), "icmp eq %s, %s", c.name, g.imm(0, 0))
		}
		if g.r.IntN(4) == 0 {
			t = randomF64
		}
		x, y := g.use(t), g.use(t)
		res := y.bits
		if c.bits != 0 {
			res = x.bits
		}
		g.define(t, res, "select %s, %s, %s", c.name, x.name, y.name)
	case 13:
		x, y := g.use(t), g.use(t)
		res := x.bits
		op := g.r.IntN(4)
		if [...]bool{y.bits < x.bits, y.bits > x.bits, g.signed(t, y.bits) < g.signed(t, x.bits), g.signed(t, y.bits) > g.signed(t, x.bits)}[op] {
			res = y.bits
		}
		g.define(t, res, "%s %s, %s", [...]string{"umin", "umax", "smin", "smax"}[op], x.name, y.name)
	case 14:
		x, y := g.use(t), g.use(t)
		d := g.define(t, y.bits|1, "bor %s, %s", y.name, g.imm(t, 1))
		if d.bits == g.mask(t) { // −1 may overflow
			return
		}
		a, b := g.signed(t, x.bits), g.signed(t, d.bits)
		switch g.r.IntN(4) {
		case 0:
			g.define(t, x.bits/d.bits, "udiv %s, %s", x.name, d.name)
		case 1:
			g.define(t, x.bits%d.bits, "urem %s, %s", x.name, d.name)
		case 2:
			if g.live {
				g.define(t, uint64(a/b), "sdiv %s, %s", x.name, d.name)
			}
		case 3:
			g.define(t, uint64(a%b), "srem %s, %s", x.name, d.name)
		}
	case 15:
		x, y := g.use(randomF64), g.use(randomF64)
		a, b := math.Float64frombits(x.bits), math.Float64frombits(y.bits)
		op := g.r.IntN(2)
		g.define(randomF64, math.Float64bits([...]float64{a + b, a - b}[op]), "%s %s, %s", [...]string{"fadd", "fsub"}[op], x.name, y.name)
	case 16, 17:
		g.load(t)
	case 18:
		g.store(t)
	case 19, 20:
		g.update(t)
	case 26:
		g.floatBits()
	case 22, 23:
		if t > 0 {
			g.extendingLoad(t)
		}
	case 24:
		if t > 0 {
			g.truncatingStore(t)
		}
	case 25:
		c := g.condition()
		one := uint64(g.r.IntN(2))
		res := 1 - one
		if c.bits != 0 {
			res = one
		}
		x, y := g.imm(t, one), g.imm(t, 1-one)
		g.define(t, res, "select %s, %s, %s", c.name, x, y)
	case 21:
		x, y := g.use(t), g.use(t)
		name := fmt.Sprintf("v%d", g.next)
		g.next++
		if g.r.IntN(2) == 0 {
			s := (x.bits + y.bits) & g.mask(t)
			o := g.define(0, boolBits(s < x.bits), "")
			text := strings.TrimSuffix(g.w.String(), fmt.Sprintf("    %s = \n", o.name))
			g.w.Reset()
			fmt.Fprintf(&g.w, "%s    %s, %s = uadd_overflow %s, %s\n", text, name, o.name, x.name, y.name)
			g.values[t] = append(g.values[t], randomValue{name, s})
		}
	}
}

// diamond writes a branch on a comparison whose two sides go on to one block.
func (g *randomFunc) diamond() {
	c := g.condition()
	t := g.r.IntN(4)
	b := g.block
	g.block += 3
	fmt.Fprintf(&g.w, "    brif %s, block%d, block%d\n", c.name, b, b+1)
	var res uint64
	was := g.live
	for side := range 2 {
		fmt.Fprintf(&g.w, "block%d:\n", b+side)
		saved := g.values
		for i := range saved {
			saved[i] = saved[i][:len(saved[i]):len(saved[i])]
		}
		g.values = saved
		g.live = was && (side == 0) == (c.bits != 0)
		for range g.r.IntN(6) {
			g.instruction()
		}
		x := g.use(t)
		if (side == 0) == (c.bits != 0) {
			res = x.bits
		}
		fmt.Fprintf(&g.w, "    jump block%d(%s)\n", b+2, x.name)
		g.values = saved
	}
	g.live = was
	v := randomValue{fmt.Sprintf("v%d", g.next), res}
	g.next++
	fmt.Fprintf(&g.w, "block%d(%s: %s):\n", b+2, v.name, randomTypes[t])
	g.values[t] = append(g.values[t], v)
}

// makeRandom makes a function with at most the given number of instructions or branches, not counting those that fill the slot
// and gather the result: fewer make the same function but shorter.
func makeRandom(seed uint64, limit int) (text string, args [4]uint64, want uint64) {
	g := &randomFunc{r: rand.New(rand.NewPCG(seed, 1)), next: 4, block: 1, live: true}
	fmt.Fprintf(&g.w, "function %%f(i8, i16, i32, i64) -> i64 system_v {\n    ss0 = explicit_slot 64\nblock0(v0: i8, v1: i16, v2: i32, v3: i64):\n")
	for t := range 4 {
		args[t] = g.r.Uint64()
		if g.r.IntN(3) == 0 {
			args[t] = uint64(g.r.IntN(3)) - 1
		}
		g.values[t] = append(g.values[t], randomValue{fmt.Sprintf("v%d", t), args[t] & g.mask(t)})
	}
	for i := 0; i < 64; i += 8 {
		x := g.constant(3)
		fmt.Fprintf(&g.w, "    v%d = stack_addr.i64 ss0\n    store %s, v%d+%d\n", g.next, x.name, g.next, i)
		g.next++
		g.put(i, 8, x.bits)
	}
	for range min(limit, 10+g.r.IntN(60)) {
		if g.r.IntN(12) == 0 {
			g.diamond()
		} else {
			g.instruction()
		}
	}
	// Everything that was made goes into the result.
	sum := g.define(3, 0, "iconst.i64 0")
	mix := func(x randomValue) {
		m := g.define(3, bits.RotateLeft64(sum.bits, 7), "rotl %s, %s", sum.name, g.imm(3, 7))
		sum = g.define(3, m.bits^x.bits, "bxor %s, %s", m.name, x.name)
	}
	for t := range 4 {
		for _, x := range g.values[t] {
			if t < 3 {
				x = g.define(3, x.bits, "uextend.i64 %s", x.name)
			}
			mix(x)
		}
	}
	for _, x := range g.values[randomF64] {
		mix(g.define(3, x.bits, "bitcast.i64 %s", x.name))
	}
	for i := 0; i < 64; i += 8 {
		fmt.Fprintf(&g.w, "    v%d = stack_addr.i64 ss0\n", g.next)
		g.next++
		mix(g.define(3, binary.LittleEndian.Uint64(g.memory[i:]), "load.i64 v%d+%d", g.next-1, i))
	}
	fmt.Fprintf(&g.w, "    return %s\n}\n", sum.name)
	return g.w.String(), args, sum.bits
}

// TestRandomFunctions runs random functions, with and without the optional instruction set extensions of the host.
func TestRandomFunctions(t *testing.T) {
	n := uint64(200)
	if testing.Short() {
		n = 50
	}
	baseline := []string{"has_avx512f=false", "has_avx512bw=false", "has_avx512vl=false", "has_avx512dq=false", "has_avx512vbmi=false", "has_avx512bitalg=false",
		"has_avx2=false", "has_fma=false", "has_avx=false", "has_bmi1=false", "has_bmi2=false", "has_lzcnt=false"}
	variants := [][]string{nil, baseline, {"opt_level=speed"}, {"opt_level=speed_and_size"},
		{"regalloc_algorithm=single_pass"}, {"regalloc_algorithm=single_pass", "opt_level=speed"}}
	for seed := range n {
		// Subtests, so that what build maps is unmapped soon.
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			for _, settings := range variants {
				wrong := func(limit int) string {
					text, args, want := makeRandom(seed, limit)
					if got := build(t, text, settings...).call1("f", args[:]...); got != want {
						return fmt.Sprintf("settings %v: f(%#x) = %#x, want %#x\n%s", settings, args, got, want, text)
					}
					return ""
				}
				if wrong(math.MaxInt) == "" {
					continue
				}
				for limit := range math.MaxInt {
					if msg := wrong(limit); msg != "" {
						t.Fatal(msg)
					}
				}
			}
		})
	}
}
