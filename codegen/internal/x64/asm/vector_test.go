package asm

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// vecFlags returns the flags of each line of vector.txt, some of which only
// readers and tests need.
func vecFlags(t *testing.T) [][]string {
	text, err := os.ReadFile("vector.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for _, line := range strings.Split(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 0 && f[0] != "#" {
			all = append(all, f[5:])
		}
	}
	return all
}

func has(flags []string, f string) bool {
	for _, x := range flags {
		if x == f {
			return true
		}
	}
	return false
}

// vecText builds the expected text of a vector instruction.
type vecText struct {
	r     *vecRow
	flags []string
	vl    string // xmm, ymm or zmm
}

func (v *vecText) vec(r Reg) string { return fmt.Sprintf("%s%d", v.vl, r) }

func (v *vecText) intSize() Size {
	if v.r.flags&vecW != 0 {
		return S64
	}
	return S32
}

func (v *vecText) reg(r Reg) string {
	switch {
	case v.r.flags&vecGR != 0:
		return gpr(v.intSize(), r)
	case v.r.flags&vecMaskR != 0:
		return fmt.Sprintf("k%d", r&7)
	}
	return v.vec(r)
}

func (v *vecText) vvvv(r Reg) string {
	if v.r.flags&vecMaskV != 0 {
		return fmt.Sprintf("k%d", r&7)
	}
	return v.vec(r)
}

func (v *vecText) rm(r Reg) string {
	switch {
	case v.r.flags&vecGM != 0:
		return gpr(v.intSize(), r)
	case v.r.flags&vecMaskM != 0:
		return fmt.Sprintf("k%d", r&7)
	}
	return v.vec(r)
}

func (v *vecText) join(vex bool, reg, vvvv, rm string, tail ...string) string {
	name := v.r.name
	if vex && v.r.flags&vecSSE != 0 {
		name = "v" + name
	}
	var ops []string
	switch {
	case v.r.flags&vecExt != 0:
		if vex {
			ops = append(ops, vvvv)
		}
		ops = append(ops, rm)
	case v.r.flags&vecVSIB != 0:
		ops = append(ops, reg, rm, vvvv)
	case v.r.flags&vecStore != 0:
		ops = append(ops, rm, reg)
	default:
		ops = append(ops, reg)
		if vex && v.r.flags&vecNDS != 0 {
			ops = append(ops, vvvv)
		}
		ops = append(ops, rm)
	}
	if !vex && v.r.flags&vecImplX0 != 0 {
		ops = append(ops, "xmm0")
	}
	return name + " " + strings.Join(append(ops, tail...), ",")
}

// loose tells that operands of different widths occur, so that only register
// numbers are compared.
func loose(flags []string) bool {
	for _, f := range flags {
		switch f {
		case "half", "quarter", "eighth", "xmmsrc", "narrow", "gr", "gm", "s1", "s2", "s4", "s8", "km":
			return true
		}
	}
	return false
}

func regClass(s string) string {
	return strings.NewReplacer("ymm", "xmm", "zmm", "xmm").Replace(s)
}

// aliasText evens out what objdump writes for names with more than one
// spelling.
func aliasText(s string) string {
	name, ops, _ := strings.Cut(s, " ")
	for i, suffix := range []string{"eq", "lt", "le", "unord", "neq", "nlt", "nle", "ord"} {
		for _, t := range []string{"ss", "sd", "ps", "pd"} {
			for _, v := range []string{"", "v"} {
				if name == v+"cmp"+suffix+t {
					return fmt.Sprintf("%scmp%s %s,0x%x", v, t, ops, i)
				}
			}
		}
		for _, t := range []string{"b", "w", "d", "q", "ub", "uw", "ud", "uq"} {
			if name == "vpcmp"+suffix+t && (ops[0] == 'k') {
				return fmt.Sprintf("vpcmp%s %s,0x%x", t, ops, i)
			}
		}
	}
	for _, p := range []string{"", "v"} {
		for i, n := range map[int]string{0x00: "pclmullqlqdq", 0x01: "pclmulhqlqdq", 0x10: "pclmullqhqdq", 0x11: "pclmulhqhqdq"} {
			if name == p+n {
				return fmt.Sprintf("%spclmulqdq %s,0x%x", p, ops, i)
			}
		}
	}
	return s
}

