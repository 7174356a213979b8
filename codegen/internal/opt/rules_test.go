package opt_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/interp"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// Every rule is tried on random instances of its pattern: the function that
// computes the pattern must do the same before and after, by the interpreter.

// sexpr is a rule as text: an atom, or a list.
type sexpr struct {
	atom string
	list []*sexpr
}

func parseRules(t *testing.T, text string) (all []*sexpr) {
	var stack []*sexpr
	add := func(s *sexpr) {
		if len(stack) == 0 {
			all = append(all, s)
		} else {
			top := stack[len(stack)-1]
			top.list = append(top.list, s)
		}
	}
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, ";")
		line = strings.NewReplacer("(", " ( ", ")", " ) ").Replace(line)
		for _, w := range strings.Fields(line) {
			switch w {
			case "(":
				s := &sexpr{}
				add(s)
				stack = append(stack, s)
			case ")":
				stack = stack[:len(stack)-1]
			default:
				add(&sexpr{atom: w})
			}
		}
	}
	if len(stack) != 0 {
		t.Fatal("unbalanced parentheses")
	}
	return all
}

func (s *sexpr) head() string {
	if len(s.list) == 0 {
		return ""
	}
	return s.list[0].atom
}

var intTypes = []ir.Type{ir.I8, ir.I16, ir.I32, ir.I64}
var allFloats = []ir.Type{ir.F32, ir.F64, ir.F32X4, ir.F64X2}
var allVectors = []ir.Type{ir.I8X16, ir.I16X8, ir.I32X4, ir.I64X2, ir.F32X4, ir.F64X2}
var allInts = []ir.Type{ir.I8, ir.I16, ir.I32, ir.I64, ir.I128, ir.I8X16, ir.I16X8, ir.I32X4, ir.I64X2}

// classes are the types that extractors of types match.
var classes = map[string][]ir.Type{
	"fits_64": intTypes, "ty_32_or_64": {ir.I32, ir.I64}, "int_lanes": allInts, "float_lanes": allFloats, "ty_scalar_float": {ir.F32, ir.F64},
	"$I8": {ir.I8}, "$I16": {ir.I16}, "$I32": {ir.I32}, "$I64": {ir.I64},
}

// maker builds an instance of a pattern.
type maker struct {
	rng    *rand.Rand
	f      *ir.Function
	entry  ir.Block
	values map[string]ir.Value
	types  map[string]ir.Type
	ccs    map[string]int
	consts map[string]uint64
	failed bool
}

func narrowInt(t ir.Type) bool { return t >= ir.I8 && t <= ir.I64 }

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// anyType is the type of an operand that the opcode's result does not settle.
func (m *maker) typeFor(s *sexpr) ir.Type {
	switch h := s.head(); h {
	case "of_type", "has_type":
		return m.typeOf(s.list[1], ir.Invalid)
	case "and":
		for _, a := range s.list[1:] {
			if t := m.typeFor(a); t != ir.Invalid {
				return t
			}
		}
	default:
		if v, ok := m.values[s.atom]; ok {
			return m.f.ValueType(v)
		}
	}
	return ir.Invalid
}

// typeOf is a type that matches a pattern of types; want if that is settled.
func (m *maker) typeOf(s *sexpr, want ir.Type) ir.Type {
	name := s.atom
	if s.atom == "" {
		name = s.head()
		t := want
		if t == ir.Invalid {
			t = pick(m.rng, classes[name])
			if bound, ok := m.types[s.list[1].atom]; ok {
				t = bound
			}
		}
		if a := s.list[1].atom; a != "_" {
			m.types[a] = t
		}
		return t
	}
	if c, ok := classes[name]; ok {
		return c[0]
	}
	if t, ok := m.types[name]; ok {
		return t
	}
	if want != ir.Invalid && name != "_" {
		m.types[name] = want
	}
	return want
}

