package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
)

func compiler(t testing.TB, settings ...string) *Compiler {
	c, err := NewCompiler(settings...)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(c.Close)
	return c
}

// same runs a program on packets with the virtual machine of x/net and
// compiled. It returns how many packets are accepted.
func same(t testing.TB, c *Compiler, program []bpf.Instruction, packets [][]byte) (accepted int) {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatalf("%v: %v", program, err)
	}
	f, err := c.Compile(program)
	if err != nil {
		t.Fatalf("%v: %v", program, err)
	}
	all := make([]uint32, len(packets))
	if err := f.RunAll(context.Background(), packets, all); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		want, err := vm.Run(p)
		if err != nil {
			t.Fatalf("%v: %v", program, err)
		}
		got, err := f.Run(context.Background(), p)
		if err != nil || got != want || all[i] != uint32(want) {
			t.Fatalf("program %v\npacket %x\ncompiled: %d, %v, and among others %d; interpreted: %d", program, p, got, err, all[i], want)
		}
		if want != 0 {
			accepted++
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return accepted
}

// generator makes random programs that are valid, and packets.
type generator struct{ *rand.Rand }

func (g generator) value() uint32 {
	switch g.IntN(4) {
	case 0:
		return g.Uint32()
	case 1:
		return uint32(g.IntN(40))
	case 2:
		return 1 << g.IntN(32)
	}
	return uint32(g.IntN(1 << 16))
}

func (g generator) register() bpf.Register { return bpf.Register(g.IntN(2)) }
func (g generator) size() int              { return 1 << g.IntN(3) }

// offset is mostly within small packets.
func (g generator) offset() uint32 {
	if g.IntN(40) == 0 {
		return g.value() & 0xffffff // larger ones are extensions when assembled
	}
	return uint32(g.IntN(24))
}

func (g generator) program(n int) []bpf.Instruction {
	p := make([]bpf.Instruction, n)
	for i := range n - 1 {
		left := n - i - 1 // a jump may skip fewer
		skip := func() uint8 { return uint8(g.IntN(min(left, 6))) }
		switch g.IntN(14) {
		case 0:
			p[i] = bpf.LoadConstant{Dst: g.register(), Val: g.value()}
		case 1:
			p[i] = bpf.LoadScratch{Dst: g.register(), N: g.IntN(16)}
		case 2:
			p[i] = bpf.StoreScratch{Src: g.register(), N: g.IntN(16)}
		case 3, 4:
			p[i] = bpf.LoadAbsolute{Off: g.offset(), Size: g.size()}
		case 5:
			p[i] = bpf.LoadIndirect{Off: g.offset(), Size: g.size()}
		case 6:
			p[i] = bpf.LoadMemShift{Off: g.offset()}
		case 7:
			p[i] = bpf.LoadExtension{Num: bpf.ExtLen}
		case 8, 9:
			ins := bpf.ALUOpConstant{Op: bpf.ALUOp(g.IntN(10)) << 4, Val: g.value()}
			if ins.Op >= 0x80 { // 8 is negation
				ins.Op += 0x10
			}
			if ins.Val == 0 {
				ins.Val = 1
			}
			p[i] = ins
		case 10:
			ins := bpf.ALUOpX{Op: bpf.ALUOp(g.IntN(10)) << 4}
			if ins.Op >= 0x80 {
				ins.Op += 0x10
			}
			p[i] = ins
		case 11:
			p[i] = bpf.JumpIf{Cond: bpf.JumpTest(g.IntN(8)), Val: g.value(), SkipTrue: skip(), SkipFalse: skip()}
		case 12:
			p[i] = bpf.JumpIfX{Cond: bpf.JumpTest(g.IntN(8)), SkipTrue: skip(), SkipFalse: skip()}
		case 13:
			switch g.IntN(4) {
			case 0:
				p[i] = bpf.Jump{Skip: uint32(skip())}
			case 1:
				p[i] = bpf.TAX{}
			case 2:
				p[i] = bpf.TXA{}
			case 3:
				p[i] = bpf.StoreScratch{Src: bpf.RegA, N: 3}
			}
		}
	}
	p[n-1] = bpf.RetA{}
	if g.IntN(4) == 0 {
		p[n-1] = bpf.RetConstant{Val: g.value()}
	}
	return p
}

func (g generator) packet() []byte {
	p := make([]byte, g.IntN(48))
	for i := range p {
		if g.IntN(3) != 0 {
			p[i] = byte(g.Uint32())
		}
	}
	return p
}