func TestVector(t *testing.T) {
	flags := vecFlags(t)
	if len(flags) != len(vecRows) {
		t.Fatalf("%d lines, %d rows", len(flags), len(vecRows))
	}
	var strict, free samples
	for i := range vecRows {
		r, o := &vecRows[i], VecOp(i)
		s := &strict
		if loose(flags[i]) {
			s = &free
		}
		isImm := r.flags&vecI8 != 0
		var tail []string
		if isImm {
			tail = []string{"0x1"}
		}
		regs := [][3]Reg{{0, 0, 0}, {1, 2, 3}, {9, 2, 3}, {1, 10, 3}, {1, 2, 11}, {15, 14, 13}, {7, 8, 0}, {8, 7, 15}}
		mems := append(few(), At(RSP, 64), At(R11, 0x7f), At(RBX, -64), Indexed(R13, R14, 2, 32), At(RDX, 1024), At(RDX, -4096))
		if r.flags&vecSSE != 0 {
			v := vecText{r, flags[i], "xmm"}
			for _, x := range regs {
				if r.flags&vecMem != 0 {
					continue
				}
				s.add(v.join(false, v.reg(x[0]), "", v.rm(x[2]), tail...), func(a *Assembler) {
					if isImm {
						a.SSEI(o, x[0], x[2], 1)
					} else {
						a.SSE(o, x[0], x[2])
					}
				})
			}
			for k, m := range mems {
				if r.flags&(vecReg|vecExt) != 0 {
					continue
				}
				x := Reg(k*5) & 15
				s.add(v.join(false, v.reg(x), "", memText(m, gprIndex), tail...), func(a *Assembler) {
					if isImm {
						a.SSEMI(o, x, m, 1)
					} else {
						a.SSEM(o, x, m)
					}
				})
			}
		}
		for l := uint8(0); l < 2 && r.flags&vecVEX != 0; l++ {
			v := vecText{r, flags[i], []string{"xmm", "ymm"}[l]}
			if !vexLength(o, flags[i], l) {
				continue
			}
			vt := tail
			if r.flags&vecIs4 != 0 {
				vt = []string{v.vec(12)}
			}
			emit := func(a *Assembler, reg, vvvv, rm Reg, m *Mem) {
				if r.flags&(vecNDS|vecExt) == 0 {
					vvvv = NoReg
				}
				imm := uint8(1)
				if r.flags&vecIs4 != 0 {
					imm = 12 << 4
				}
				switch {
				case len(vt) == 0 && m == nil:
					a.VEX(o, l, reg, vvvv, rm)
				case len(vt) == 0:
					a.VEXM(o, l, reg, vvvv, *m)
				case m == nil:
					a.VEXI(o, l, reg, vvvv, rm, imm)
				default:
					a.VEXMI(o, l, reg, vvvv, *m, imm)
				}
			}
			for _, x := range regs {
				if r.flags&vecMem != 0 || r.flags&(vecMaskR|vecMaskM) != 0 && (x[0]|x[1]|x[2]) > 7 && r.flags&(vecGR|vecGM) == 0 {
					continue
				}
				if r.flags&vecMaskR != 0 && x[0] > 7 || r.flags&vecMaskM != 0 && x[2] > 7 {
					continue
				}
				s.add(v.join(true, v.reg(x[0]), v.vvvv(x[1]), v.rm(x[2]), vt...), func(a *Assembler) { emit(a, x[0], x[1], x[2], nil) })
			}
			for k, m := range mems {
				if r.flags&(vecReg|vecExt) != 0 {
					continue
				}
				index := gprIndex
				if r.flags&vecVSIB != 0 {
					if m.Index == NoReg {
						continue
					}
					index = func(r Reg) string { return v.vec(r) }
				}
				x, y := Reg(k*5)&15, Reg(k*3+1)&15
				if r.flags&vecVSIB != 0 && (x == y || x == m.Index || y == m.Index) {
					continue // the architecture wants three registers there
				}
				s.add(v.join(true, v.reg(x), v.vvvv(y), memText(m, index), vt...), func(a *Assembler) { emit(a, x, y, 0, &m) })
			}
		}
		for l := uint8(0); l < 3 && r.flags&vecEVEX != 0; l++ {
			v := vecText{r, flags[i], []string{"xmm", "ymm", "zmm"}[l]}
			if !evexLength(o, flags[i], l) {
				continue
			}
			emit := func(a *Assembler, x EVEX, reg, vvvv, rm Reg, m *Mem) {
				if r.flags&(vecNDS|vecExt) == 0 {
					vvvv = NoReg
				}
				switch {
				case !isImm && m == nil:
					a.EVEX(o, x, reg, vvvv, rm)
				case !isImm:
					a.EVEXM(o, x, reg, vvvv, *m)
				case m == nil:
					a.EVEXI(o, x, reg, vvvv, rm, 1)
				default:
					a.EVEXMI(o, x, reg, vvvv, *m, 1)
				}
			}
			high := r.flags&(vecGR|vecGM|vecMaskR|vecMaskM) == 0
			for _, x := range append(regs[:0:0], [3]Reg{17, 18, 19}, [3]Reg{1, 18, 3}, [3]Reg{1, 2, 24}, [3]Reg{31, 1, 9}) {
				if r.flags&vecMem != 0 {
					continue
				}
				if !high {
					x = [3]Reg{x[0] & 7, x[1], x[2] & 7}
				}
				s.add(v.join(true, v.reg(x[0]), v.vvvv(x[1]), v.rm(x[2]), tail...), func(a *Assembler) { emit(a, EVEX{L: l}, x[0], x[1], x[2], nil) })
			}
			for k, m := range mems {
				if r.flags&vecReg != 0 {
					continue
				}
				x, y := Reg(k*7+16)&31, Reg(k*3+17)&31
				if !high {
					x &= 7
				}
				s.add(v.join(true, v.reg(x), v.vvvv(y), memText(m, gprIndex), tail...), func(a *Assembler) { emit(a, EVEX{L: l}, x, y, 0, &m) })
				if has(flags[i], "bc") && r.flags&vecMaskR == 0 {
					mt := memText(m, gprIndex)
					s.add(masked(v.join(true, v.reg(x), v.vvvv(y), "BCST "+mt, tail...)), func(a *Assembler) {
						emit(a, EVEX{L: l, Mask: 3, Zero: true, Bcast: true}, x, y, 0, &m)
					})
				}
			}
		}
	}
	strict.checkVector(t, func(s string) string { return aliasText(s) })
	free.checkVector(t, func(s string) string { return loosen(regClass(aliasText(s))) })
}

