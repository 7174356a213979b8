package asm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// A sample is an emitted instruction with the text a disassembler should show.
type sample struct {
	want string
	at   int
	size int
}

type samples struct {
	Assembler
	all []sample
}

// add records what emit appends as one sample.
func (s *samples) add(want string, emit func(a *Assembler)) {
	at := len(s.Buf)
	emit(&s.Assembler)
	s.all = append(s.all, sample{want, at, len(s.Buf) - at})
}

var gprNames = [4][16]string{
	{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"},
	{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"},
	{"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"},
	{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"},
}

func gpr(s Size, r Reg) string { return gprNames[s][r] }

func hex(v int64) string {
	if v < 0 {
		return fmt.Sprintf("-0x%x", -v)
	}
	return fmt.Sprintf("0x%x", v)
}

// memText is how objdump writes m, without the size.
func memText(m Mem, index func(Reg) string) string {
	seg := [3]string{"", "fs:", "gs:"}[m.Seg]
	if m.Base == NoReg && m.Index == NoReg {
		if seg == "" {
			seg = "ds:"
		}
		return seg + "0x" + strconv.FormatUint(uint64(int64(m.Disp)), 16)
	}
	t := ""
	if m.Base == RIP {
		t = "rip"
	} else if m.Base != NoReg {
		t = gpr(S64, m.Base)
	}
	if m.Index != NoReg {
		if t != "" {
			t += "+"
		}
		t += fmt.Sprintf("%s*%d", index(m.Index), 1<<m.Scale)
	}
	show := m.Disp != 0 || m.Base == RIP || m.Base == NoReg || m.Base&7 == 5
	if show {
		if m.Disp >= 0 || m.Base == RIP {
			t += "+"
		}
		if m.Base == RIP {
			t += "0x" + strconv.FormatUint(uint64(int64(m.Disp)), 16)
		} else {
			t += hex(int64(m.Disp))
		}
	}
	return seg + "[" + t + "]"
}

func gprIndex(r Reg) string { return gpr(S64, r) }

// immText is how objdump writes an immediate of an operation of size s.
func immText(s Size, imm int32) string {
	v := uint64(int64(imm))
	if s != S64 {
		v &= 1<<s.Bits() - 1
	}
	return "0x" + strconv.FormatUint(v, 16)
}

var sizes = []Size{S8, S16, S32, S64}

// addresses returns every addressing form over every register.
func addresses() []Mem {
	var all []Mem
	disps := []int32{0, 1, -1, 127, -128, 128, -129, 0x12345678, -0x12345678}
	for base := RAX; base <= R15; base++ {
		for _, d := range disps {
			all = append(all, At(base, d))
		}
		for index := RAX; index <= R15; index++ {
			if index != RSP {
				all = append(all, Indexed(base, index, uint8(base+index)&3, disps[(base*3+index)%9]))
			}
		}
	}
	for index := RAX; index <= R15; index++ {
		if index != RSP {
			all = append(all, Indexed(NoReg, index, uint8(index)&3, int32(index)*64))
		}
	}
	all = append(all, RIPRel(0), RIPRel(0x1000), RIPRel(-5), Mem{Base: NoReg, Index: NoReg, Disp: 0x1000},
		Mem{Base: NoReg, Index: NoReg, Disp: 0x30, Seg: SegGS}, Mem{Base: RBX, Index: R9, Disp: 0x30, Seg: SegFS})
	return all
}

// few returns a handful of addressing forms for what shares its addressing
// with an instruction that is tested with all of them.
func few() []Mem {
	return []Mem{At(RAX, 0), At(R12, 8), At(RBP, 0), At(R13, -300), Indexed(RDI, R15, 3, 64), Indexed(R8, RCX, 0, 0), RIPRel(0x40)}
}

func legalSize(o Op, s Size) bool {
	switch o {
	case ADCX, ADOX, MOVNTI, MOVSX16, MOVZX16:
		return s >= S32
	case MOVSX32:
		return s == S64
	}
	return s != S8 || intRows[o].flags&has8 != 0
}

func srcSize(o Op, s Size) Size {
	switch o {
	case MOVZX8, MOVSX8:
		return S8
	case MOVZX16, MOVSX16:
		return S16
	case MOVSX32:
		return S32
	}
	return s
}

func dstSize(o Op, s Size) Size {
	if o == CRC32 && s < S32 {
		return S32
	}
	return s
}

func integerSamples() *samples {
	var t samples
	all := addresses()
	for o := Op(0); o < opCount; o++ {
		r := &intRows[o]
		name := r.name
		mems := few()
		if o == MOV || o == ADD || o == MOVZX8 || o == POPCNT {
			mems = all
		}
		for _, s := range sizes {
			if !legalSize(o, s) {
				continue
			}
			if r.rm != 0 || r.mr != 0 && o != MOVNTI {
				cl := ""
				if r.flags&mrImm != 0 {
					cl = ",cl"
				}
				for i := RAX; i <= R15; i++ {
					for j := RAX; j <= R15; j++ {
						if o != LEA && o != MOVBE {
							want := fmt.Sprintf("%s %s,%s%s", name, gpr(dstSize(o, s), i), gpr(srcSize(o, s), j), cl)
							t.add(want, func(a *Assembler) { a.RR(o, s, i, j) })
						}
					}
				}
			}
			for k, m := range mems {
				reg := Reg(k*7+int(s)) & 15
				mt := memText(m, gprIndex)
				if r.rm != 0 {
					t.add(fmt.Sprintf("%s %s,%s", name, gpr(dstSize(o, s), reg), mt), func(a *Assembler) { a.RM(o, s, reg, m) })
				}
				if r.mr != 0 {
					cl := ""
					if r.flags&mrImm != 0 {
						cl = ",cl"
						t.add(fmt.Sprintf("%s %s,%s,0x7", name, mt, gpr(s, reg)), func(a *Assembler) { a.MRI(o, s, m, reg, 7) })
					}
					t.add(fmt.Sprintf("%s %s,%s%s", name, mt, gpr(s, reg), cl), func(a *Assembler) { a.MR(o, s, m, reg) })
				}
				if r.unary != 0 {
					t.add(name+" "+mt+byCL(o), func(a *Assembler) { a.M(o, s, m) })
				}
				for _, imm := range immediates(o, s) {
					it := immText(s, imm)
					if r.flags&immByte != 0 {
						it = immText(S8, imm)
					}
					if r.flags&imm1 != 0 && imm == 1 {
						it = "1"
					}
					switch {
					case r.imm == 0 || r.flags&mrImm != 0:
					case o == IMULI:
						t.add(fmt.Sprintf("imul %s,%s,%s", gpr(s, reg), mt, it), func(a *Assembler) { a.RMI(o, s, reg, m, imm) })
						t.add(fmt.Sprintf("imul %s,%s,%s", gpr(s, reg), gpr(s, reg^9), it), func(a *Assembler) { a.RRI(o, s, reg, reg^9, imm) })
					default:
						t.add(fmt.Sprintf("%s %s,%s", name, mt, it), func(a *Assembler) { a.MI(o, s, m, imm) })
						if k < 16 {
							x := Reg(k)
							t.add(fmt.Sprintf("%s %s,%s", name, gpr(s, x), it), func(a *Assembler) { a.RI(o, s, x, imm) })
						}
					}
				}
			}
			for x := RAX; x <= R15; x++ {
				if r.unary != 0 {
					t.add(name+" "+gpr(s, x)+byCL(o), func(a *Assembler) { a.R(o, s, x) })
				}
				if r.flags&mrImm != 0 {
					t.add(fmt.Sprintf("%s %s,%s,0x9", name, gpr(s, x), gpr(s, x^5)), func(a *Assembler) { a.RRI(o, s, x, x^5, 9) })
				}
			}
		}
	}
	for x := RAX; x <= R15; x++ {
		for _, c := range []int64{0, 1, 0x7fffffff, 0x80000000, 0xffffffff} {
			t.add(fmt.Sprintf("mov %s,0x%x", gpr(S32, x), c), func(a *Assembler) { a.MovRI(S64, x, c) })
		}
		t.add(fmt.Sprintf("mov %s,0xffffffff", gpr(S32, x)), func(a *Assembler) { a.MovRI(S32, x, -1) })
		t.add(fmt.Sprintf("mov %s,0xffffffffffffffff", gpr(S64, x)), func(a *Assembler) { a.MovRI(S64, x, -1) })
		t.add(fmt.Sprintf("movabs %s,0x123456789abc", gpr(S64, x)), func(a *Assembler) { a.MovRI(S64, x, 0x123456789abc) })
		t.add(fmt.Sprintf("movabs %s,0x1", gpr(S64, x)), func(a *Assembler) { a.MovRI64(x, 1) })
		t.add(fmt.Sprintf("xor %s,%s", gpr(S32, x), gpr(S32, x)), func(a *Assembler) { a.Zero(x) })
		for _, s := range sizes {
			if s >= S32 {
				t.add("bswap "+gpr(s, x), func(a *Assembler) { a.Bswap(s, x) })
				for y := RAX; y <= R15; y++ {
					z := (x + 2*y) & 15
					for o := ANDN; o < bmiCount; o++ {
						want := fmt.Sprintf("%v %s,%s,%s", o, gpr(s, x), gpr(s, y), gpr(s, z))
						src1 := y
						switch o {
						case BLSR, BLSMSK, BLSI:
							src1 = NoReg
							want = fmt.Sprintf("%v %s,%s", o, gpr(s, x), gpr(s, z))
						case BEXTR, BZHI, SHLX, SHRX, SARX:
							want = fmt.Sprintf("%v %s,%s,%s", o, gpr(s, x), gpr(s, z), gpr(s, y))
						}
						t.add(want, func(a *Assembler) { a.BMI(o, s, x, src1, z) })
					}
					t.add(fmt.Sprintf("rorx %s,%s,0x11", gpr(s, x), gpr(s, y)), func(a *Assembler) { a.Rorx(s, x, y, 0x11) })
				}
				for _, m := range few() {
					mt := memText(m, gprIndex)
					t.add(fmt.Sprintf("andn %s,%s,%s", gpr(s, x), gpr(s, x^3), mt), func(a *Assembler) { a.BMIM(ANDN, s, x, x^3, m) })
					t.add(fmt.Sprintf("blsr %s,%s", gpr(s, x), mt), func(a *Assembler) { a.BMIM(BLSR, s, x, NoReg, m) })
					t.add(fmt.Sprintf("rorx %s,%s,0x5", gpr(s, x), mt), func(a *Assembler) { a.RorxM(s, x, m, 5) })
				}
			}
			if s != S8 {
				for c := O; c <= G; c++ {
					t.add(fmt.Sprintf("cmov%v %s,%s", c, gpr(s, x), gpr(s, Reg(c))), func(a *Assembler) { a.Cmov(c, s, x, Reg(c)) })
				}
				for _, m := range few() {
					t.add(fmt.Sprintf("cmove %s,%s", gpr(s, x), memText(m, gprIndex)), func(a *Assembler) { a.CmovM(E, s, x, m) })
				}
			}
		}
		for c := O; c <= G; c++ {
			t.add(fmt.Sprintf("set%v %s", c, gpr(S8, x)), func(a *Assembler) { a.Setcc(c, x) })
		}
	}
	for _, m := range all {
		mt := memText(m, gprIndex)
		t.add("cmpxchg16b "+mt, func(a *Assembler) { a.Cmpxchg16B(m) })
		t.add("cmpxchg8b "+mt, func(a *Assembler) { a.Cmpxchg8B(m) })
		t.add("setb "+mt, func(a *Assembler) { a.SetccM(B, m) })
		t.add("lock xadd "+mt+",rcx", func(a *Assembler) { a.Lock(); a.MR(XADD, S64, m, RCX) })
	}
	return &t
}

func byCL(o Op) string {
	if o >= ROL && o <= SAR {
		return ",cl"
	}
	return ""
}

func immediates(o Op, s Size) []int32 {
	if intRows[o].flags&immByte != 0 {
		return []int32{1, 2, 5}
	}
	return []int32{0, 1, -1, 127, -128, 128, 0x1234, -0x1234}
}

func controlSamples() *samples {
	var t samples
	for x := RAX; x <= R15; x++ {
		t.add("push "+gpr(S64, x), func(a *Assembler) { a.Push(x) })
		t.add("pop "+gpr(S64, x), func(a *Assembler) { a.Pop(x) })
		t.add("call "+gpr(S64, x), func(a *Assembler) { a.CallR(x) })
		t.add("jmp "+gpr(S64, x), func(a *Assembler) { a.JmpR(x) })
		for i, f := range []func(*Assembler, Reg){(*Assembler).RdFSBase, (*Assembler).RdGSBase, (*Assembler).WrFSBase, (*Assembler).WrGSBase} {
			t.add([]string{"rdfsbase ", "rdgsbase ", "wrfsbase ", "wrgsbase "}[i]+gpr(S64, x), func(a *Assembler) { f(a, x) })
		}
	}
	for _, m := range addresses() {
		mt := memText(m, gprIndex)
		t.add("push "+mt, func(a *Assembler) { a.PushM(m) })
		t.add("pop "+mt, func(a *Assembler) { a.PopM(m) })
		t.add("call "+mt, func(a *Assembler) { a.CallM(m) })
		t.add("jmp "+mt, func(a *Assembler) { a.JmpM(m) })
		t.add("ldmxcsr "+mt, func(a *Assembler) { a.Ldmxcsr(m) })
		t.add("stmxcsr "+mt, func(a *Assembler) { a.Stmxcsr(m) })
		t.add("prefetcht0 "+mt, func(a *Assembler) { a.Prefetch(PrefetchT0, m) })
		t.add("clflush "+mt, func(a *Assembler) { a.Clflush(m) })
	}
	t.add("push 0x7f", func(a *Assembler) { a.PushI(127) })
	t.add("push 0x80", func(a *Assembler) { a.PushI(128) })
	t.add("push 0xffffffffffffffff", func(a *Assembler) { a.PushI(-1) })
	t.add("ret", func(a *Assembler) { a.Ret(0) })
	t.add("ret 0x1234", func(a *Assembler) { a.Ret(0x1234) })
	t.add("cbw", func(a *Assembler) { a.Extend(S8) })
	t.add("cwd", func(a *Assembler) { a.Extend(S16) })
	t.add("cdq", func(a *Assembler) { a.Extend(S32) })
	t.add("cqo", func(a *Assembler) { a.Extend(S64) })
	for f := Fixed(0); f < fixedCount; f++ {
		want := f.String()
		switch f {
		case REPMOVSB:
			want = "rep movs es:[rdi],ds:[rsi]"
		case REPMOVSQ:
			want = "rep movs es:[rdi],ds:[rsi]"
		case REPSTOSB:
			want = "rep stos es:[rdi],al"
		case REPSTOSQ:
			want = "rep stos es:[rdi],rax"
		}
		t.add(want, func(a *Assembler) { a.Emit(f) })
	}
	for n := 1; n <= 9; n++ {
		t.add("nop", func(a *Assembler) { a.Nop(n) })
	}
	return &t
}

// objdumpText returns objdump's text for each instruction, by offset.
func objdumpText(t *testing.T, code []byte) map[int]string {
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump is not installed")
	}
	file := filepath.Join(t.TempDir(), "code.bin")
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(objdump, "-D", "-b", "binary", "-m", "i386:x86-64", "-M", "intel", "--no-show-raw-insn", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	text := map[int]string{}
	for _, line := range bytes.Split(out, []byte("\n")) {
		addr, rest, ok := strings.Cut(string(line), ":\t")
		if !ok {
			continue
		}
		at, err := strconv.ParseInt(strings.TrimSpace(addr), 16, 64)
		if err != nil {
			continue
		}
		text[int(at)] = normalize(rest)
	}
	return text
}

var (
	ptrSize = regexp.MustCompile(`\b(BYTE|WORD|DWORD|FWORD|QWORD|TBYTE|XMMWORD|YMMWORD|ZMMWORD|OWORD) PTR |(DWORD|QWORD|WORD) (BCST )`)
	blanks  = regexp.MustCompile(`\s+`)
	nopText = regexp.MustCompile(`^(data16 )?(cs )?nop .*|^xchg ax,ax$`)
)

func normalize(s string) string {
	s, _, _ = strings.Cut(s, "#")
	s = strings.TrimPrefix(s, "{evex} ")
	s = ptrSize.ReplaceAllString(s, "$3")
	s = strings.TrimSpace(blanks.ReplaceAllString(s, " "))
	if nopText.MatchString(s) {
		return "nop"
	}
	return s
}

// check compares the samples with objdump's reading of them.
func (s *samples) check(t *testing.T) {
	t.Helper()
	text := objdumpText(t, s.Buf)
	bad := 0
	for _, c := range s.all {
		got := text[c.at]
		next := c.at + c.size
		_, starts := text[next]
		if got == normalize(c.want) && (starts || next == len(s.Buf)) {
			continue
		}
		t.Errorf("% x: objdump reads %q, want %q", s.Buf[c.at:next], got, c.want)
		if bad++; bad > 40 {
			t.Fatal("too many errors")
		}
	}
	t.Logf("%d instructions", len(s.all))
}

func TestInteger(t *testing.T) { integerSamples().check(t) }
func TestControl(t *testing.T) { controlSamples().check(t) }

// TestDecodeLength has golang.org/x/arch read every instruction that it knows:
// it must find the same length and mnemonic.
func TestDecodeLength(t *testing.T) {
	known := 0
	for _, s := range []*samples{integerSamples(), controlSamples()} {
		for _, c := range s.all {
			code := s.Buf[c.at : c.at+c.size]
			inst, err := x86asm.Decode(code, 64)
			if err != nil {
				continue // not known to the decoder: VEX and some others
			}
			want := strings.Fields(strings.TrimPrefix(strings.TrimPrefix(c.want, "lock "), "rep "))[0]
			got := strings.ToLower(inst.Op.String())
			if inst.Len != len(code) || !sameMnemonic(got, want) {
				if want == "tzcnt" || want == "lzcnt" || want == "adcx" || want == "adox" || want == "endbr64" || strings.HasSuffix(want, "base") {
					continue // newer than the decoder, which ignores their prefix
				}
				t.Fatalf("% x: decoded as %v, %d bytes; want %s", code, inst, inst.Len, c.want)
			}
			known++
		}
	}
	if known < 10000 {
		t.Errorf("only %d instructions were checked", known)
	}
}

func sameMnemonic(got, want string) bool {
	if got == want {
		return true
	}
	switch want {
	case "movabs":
		return got == "mov"
	case "shl":
		return got == "sal"
	case "nop":
		return got == "xchg"
	case "movs", "stos":
		return strings.HasPrefix(got, want)
	case "int3":
		return got == "int"
	case "syscall", "leave", "pushf", "popf", "ret", "movsxd", "pause":
		return strings.HasPrefix(got, want) || want == "pause" && got == "nop"
	}
	return false
}

func TestBranches(t *testing.T) {
	var a Assembler
	a.Jmp32()
	a.Jmp8()
	a.Call32()
	for c := O; c <= G; c++ {
		a.Jcc32(c)
		a.Jcc8(c)
	}
	at, n := 0, 0
	for at < len(a.Buf) {
		inst, err := x86asm.Decode(a.Buf[at:], 64)
		if err != nil || inst.PCRel == 0 {
			t.Fatalf("at %d: %v, %v", at, inst, err)
		}
		// The relative field is the last thing in the instruction.
		if inst.PCRelOff+inst.PCRel != inst.Len {
			t.Errorf("%v: field at %d of %d", inst, inst.PCRelOff, inst.Len)
		}
		at += inst.Len
		n++
	}
	if n != 3+2*16 {
		t.Errorf("%d branches", n)
	}
	for c := O; c <= G; c++ {
		if c.Invert().Invert() != c || c.Invert() == c {
			t.Errorf("inverse of %v is %v", c, c.Invert())
		}
	}
}

func TestNopLength(t *testing.T) {
	for n := 0; n < 64; n++ {
		var a Assembler
		a.Nop(n)
		if len(a.Buf) != n {
			t.Errorf("Nop(%d) is %d bytes", n, len(a.Buf))
		}
	}
}

func TestDispAt(t *testing.T) {
	var a Assembler
	a.MI(CMP, S32, RIPRel(0x11223344), 0x7777)
	if got := a.Buf[a.DispAt : a.DispAt+4]; !bytes.Equal(got, []byte{0x44, 0x33, 0x22, 0x11}) {
		t.Errorf("displacement is % x", got)
	}
	if a.DispAt+8 != len(a.Buf) {
		t.Errorf("displacement at %d of %d", a.DispAt, len(a.Buf))
	}
	a.VEXM(ADDSD, 0, X9, X10, RIPRel(0x11223344))
	if got := a.Buf[a.DispAt : a.DispAt+4]; !bytes.Equal(got, []byte{0x44, 0x33, 0x22, 0x11}) {
		t.Errorf("displacement is % x", got)
	}
}

func TestImpossible(t *testing.T) {
	for name, f := range map[string]func(a *Assembler){
		"lea of a register": func(a *Assembler) { a.RR(LEA, S64, RAX, RBX) },
		"8-bit imul":        func(a *Assembler) { a.RR(IMUL, S8, RAX, RBX) },
		"rsp as index":      func(a *Assembler) { a.RM(MOV, S64, RAX, Indexed(RBX, RSP, 0, 0)) },
		"store of lea":      func(a *Assembler) { a.MR(LEA, S64, At(RAX, 0), RBX) },
		"SSE of AVX":        func(a *Assembler) { a.SSE(VPERMD, X0, X1) },
		"VEX without vvvv":  func(a *Assembler) { a.VEX(ADDSD, 0, X0, NoReg, X1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f(new(Assembler))
		}()
	}
}

func TestNoAllocation(t *testing.T) {
	a := Assembler{Buf: make([]byte, 0, 1024)}
	n := testing.AllocsPerRun(100, func() {
		a.Buf = a.Buf[:0]
		a.RM(MOV, S64, RAX, Indexed(RBX, RCX, 3, 400))
		a.RI(ADD, S32, RAX, 1000)
		a.SSEM(ADDSD, X3, At(RSP, 8))
		a.VEX(VFMADD231SD, 0, X3, X4, X5)
		a.EVEXM(ADDPD, EVEX{L: 2, Mask: 1}, X3, X4, At(RSP, 64))
		a.BMI(ANDN, S64, RAX, RCX, RDX)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGenerated(t *testing.T) {
	want, err := exec.Command("go", "run", "gen.go", "-n").Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("vector_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("vector_gen.go is not what gen.go makes of vector.txt: run go generate")
	}
}

func BenchmarkEncode(b *testing.B) {
	a := Assembler{Buf: make([]byte, 0, 4096)}
	b.ReportAllocs()
	for b.Loop() {
		a.Buf = a.Buf[:0]
		a.RM(MOV, S64, RAX, Indexed(RBX, RCX, 3, 400))
		a.RI(ADD, S32, RAX, 1000)
		a.RR(IMUL, S64, R9, RDX)
		a.SSE(ADDSD, X3, X9)
	}
}