func (m *maker) inst(d ir.InstData, args ...ir.Value) ir.Value {
	i := m.f.AddInst(d, args...)
	m.f.AppendInst(i, m.entry)
	m.f.AddResults(i)
	return m.f.Result(i)
}

func (m *maker) constant(t ir.Type, k uint64) ir.Value {
	switch {
	case t == ir.F32:
		return m.inst(ir.InstData{Op: ir.OpF32const, Imm: int64(uint32(k))})
	case t == ir.F64:
		return m.inst(ir.InstData{Op: ir.OpF64const, Imm: int64(k)})
	case t.IsInt() && t != ir.I128:
		if t != ir.I64 {
			k &= 1<<t.Bits() - 1
		}
		return m.inst(ir.InstData{Op: ir.OpIconst, Type: t, Imm: int64(k)})
	case t.IsVector() && t.IsIntLane():
		var b [16]byte
		for i := range b {
			b[i] = byte(k >> (8 * (i % (t.LaneBits() / 8))))
		}
		return m.inst(ir.InstData{Op: ir.OpVconst, Type: t, Ref: uint32(m.f.AddConstant(b[:]))})
	}
	m.failed = true
	return m.param(t)
}

func (m *maker) param(t ir.Type) ir.Value {
	if t == ir.Invalid {
		t = pick(m.rng, intTypes)
	}
	m.f.Sig.Params = append(m.f.Sig.Params, ir.Param{Type: t})
	return m.f.AddParam(m.entry, t)
}

// lane is the number that a pattern of lanes matches: below 2, so that all
// vectors have it.
func (m *maker) lane(name string) int64 {
	if k, err := strconv.ParseInt(name, 10, 8); err == nil {
		return k
	}
	k, ok := m.consts[name]
	if !ok {
		k = uint64(m.rng.IntN(2))
		if name != "_" {
			m.consts[name] = k
		}
	}
	return int64(k)
}

// operand is a parameter, or what is known to have fewer bits.
func (m *maker) operand(t ir.Type) ir.Value {
	v := m.param(t)
	t = m.f.ValueType(v)
	if !narrowInt(t) {
		return v
	}
	switch m.rng.IntN(6) {
	case 0:
		return m.inst(ir.InstData{Op: ir.OpBand, Type: t}, v, m.constant(t, m.small()))
	case 1:
		return m.inst(ir.InstData{Op: ir.OpUshr, Type: t}, v, m.constant(t, uint64(m.rng.IntN(t.Bits()))))
	case 2:
		return m.inst(ir.InstData{Op: ir.OpBor, Type: t}, v, m.constant(t, m.small()))
	}
	return v
}

func (m *maker) small() uint64 {
	switch m.rng.IntN(5) {
	case 0:
		return 1 << m.rng.IntN(64)
	case 1:
		return 1<<m.rng.IntN(64) - 1
	case 2:
		return m.rng.Uint64() >> m.rng.IntN(64)
	case 3:
		return -uint64(m.rng.IntN(20))
	}
	return uint64(m.rng.IntN(34))
}