// TestRandom compares random programs on random packets.
func TestRandom(t *testing.T) {
	for _, level := range []string{"none", "speed"} {
		c := compiler(t, "opt_level="+level, "regalloc_checker=true")
		g := generator{rand.New(rand.NewPCG(5, 6))}
		packets := [][]byte{nil, {}, make([]byte, 1)}
		for range 30 {
			packets = append(packets, g.packet())
		}
		accepted := 0
		for n := range 600 {
			accepted += same(t, c, g.program(1+n%60), packets)
		}
		if accepted < 1000 {
			t.Errorf("only %d packets are accepted", accepted)
		}
	}
}

func FuzzPrograms(f *testing.F) {
	f.Add(uint64(1), uint64(2), 20)
	c := compiler(f)
	f.Fuzz(func(t *testing.T, a, b uint64, n int) {
		g := generator{rand.New(rand.NewPCG(a, b))}
		same(t, c, g.program(1+int(uint(n)%300)), [][]byte{g.packet(), g.packet(), g.packet(), nil})
	})
}

func read(t testing.TB, name string) []bpf.Instruction {
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	p, err := parseProgram(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// tcp4 is an Ethernet frame with IPv4 and TCP. words is the length of the IP
// header in words of 4 bytes.
func tcp4(words int, fragment, source, destination uint16, payload string) []byte {
	p := make([]byte, 14+4*words+20)
	binary.BigEndian.PutUint16(p[12:], 0x0800)
	ip := p[14:]
	ip[0] = 0x40 | byte(words)
	binary.BigEndian.PutUint16(ip[2:], uint16(4*words+20+len(payload)))
	binary.BigEndian.PutUint16(ip[6:], fragment)
	ip[9] = 6
	tcp := ip[4*words:]
	binary.BigEndian.PutUint16(tcp, source)
	binary.BigEndian.PutUint16(tcp[2:], destination)
	tcp[12] = 5 << 4
	return append(p, payload...)
}

func tcp6(source, destination uint16) []byte {
	p := make([]byte, 14+40+20)
	binary.BigEndian.PutUint16(p[12:], 0x86dd)
	p[14+6] = 6
	binary.BigEndian.PutUint16(p[54:], source)
	binary.BigEndian.PutUint16(p[56:], destination)
	return p
}

// traffic is packets, and which filters accept them.
var traffic = []struct {
	name           string
	packet         []byte
	ip, port, data bool
}{
	{"web request", tcp4(5, 0, 40000, 80, "GET / HTTP/1.1\r\n"), true, true, true},
	{"web response", tcp4(5, 0, 80, 40000, "HTTP/1.1 200"), true, true, true},
	{"acknowledgement", tcp4(5, 0, 40000, 80, ""), true, true, false},
	{"IP options", tcp4(8, 0, 40000, 80, "x"), true, true, true},
	{"other port", tcp4(5, 0, 40000, 443, "x"), true, false, false},
	{"fragment", tcp4(5, 0x20, 40000, 80, "x"), true, false, false},
	{"IPv6", tcp6(40000, 80), false, true, false},
	{"IPv6, other port", tcp6(40000, 81), false, false, false},
	{"cut short", tcp4(5, 0, 40000, 80, "x")[:36], true, false, false},
	{"ARP", append(make([]byte, 12), 8, 6, 0, 1), false, false, false},
	{"empty", nil, false, false, false},
}

func TestRealFilters(t *testing.T) {
	c := compiler(t)
	for _, test := range traffic {
		for name, want := range map[string]bool{"ip.bpf": test.ip, "tcp-port-80.bpf": test.port, "http-with-data.bpf": test.data} {
			n := same(t, c, read(t, name), [][]byte{test.packet})
			if n == 1 != want {
				t.Errorf("%s: %s: accepted %d, want %t", name, test.name, n, want)
			}
		}
	}
}

// TestNegate: the virtual machine of x/net does not have this one.
func TestNegate(t *testing.T) {
	f, err := compiler(t).Compile([]bpf.Instruction{bpf.LoadAbsolute{Off: 0, Size: 4}, bpf.NegateA{}, bpf.RetA{}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := f.Run(context.Background(), []byte{0xff, 0xff, 0xff, 0xfe}); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestInvalid(t *testing.T) {
	c := compiler(t)
	ret := bpf.RetConstant{}
	for _, test := range []struct {
		program []bpf.Instruction
		want    string
	}{
		{nil, "the program is empty"},
		{[]bpf.Instruction{bpf.TAX{}}, "the last instruction is not a return"},
		{[]bpf.Instruction{bpf.Jump{Skip: 1}, ret}, "instruction 0 (ja 1): a jump out of the program"},
		{[]bpf.Instruction{bpf.Jump{Skip: 0xffffffff}, ret}, "a jump out of the program"},
		{[]bpf.Instruction{bpf.JumpIf{SkipTrue: 1}, ret}, "a jump out of the program"},
		{[]bpf.Instruction{bpf.JumpIfX{SkipFalse: 1}, ret}, "a jump out of the program"},
		{[]bpf.Instruction{bpf.ALUOpConstant{Op: bpf.ALUOpMod}, ret}, "division by zero"},
		{[]bpf.Instruction{bpf.LoadExtension{Num: bpf.ExtRand}, ret}, "the extension is not known"},
		{[]bpf.Instruction{bpf.LoadAbsolute{Size: 3}, ret}, "a load of 3 bytes"},
		{[]bpf.Instruction{bpf.LoadScratch{N: 16}, ret}, "there are 16 scratch words"},
		{[]bpf.Instruction{bpf.RawInstruction{Op: 0xffff}, ret}, "the instruction is not known"},
	} {
		if _, err := c.Compile(test.program); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v; want %s", test.program, err, test.want)
		}
	}
}

// capture is a pcap file.
func capture(order binary.ByteOrder, packets ...[]byte) []byte {
	var b bytes.Buffer
	binary.Write(&b, order, []uint32{0xa1b2c3d4, 4<<16 | 2, 0, 0, maxPacket, 1})
	for _, p := range packets {
		binary.Write(&b, order, []uint32{0, 0, uint32(len(p)), uint32(len(p))})
		b.Write(p)
	}
	return b.Bytes()
}

func TestCommand(t *testing.T) {
	compiler(t)
	var all [][]byte
	for _, p := range traffic {
		all = append(all, p.packet)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		file := filepath.Join(t.TempDir(), "capture.pcap")
		if err := os.WriteFile(file, capture(order, all...), 0o666); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := run(&out, []string{"testdata/tcp-port-80.bpf", file}); err != nil {
			t.Fatal(err)
		}
		if out.String() != "5 of 11 packets accepted\n" {
			t.Error(out.String())
		}
	}
	var out strings.Builder
	if err := run(&out, []string{"testdata/ip.bpf"}); err != nil || !strings.HasPrefix(out.String(), "(000) ldh [12]\n(001) jneq #2048,1\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestBadFiles(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "line 1: not a number"},
		{"2\n6 0 0 0\n", "line 1: 2 instructions are announced, and 1 follow"},
		{"1\n6 0 0\n", "line 2: "},
		{"1\n65535 0 0 0\n", "line 2: the instruction is not known"},
		{"1\n6 256 0 0\n", "line 2: "},
	} {
		if _, err := parseProgram(test.text); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v; want %s", test.text, err, test.want)
		}
	}
	good := capture(binary.LittleEndian, []byte("packet"))
	large := bytes.Clone(good)
	large[24+8+3] = 1
	for _, test := range []struct {
		file []byte
		want string
	}{
		{nil, "the header"},
		{make([]byte, 24), "not a pcap file"},
		{good[:30], "packet 0: unexpected EOF"},
		{good[:44], "packet 0: unexpected EOF"},
		{large, "packet 0: 16777222 bytes are too many"},
	} {
		err := packets(bytes.NewReader(test.file), func([]byte) error { return nil })
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v; want %s", err, test.want)
		}
	}
}

func FuzzFiles(f *testing.F) {
	f.Add("1\n6 0 0 0\n", capture(binary.LittleEndian, []byte("packet")))
	c := compiler(f)
	f.Fuzz(func(t *testing.T, text string, file []byte) {
		packets(bytes.NewReader(file), func([]byte) error { return nil })
		if program, err := parseProgram(text); err == nil {
			if filter, err := c.Compile(program); err == nil {
				if _, err := filter.Run(context.Background(), file); err != nil {
					t.Error(err)
				}
				filter.Close()
			}
		}
	})
}

func BenchmarkRun(b *testing.B) {
	c := compiler(b)
	ctx := context.Background()
	for _, name := range []string{"ip", "tcp-port-80", "http-with-data"} {
		program := read(b, name+".bpf")
		vm, err := bpf.NewVM(program)
		if err != nil {
			b.Fatal(err)
		}
		filter, err := c.Compile(program)
		if err != nil {
			b.Fatal(err)
		}
		packet := traffic[0].packet
		b.Run(fmt.Sprintf("%s/interpreted", name), func(b *testing.B) {
			for b.Loop() {
				if _, err := vm.Run(packet); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s/compiled", name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := filter.Run(ctx, packet); err != nil {
					b.Fatal(err)
				}
			}
		})
		// The same packet 1,000 times: what one takes of a thousand at once.
		packets, out := make([][]byte, 1000), make([]uint32, 1000)
		for i := range packets {
			packets[i] = packet
		}
		b.Run(fmt.Sprintf("%s/compiled-batch", name), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := filter.RunAll(ctx, packets, out); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(packets)), "ns/packet")
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	c := compiler(b, "enable_verifier=false")
	program := read(b, "tcp-port-80.bpf")
	for b.Loop() {
		filter, err := c.Compile(program)
		if err != nil {
			b.Fatal(err)
		}
		if err := filter.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
