package machine

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
)

// A machine for tests. Opcodes: 1 step (and 4 bytes of its number), 2 long
// conditional jump (a filler byte and 4 bytes of distance), 3 short one (1
// byte), 4 long jump (4 bytes), 5 short jump (1 byte), 6 stop, 7 load from a
// place in the data (4 bytes of distance), 8 nothing. Distances count from the end
// of the instruction.
const (
	opStep = iota + 1
	opJccLong
	opJccShort
	opJmpLong
	opJmpShort
	opStop
	opData
	opNop
)

// testNops is code that does nothing.
func testNops(code []byte) {
	for i := range code {
		code[i] = opNop
	}
}

var testFixups = []FixupInfo{
	{Name: "jcc", Size: 6, Short: 2, ShortMin: -128, ShortMax: 127, Min: math.MinInt32, Max: math.MaxInt32, Patch: func(c []byte, d int64, short bool) {
		if short {
			c[0], c[1] = opJccShort, byte(d)
		} else {
			binary.LittleEndian.PutUint32(c[2:], uint32(d-6))
		}
	}},
	{Name: "jmp", Size: 5, Short: 2, ShortMin: -128, ShortMax: 127, Min: math.MinInt32, Max: math.MaxInt32, Patch: func(c []byte, d int64, short bool) {
		if short {
			c[0], c[1] = opJmpShort, byte(d)
		} else {
			binary.LittleEndian.PutUint32(c[1:], uint32(d-5))
		}
	}},
	{Name: "data", Min: math.MinInt32, Max: math.MaxInt32, Patch: func(c []byte, d int64, _ bool) {
		binary.LittleEndian.PutUint32(c, uint32(d))
	}},
}

type testItem struct {
	op    int
	label Label // of jumps; bound before the item for steps
}

// trace runs the program as written: the numbers of the steps and data passed.
func trace(items []testItem, at []int, bits uint64, limit int) (out []int) {
	for pc := 0; pc < len(items) && limit > 0; limit-- {
		it := items[pc]
		switch it.op {
		case opStep, opData:
			out = append(out, pc)
		case opStop:
			return out
		case opJccLong:
			taken := bits&1 != 0
			bits = bits>>1 | bits<<63
			if taken {
				pc = at[it.label]
				continue
			}
		case opJmpLong:
			pc = at[it.label]
			continue
		}
		pc++
	}
	return out
}

// traceCode runs the bytes.
func traceCode(t *testing.T, code []byte, bits uint64, limit int) (out []int) {
	for pc := 0; limit > 0; limit-- {
		i32 := func(at int) int { return int(int32(binary.LittleEndian.Uint32(code[at:]))) }
		switch code[pc] {
		case opStep:
			out = append(out, i32(pc+1))
			pc += 5
		case opData:
			out = append(out, i32(pc+5+i32(pc+1)))
			pc += 5
		case opNop:
			pc++
			limit++
		case opStop:
			return out
		case opJccLong, opJccShort:
			taken := bits&1 != 0
			bits = bits>>1 | bits<<63
			size, d := 6, 0
			if code[pc] == opJccLong {
				d = i32(pc + 2)
			} else {
				size, d = 2, int(int8(code[pc+1]))
			}
			pc += size
			if taken {
				pc += d
			}
		case opJmpLong:
			pc += 5 + i32(pc+1)
		case opJmpShort:
			pc += 2 + int(int8(code[pc+1]))
		default:
			t.Fatalf("byte %d at %d is no opcode", code[pc], pc)
		}
	}
	return out
}