// value builds an operand of type t.
func (m *maker) value(s *sexpr, t ir.Type) ir.Value {
	if s.atom != "" {
		if v, ok := m.values[s.atom]; ok {
			if t != ir.Invalid && m.f.ValueType(v) != t {
				m.failed = true
			}
			return v
		}
		v := m.operand(t)
		if s.atom != "_" {
			m.values[s.atom] = v
		}
		return v
	}
	if t == ir.Invalid {
		t = m.typeFor(s)
	}
	switch h := s.head(); h {
	case "and":
		// What says most builds the value; the others give it names or types.
		for _, a := range s.list[1:] {
			if a.head() == "of_type" {
				t = m.typeOf(a.list[1], t)
			}
		}
		if t == ir.Invalid {
			t = pick(m.rng, intTypes)
		}
		var v ir.Value
		built := false
		for _, a := range s.list[1:] {
			if a.atom == "" && a.head() != "of_type" && !(a.head() == "uconst" && len(s.list) > 3) || a.atom != "" && m.values[a.atom] != 0 {
				v, built = m.value(a, t), true
				break
			}
		}
		for _, a := range s.list[1:] {
			if a.head() == "uconst" && !built {
				v, built = m.value(a, t), true
			}
		}
		if !built {
			v = m.value(&sexpr{atom: "_"}, t)
		}
		for _, a := range s.list[1:] {
			if a.head() == "of_type" {
				a = a.list[2]
			}
			if a.atom != "" && a.atom != "_" {
				m.values[a.atom] = v
			}
		}
		return v
	case "of_type", "has_type":
		return m.value(s.list[2], m.typeOf(s.list[1], t))
	case "truthy":
		if t == ir.Invalid {
			t = pick(m.rng, intTypes)
		}
		x := m.value(s.list[1], t)
		if !narrowInt(m.f.ValueType(x)) {
			m.failed = true
			return x
		}
		return m.inst(ir.InstData{Op: pick(m.rng, []ir.Opcode{ir.OpPopcnt, ir.OpIneg, ir.OpIabs, ir.OpBitrev, ir.OpBmask}), Type: m.f.ValueType(x)}, x)
	case "float_positive", "float_negative":
		k := m.rng.Uint64() >> 12
		if h == "float_negative" {
			k |= 1<<63 | 1<<31
		} else {
			k &^= 1 << 31
		}
		return m.constant(t, k)
	case "konst", "float_two", "exact_reciprocal", "divisor", "signed_divisor", "uconst", "sconst", "power_of_two":
		if t == ir.Invalid {
			t = pick(m.rng, intTypes)
		}
		k := m.small()
		switch {
		case h == "float_two" && t == ir.F32:
			k = 0x4000_0000
		case h == "float_two":
			k = 0x4000_0000_0000_0000
		case h == "exact_reciprocal" && t == ir.F32:
			k = uint64(m.rng.IntN(256)) << 23
		case h == "exact_reciprocal":
			k = uint64(m.rng.IntN(2048)) << 52
		case h == "power_of_two":
			k = 1 << (1 + m.rng.IntN(t.LaneBits()-1))
		}
		if len(s.list) > 1 {
			a := s.list[1].atom
			if n, err := strconv.ParseUint(a, 10, 64); err == nil {
				k = n
			} else if n, ok := m.consts[a]; ok {
				k = n
			} else if a != "_" {
				m.consts[a] = k
			}
		}
		return m.constant(t, k)
	case "zero", "ones", "least", "greatest":
		if t == ir.Invalid {
			t = pick(m.rng, intTypes)
		}
		n := t.LaneBits()
		return m.constant(t, map[string]uint64{"zero": 0, "ones": ^uint64(0), "least": 1 << ((n - 1) & 63), "greatest": 1<<((n-1)&63) - 1}[h])
	case "boolean":
		x := m.param(ir.I32)
		v := m.inst(ir.InstData{Op: ir.OpIcmp, Type: ir.I32, Cond: uint8(m.rng.IntN(10))}, x, m.param(ir.I32))
		if t != ir.I8 && t != ir.Invalid {
			v = m.inst(ir.InstData{Op: ir.OpUextend, Type: t}, v)
		}
		return v
	}
	return m.operation(s, t)
}

// condition is the number of a condition that a pattern matches, of n.
func (m *maker) condition(s *sexpr, n int) uint8 {
	if s.atom == "" { // (and (equality) cc)
		c := m.rng.IntN(2)
		m.ccs[s.list[2].atom] = c
		return uint8(c)
	}
	if _, name, ok := strings.Cut(s.atom, "."); ok {
		c, _ := ir.ParseIntCC(name)
		return uint8(c)
	}
	c, ok := m.ccs[s.atom]
	if !ok {
		c = m.rng.IntN(n)
		m.ccs[s.atom] = c
	}
	return uint8(c)
}