// masked writes a mask behind the first operand, the destination.
func masked(s string) string {
	first, rest, _ := strings.Cut(s, ",")
	return first + "{k3}{z}," + rest
}

// loosen drops what differs between objdump's spellings of mixed-width forms.
func loosen(s string) string {
	name, ops, _ := strings.Cut(s, " ")
	for _, f := range []string{"cvtpd2ps", "cvtpd2dq", "cvttpd2dq", "cvttpd2udq"} {
		for _, x := range []string{"x", "y", "z"} {
			if strings.TrimPrefix(name, "v") == f+x {
				name = strings.TrimSuffix(name, x)
			}
		}
	}
	ops, _, _ = strings.Cut(ops, "{1to")
	return name + " " + ops
}

func (s *samples) checkVector(t *testing.T, fix func(string) string) {
	t.Helper()
	text := objdumpText(t, s.Buf)
	bad := 0
	for _, c := range s.all {
		got := fix(text[c.at])
		next := c.at + c.size
		_, starts := text[next]
		want := fix(normalize(c.want))
		if got == want && (starts || next == len(s.Buf)) {
			continue
		}
		t.Errorf("% x: objdump reads %q, want %q", s.Buf[c.at:next], got, want)
		if bad++; bad > 60 {
			t.Fatal("too many errors")
		}
	}
	t.Logf("%d instructions", len(s.all))
}

// vexLength tells whether l is a length that the instruction has.
func vexLength(o VecOp, flags []string, l uint8) bool {
	r := &vecRows[o]
	if r.flags&vecL1 != 0 {
		return l == 1
	}
	if l == 0 {
		return true
	}
	if loose(flags) && !has(flags, "half") && !has(flags, "quarter") && !has(flags, "eighth") && !has(flags, "xmmsrc") && !has(flags, "narrow") {
		return o == MOVMSKPS || o == MOVMSKPD || o == PMOVMSKB
	}
	switch o {
	case MASKMOVDQU, PHMINPOSUW, AESIMC, AESKEYGENASSIST, DPPD, PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM:
		return false
	}
	return r.flags&(vecMaskR|vecMaskM) == 0
}

func evexLength(o VecOp, flags []string, l uint8) bool {
	if l == 0 {
		return vecRows[o].flags&vecL1 == 0
	}
	for _, f := range flags {
		switch f {
		case "s1", "s2", "s4", "s8":
			return has(flags, "xmmsrc") || strings.HasSuffix(strings.Split(strings.ToLower(vecRows[o].name), "_")[0], "xx") || strings.HasPrefix(vecRows[o].name, "vpbroadcast")
		}
	}
	return true
}