func TestBufferRelaxation(t *testing.T) {
	var b Buffer
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := 2 + r.IntN(300)
		labels := 1 + r.IntN(n)
		jumps := r.IntN(100)
		items := make([]testItem, n)
		at := make([]int, labels) // item that each label stands before
		for i := range at {
			at[i] = r.IntN(n)
		}
		loops := [][2]int{} // the first item, and the one behind
		if seed%2 == 0 {
			for from := r.IntN(20); from < n; from += r.IntN(20) {
				to := min(n, from+1+r.IntN(15))
				loops = append(loops, [2]int{from, to})
				from = to
			}
		}
		b.Reset(labels)
		var code []byte
		begun := loops
		for i := range items {
			if len(begun) > 0 && begun[0][0] == i {
				b.Source(len(code), 12345) // of nothing
				b.BeginLoop(len(code))
				code = append(code, make([]byte, LoopRoom)...)
			}
			for l, pos := range at {
				if pos == i {
					b.Bind(Label(l), len(code))
				}
			}
			b.Source(len(code), uint32(i+1))
			b.Trap(len(code), uint8(i))
			it := testItem{op: opStep, label: Label(r.IntN(labels))}
			switch k := r.IntN(100); {
			case i == n-1:
				it.op = opStop
			case k < jumps/2:
				it.op = opJccLong
			case k < jumps:
				it.op = opJmpLong
			case k < jumps+3:
				it.op = opData
			}
			items[i] = it
			switch it.op {
			case opStep:
				code = binary.LittleEndian.AppendUint32(append(code, opStep), uint32(i))
			case opStop:
				code = append(code, opStop)
			case opJccLong:
				b.Fixup(len(code), 0, it.label, 0)
				code = append(code, opJccLong, 0, 0, 0, 0, 0)
			case opJmpLong:
				b.Fixup(len(code), 1, it.label, 0)
				code = append(code, opJmpLong, 0, 0, 0, 0)
			case opData:
				l := b.NewLabel()
				b.Fixup(len(code)+1, 2, l, -4)
				code = append(code, opData, 0, 0, 0, 0)
				b.BindData(l, 4)
				b.Data = binary.LittleEndian.AppendUint32(b.Data, uint32(i))
			}
			b.Call(len(code), uint32(i))
			if len(begun) > 0 && begun[0][1] == i+1 {
				b.EndLoop(len(code))
				begun = begun[1:]
			}
		}
		size := len(code)
		code, err := b.Finish(code, testFixups, testNops, 0)
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			bits := r.Uint64()
			want, got := trace(items, at, bits, 2000), traceCode(t, code, bits, 2000)
			if len(want) != len(got) {
				t.Fatalf("seed %d: %d steps, want %d", seed, len(got), len(want))
			}
			for i := range want {
				if want[i] != got[i] {
					t.Fatalf("seed %d: step %d is %d, want %d", seed, i, got[i], want[i])
				}
			}
		}
		// Records follow their instructions, and every branch that reaches is short, if there is
		// no room for loops.
		ops := map[byte]int{opStep: opStep, opJccLong: opJccLong, opJccShort: opJccLong, opJmpLong: opJmpLong, opJmpShort: opJmpLong, opStop: opStop, opData: opData}
		sizes := map[byte]uint32{opStep: 5, opJccLong: 6, opJccShort: 2, opJmpLong: 5, opJmpShort: 2, opStop: 1, opData: 5}
		for i, it := range items {
			off := b.Traps[i].Off
			if ops[code[off]] != it.op || b.Sources[i].Off != off || b.Calls[i].RetAddr != off+sizes[code[off]] {
				t.Fatalf("seed %d: records of item %d are not at it", seed, i)
			}
			if len(loops) == 0 && (code[off] == opJccLong || code[off] == opJmpLong) {
				to := int(b.Traps[at[it.label]].Off)
				end := int(off + sizes[code[off]])
				short := end - int(sizes[code[off]]) + 2
				d := to - short
				if to >= end {
					d = to - end
				}
				if d >= -128 && d <= 127 {
					t.Errorf("seed %d: item %d of %d (%d bytes of %d) could be short: %d", seed, i, n, len(code), size, d)
				}
			}
		}
		// Loops that fit lie in one line, behind no more than that takes.
		placed := false
		for _, l := range loops {
			from, to, before := b.Traps[l[0]].Off, b.Calls[l[1]-1].RetAddr, uint32(0)
			if l[0] > 0 {
				before = b.Calls[l[0]-1].RetAddr
			}
			short := to-from <= 64
			placed = placed || short
			switch nops := from - before; {
			case short && from/64 != (to-1)/64:
				t.Errorf("seed %d: a loop lies from %d to %d", seed, from, to)
			case nops != 0 && (!short || from%64 != 0 || before/64 == (before+to-from-1)/64):
				t.Errorf("seed %d: %d bytes of nothing before a loop from %d to %d", seed, nops, from, to)
			}
		}
		if want := map[bool]uint32{false: 1, true: 64}[placed]; b.CodeAlign != want {
			t.Errorf("seed %d: the code is aligned to %d, want %d", seed, b.CodeAlign, want)
		}
	}
}

func TestBufferLabelOutOfReach(t *testing.T) {
	var b Buffer
	b.Reset(1)
	kinds := []FixupInfo{{Name: "near jump", Min: -16, Max: 15, Patch: func([]byte, int64, bool) {}}}
	b.Fixup(0, 0, 0, 0)
	code := make([]byte, 16)
	b.Bind(0, len(code))
	if _, err := b.Finish(code, kinds, testNops, 0); err == nil {
		t.Error("no error for a jump that is too far")
	}
}