func (m *maker) operation(s *sexpr, t ir.Type) ir.Value {
	op, ok := ir.ParseOpcode(s.head())
	if !ok {
		m.failed = true
		return m.param(t)
	}
	args := s.list[1:]
	d := ir.InstData{Op: op}
	info := op.Info()
	switch op.Format() {
	case ir.FormatIntCompare:
		d.Cond, args = m.condition(args[0], 10), args[1:]
	case ir.FormatFloatCompare:
		d.Cond, args = m.condition(args[0], 14), args[1:]
	case ir.FormatBitCast:
		d.Flags, args = ir.MemLittle, args[1:]
	case ir.FormatBinaryImm8, ir.FormatTernaryImm8:
		d.Imm, args = m.lane(args[len(args)-1].atom), args[:len(args)-1]
	}
	types := make([]ir.Type, len(args))
	switch op {
	case ir.OpIcmp, ir.OpFcmp, ir.OpVanyTrue, ir.OpVallTrue:
		from := ir.Invalid
		for _, a := range args {
			if from == ir.Invalid {
				from = m.typeFor(a)
			}
		}
		list := allInts
		switch {
		case op == ir.OpFcmp:
			list = allFloats
		case op != ir.OpIcmp:
			list = allInts[5:]
		case t != ir.Invalid && t.IsVector():
			list = []ir.Type{t}
		case t == ir.I8:
			list = allInts[:5]
		}
		if from == ir.Invalid {
			from = pick(m.rng, list)
		}
		if t != ir.Invalid && from.AsTruthy() != t && op <= ir.OpFcmp && op >= ir.OpIcmp {
			m.failed = true
		}
		for i := range types {
			types[i] = from
		}
		d.Type = from
	default:
		if t == ir.Invalid {
			t = map[bool]ir.Type{false: pick(m.rng, allInts), true: pick(m.rng, allFloats)}[info.Set.Contains(ir.F32) && !info.Set.Contains(ir.I32)]
			if op == ir.OpSelect || op == ir.OpUextend || op == ir.OpSextend || op == ir.OpIreduce || op == ir.OpBmask || op == ir.OpBswap || op == ir.OpClz || op == ir.OpCtz || op == ir.OpBitrev {
				t = pick(m.rng, intTypes[1:])
			}
		}
		d.Type = t
		for i := range types {
			types[i] = t
		}
		switch op {
		case ir.OpUextend, ir.OpSextend, ir.OpIreduce, ir.OpBmask:
			types[0] = m.typeFor(args[0])
			if types[0] == ir.Invalid {
				types[0] = pick(m.rng, allInts[:5])
			}
			if op != ir.OpBmask && (types[0].Bits() == t.Bits() || (types[0].Bits() < t.Bits()) == (op == ir.OpIreduce)) {
				m.failed = true
				return m.param(t)
			}
		case ir.OpSelect:
			types[0] = m.typeFor(args[0])
			if types[0] == ir.Invalid && args[0].atom != "" {
				types[0] = pick(m.rng, intTypes)
			}
		case ir.OpIshl, ir.OpUshr, ir.OpSshr, ir.OpRotl, ir.OpRotr:
			if h := args[1].head(); h != "isub" && h != "ineg" {
				types[1] = pick(m.rng, intTypes)
			}
		case ir.OpFcvtFromUint, ir.OpFcvtFromSint:
			if !t.IsFloat() {
				t = pick(m.rng, []ir.Type{ir.F32, ir.F64})
			}
			d.Type = t
			if types[0] = m.typeFor(args[0]); types[0] == ir.Invalid {
				types[0] = pick(m.rng, []ir.Type{ir.I32, ir.I64})
			}
		case ir.OpFcvtToUintSat, ir.OpFcvtToSintSat:
			d.Type = pick(m.rng, []ir.Type{ir.I32, ir.I64})
			if t, ok := m.types["ty"]; ok {
				d.Type = t
			}
			m.types["ty"] = d.Type
			types[0] = pick(m.rng, []ir.Type{ir.F32, ir.F64})
		case ir.OpBitcast:
			types[0] = t
			if wide := map[ir.Type]ir.Type{ir.F32: ir.I32, ir.F64: ir.I64, ir.I32: ir.F32, ir.I64: ir.F64}[t]; args[0].head() == "band" || args[0].head() == "bxor" || m.typeFor(args[0]) == wide {
				types[0] = wide
			}
		case ir.OpIconcat:
			half := map[ir.Type]ir.Type{ir.I128: ir.I64, ir.I64: ir.I32, ir.I32: ir.I16, ir.I16: ir.I8}[t]
			types[0], types[1] = half, half
		case ir.OpSplat, ir.OpScalarToVector:
			if !t.IsVector() {
				t = pick(m.rng, allVectors)
			}
			d.Type, types[0] = t, t.Lane()
		case ir.OpInsertlane:
			if !t.IsVector() {
				t = pick(m.rng, allVectors)
			}
			d.Type, types[0], types[1] = t, t, t.Lane()
		case ir.OpExtractlane:
			if types[0] = m.typeFor(args[0]); !types[0].IsVector() {
				types[0] = pick(m.rng, allVectors)
			}
			if t, ok := m.types["ty"]; ok && t != types[0].Lane() {
				m.failed = true
				return m.param(t)
			}
			m.types["ty"] = types[0].Lane()
		case ir.OpSwidenLow, ir.OpSwidenHigh, ir.OpUwidenLow, ir.OpUwidenHigh:
			if types[0] = map[ir.Type]ir.Type{ir.I16X8: ir.I8X16, ir.I32X4: ir.I16X8, ir.I64X2: ir.I32X4}[t]; types[0] == ir.Invalid {
				m.failed = true
				return m.param(t)
			}
		}
	}
	vals := make([]ir.Value, len(args))
	for i, a := range args {
		vals[i] = m.value(a, types[i])
		if types[i] == ir.Invalid {
			continue
		}
		if m.f.ValueType(vals[i]) != types[i] {
			m.failed = true
		}
	}
	if m.failed {
		return m.param(t)
	}
	if info.Ctrl >= 0 {
		d.Type = m.f.ValueType(vals[info.Ctrl])
	}
	return m.inst(d, vals...)
}

func run(m *interp.Machine, f *ir.Function, args []interp.Value) ([]interp.Value, error) {
	m.Define(f)
	return m.Call(f.Name, args...)
}

func randomArg(rng *rand.Rand, t ir.Type) interp.Value {
	w := func() uint64 {
		switch rng.IntN(5) {
		case 0:
			return uint64(rng.IntN(4))
		case 1:
			return -uint64(rng.IntN(4))
		case 2:
			return 1 << rng.IntN(64)
		case 3:
			return 1<<rng.IntN(64) - 1
		}
		return rng.Uint64()
	}
	v := interp.Value{Lo: w(), Hi: w()}
	switch {
	case t.IsFloat() && rng.IntN(2) == 0:
		if v.Lo = 0x3ff0_0000_0000_0000 + uint64(rng.IntN(16))<<48 | uint64(rng.IntN(2))<<63; t == ir.F32 {
			v.Lo = 0x3f80_0000 + uint64(rng.IntN(16))<<20 | uint64(rng.IntN(2))<<31
		}
	}
	switch n := t.Bits(); {
	case n < 64:
		v = interp.Value{Lo: v.Lo & (1<<n - 1)}
	case n == 64:
		v.Hi = 0
	}
	return v
}

// sameBits reports whether two results are the same but for the bits of NaNs.
func sameBits(t ir.Type, a, b interp.Value) bool {
	nan := func(v uint64) bool {
		if t.Lane() == ir.F32 {
			return v&0x7fff_ffff > 0x7f80_0000
		}
		return t.Lane() == ir.F64 && v&(1<<63-1) > 0x7ff0_0000_0000_0000
	}
	n := t.LaneBits()
	if a == b || n > 64 || !t.IsFloatLane() {
		return a == b
	}
	lane := func(v interp.Value, i int) uint64 {
		w := v.Lo
		if i*n >= 64 {
			w, i = v.Hi, i-64/n
		}
		return w >> (i * n) & (1<<(n-1) | (1<<(n-1) - 1))
	}
	for i := range t.Lanes() {
		if x, y := lane(a, i), lane(b, i); x != y && !(nan(x) && nan(y)) {
			return false
		}
	}
	return true
}

func TestRules(t *testing.T) {
	files, err := filepath.Glob("*.rules")
	if err != nil || len(files) == 0 {
		t.Fatal("no rules", err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	instances := 40
	if testing.Short() {
		instances = 15
	}
	var o opt.Optimizer
	var machine interp.Machine
	rules, idle, checks := 0, 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range parseRules(t, string(text)) {
			if r.head() != "rule" {
				continue
			}
			rules++
			fired := false
			for tries := 0; tries < 20*instances && (tries < instances || !fired); tries++ {
				m := &maker{rng: rng, values: map[string]ir.Value{}, types: map[string]ir.Type{}, ccs: map[string]int{}, consts: map[string]uint64{}}
				m.f = ir.NewFunction(ir.TestName("f"), ir.Signature{CallConv: ir.Fast})
				m.entry = m.f.AddBlock()
				m.f.AppendBlock(m.entry)
				m.param(ir.I8) // so that no value that matters has number 0
				v := m.value(r.list[1].list[1], ir.Invalid)
				if m.failed {
					continue
				}
				ret := m.f.AddInst(ir.InstData{Op: ir.OpReturn}, v)
				m.f.AppendInst(ret, m.entry)
				typ := m.f.ValueType(v)
				m.f.Sig.Returns = []ir.Param{{Type: typ}}
				if err := verifier.Verify(m.f, verifier.Options{PointerType: ir.I64}); err != nil {
					continue // a pattern that the maker does not understand
				}
				before := clif.Format(m.f)
				want, err := clif.ParseFunction(before)
				if err != nil {
					t.Fatalf("%v\n%s", err, before)
				}
				o.Run(m.f, opt.Options{})
				after := clif.Format(m.f)
				if err := verifier.Verify(m.f, verifier.Options{PointerType: ir.I64}); err != nil {
					t.Fatalf("%s: %v\n%s\n%s", file, err, before, after)
				}
				fired = fired || after != before
				for range 6 {
					var args []interp.Value
					for _, p := range m.f.Sig.Params {
						args = append(args, randomArg(rng, p.Type))
					}
					x, err1 := run(&machine, want, args)
					y, err2 := run(&machine, m.f, args)
					if errors.Is(err1, interp.ErrUnsupported) {
						break
					}
					checks++
					if (err1 == nil) != (err2 == nil) || err1 == nil && !sameBits(typ, x[0], y[0]) {
						t.Fatalf("%s: of %x %x, %v became %x, %v:\n%s\n%s", file, args, x, err1, y, err2, before, after)
					}
				}
			}
			if !fired {
				idle++
				t.Logf("%s: no instance of %s", file, format(r.list[1]))
			}
		}
	}
	t.Logf("%d rules, %d of them without an instance, %d comparisons", rules, idle, checks)
	if idle > 5 {
		t.Errorf("%d of %d rules have not been tried", idle, rules)
	}
}

func format(s *sexpr) string {
	if s.atom != "" {
		return s.atom
	}
	var w []string
	for _, a := range s.list {
		w = append(w, format(a))
	}
	return "(" + strings.Join(w, " ") + ")"
}
