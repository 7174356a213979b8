package native

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"unsafe"

	"github.com/davit-wasm/davit/internal/layout"
)

func supported(t testing.TB) {
	t.Helper()
	if err := Supported(); errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
}

func TestSpans(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const limit = 500
	s := spans{limit: limit}
	owner := make([]int, limit)
	type run struct{ first, n int }
	held := map[int]run{}
	for id := 1; id < 20000; id++ {
		if len(held) > 0 && rnd.IntN(2) == 0 {
			for k, r := range held {
				for i := r.first; i < r.first+r.n; i++ {
					if owner[i] != k {
						t.Fatalf("unit %d belongs to %d, not %d", i, owner[i], k)
					}
					owner[i] = 0
				}
				s.give(r.first, r.n)
				delete(held, k)
				break
			}
			continue
		}
		n := 1 + rnd.IntN(20)
		used := s.used
		first, reused, ok := s.take(n)
		if !ok {
			continue
		}
		if reused != (first < used) {
			t.Fatalf("run at %d below %d: reused is %t", first, used, reused)
		}
		for i := first; i < first+n; i++ {
			if owner[i] != 0 {
				t.Fatalf("unit %d given twice", i)
			}
			owner[i] = id
		}
		held[id] = run{first, n}
	}
	for _, r := range held {
		s.give(r.first, r.n)
	}
	if len(s.free) != 1 || s.free[0] != (span{0, s.used}) {
		t.Errorf("free at the end: %v of %d", s.free, s.used)
	}
}

func TestBitmap(t *testing.T) {
	m, err := MapMemory(64 * 8) // as in use: not in the Go heap
	if err != nil {
		t.Skip(err)
	}
	defer m.Free()
	words := unsafe.Slice((*uintptr)(m.Pointer()), 64)
	want := make([]bool, 64*64)
	b := bitmap{words: m.Base(), unitLog2: 4}
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		from := rnd.IntN(len(want))
		to := from + 1 + rnd.IntN(len(want)-from)
		on := rnd.IntN(2) == 0
		b.set(uintptr(from)<<4, uintptr(to)<<4, on)
		for i := from; i < to; i++ {
			want[i] = on
		}
		for i, w := range want {
			if got := words[i/64]>>(i%64)&1 == 1; got != w {
				t.Fatalf("after [%d, %d) = %t: bit %d is %t", from, to, on, i, got)
			}
		}
	}
}

func TestTables(t *testing.T) {
	bad := []Tables{
		{Traps: []TrapSite{{Offset: 100}}},
		{Traps: []TrapSite{{Offset: 5}, {Offset: 5}}},
		{Traps: []TrapSite{{Offset: 6}, {Offset: 5}}},
		{Bodies: []Range{{5, 4}}},
		{Bodies: []Range{{0, 101}}},
		{Bodies: []Range{{0, 10}, {9, 20}}},
	}
	for i, tables := range bad {
		if checkTables(tables, 100) == nil {
			t.Errorf("tables %d are accepted", i)
		}
	}
	supported(t)
	c, err := NewCode(100)
	if err != nil {
		t.Fatal(err)
	}
	text := c.Writable()
	copy(text[8:], "\x0f\x0b")
	if err := c.Publish(Tables{
		Traps:  []TrapSite{{Offset: 4, Code: 7, Null: true}, {Offset: 8, Code: 9}, {Offset: 99, Code: 0xffff}},
		Bodies: []Range{{0, 10}, {10, 20}, {20, 20}, {30, 40}},
	}); err != nil {
		t.Fatal(err)
	}
	for off, want := range map[uint32]int{0: -1, 4: 7, 5: -1, 8: 9, 98: -1, 99: 0xffff, 100: -1} {
		got, ok := c.TrapAt(off)
		if ok != (want >= 0) || ok && int(got) != want {
			t.Errorf("trap at %d: %d, %t", off, got, ok)
		}
	}
	bounds := uint32sAt(load(c.desc+layout.DescBounds), 4)
	if n := uint32sAt(c.desc+layout.DescBoundCount, 1)[0]; n != 4 || bounds[0] != 0 || bounds[1] != 20 || bounds[2] != 30 || bounds[3] != 40 {
		t.Errorf("%d bounds: %v", n, bounds)
	}
	base := c.Base()
	for _, off := range []uintptr{0, 50, 99} {
		if got, at := FindCode(base + off); got != c || uintptr(at) != off {
			t.Errorf("at %d: %p, %d", off, got, at)
		}
	}
	for _, pc := range []uintptr{base + 100, base - 1, 0, ^uintptr(0)} {
		if got, _ := FindCode(pc); got == c {
			t.Errorf("%#x is in the code", pc)
		}
	}
	c.Acquire()
	c.Release()
	if got, _ := FindCode(base); got != c {
		t.Error("code gone with a reference left")
	}
	c.Release()
	if got, _ := FindCode(base); got != nil {
		t.Error("code found after its last reference")
	}
}

func TestCodeSizes(t *testing.T) {
	supported(t)
	for _, n := range []int{0, -1, codeRange} {
		if c, err := NewCode(n); err == nil {
			t.Errorf("code of %d bytes: %v", n, c)
		}
	}
	// Freed code makes room: more in all than the range holds.
	for range 100 {
		c, err := NewCode(codeRange / 20)
		if err != nil {
			t.Fatal(err)
		}
		c.Writable()[0] = 0xCC
		if err := c.Publish(Tables{}); err != nil {
			t.Fatal(err)
		}
		c.Release()
	}
}

// TestShrink: what is behind the code is free again, what is before the new end stays.
func TestShrink(t *testing.T) {
	supported(t)
	const granule = 1 << layout.CodeGranuleLog2
	c, err := NewCode(8 * granule)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Release()
	text := c.Writable()
	for i := range text {
		text[i] = 0x90
	}
	c.Shrink(granule + 10)
	if c.Len() != granule+10 || len(c.Writable()) != c.Len() || c.Writable()[granule+9] != 0x90 {
		t.Errorf("%d bytes, %d of them to write to", c.Len(), len(c.Writable()))
	}
	p, err := c.NewTables(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	copy(p.Offsets, []uint32{4, granule + 8})
	copy(p.Flags, []uint32{1 << layout.SiteCodeShift, 2 << layout.SiteCodeShift})
	copy(p.Bounds, []uint32{0, granule + 10})
	if err := c.Publish(Tables{Prepared: p}); err != nil {
		t.Fatal(err)
	}
	if code, ok := c.TrapAt(granule + 8); !ok || code != 2 {
		t.Errorf("trap %d, %v", code, ok)
	}
	if got, off := FindCode(c.Base() + granule + 9); got != c || off != granule+9 {
		t.Errorf("found %p at %#x", got, off)
	}
	// The rest is the next code's, without anything of this one.
	next, err := NewCode(4 * granule)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if next.Base() >= c.Base()+8*granule {
		t.Errorf("code at %#x does not use what %#x has given back", next.Base(), c.Base())
	}
	for i, b := range next.Writable() {
		if b != 0 {
			t.Fatalf("byte %#x of new code is %#x", i, b)
		}
	}
	if got, _ := FindCode(c.Base() + 2*granule); got == c {
		t.Error("code found behind its end")
	}
}

func TestMemory(t *testing.T) {
	supported(t)
	m, err := ReserveMemory(layout.MemoryGuardReserve, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(0, 1<<16); err != nil {
		t.Fatal(err)
	}
	b := m.Bytes(0, 1<<16)
	b[0], b[len(b)-1] = 1, 2
	if err := m.Commit(1<<16, 3<<16); err != nil {
		t.Fatal(err)
	}
	if b := m.Bytes(0, 3<<16); b[0] != 1 || b[1<<16-1] != 2 || b[3<<16-1] != 0 {
		t.Error("contents")
	}
	if err := m.Zero(0, 4096); err != nil {
		t.Fatal(err)
	}
	if b[0] != 0 || b[len(b)-1] != 2 {
		t.Error("contents after Zero")
	}
	if m.Commit(5, 10) == nil || m.Commit(0, layout.MemoryGuardReserve+1<<20) == nil {
		t.Error("bad ranges are accepted")
	}
	m.Free()
	m.Free()
	if _, err := ReserveMemory(1<<60, true); err == nil {
		t.Error("2^60 bytes")
	}
	m, err = MapMemory(100)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	if m.Size() != MemoryUnit || m.Base()%MemoryUnit != 0 {
		t.Errorf("%d bytes at %#x", m.Size(), m.Base())
	}
	m.Bytes(0, m.Size())[m.Size()-1] = 1
}

func TestStackPool(t *testing.T) {
	supported(t)
	for _, size := range []int{-1, MaxStackSize + 1} {
		if _, err := AcquireStack(size); err == nil {
			t.Errorf("stack of %d bytes", size)
		}
	}
	seen := map[uintptr]bool{}
	var all []*Stack
	for i := range 100 {
		size := []int{0, 1, 1 << 16, MaxStackSize}[i%4]
		s, err := AcquireStack(size)
		if err != nil {
			t.Fatal(err)
		}
		if seen[s.exec] || s.exec%layout.StackRegionSize != 0 {
			t.Fatalf("stack at %#x", s.exec)
		}
		seen[s.exec] = true
		limit := *s.word(layout.ExecStackLimit)
		*wordAt(limit) = 1
		*wordAt(s.low) = 1
		if size > 0 && s.top()-limit != uintptr(size) {
			t.Errorf("%d bytes usable, want %d", s.top()-limit, size)
		}
		if s.low < s.exec+stackUnit {
			t.Error("no guard")
		}
		all = append(all, s)
	}
	for _, s := range all {
		s.Release()
	}
	s, err := AcquireStack(1 << 16)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Release()
	a, err := s.Push(20)
	if err != nil || a%16 != 0 {
		t.Fatal(a, err)
	}
	b, err := s.Push(1 << 15)
	if err != nil || b > a-1<<15 {
		t.Fatal(b, err)
	}
	if _, err := s.Push(1 << 15); err != ErrStackExhausted {
		t.Error(err)
	}
	s.Pop(1 << 15)
	s.Pop(20)
	if *s.word(layout.ExecEntrySP) != s.top() {
		t.Error("Pop does not undo Push")
	}
}

// TestMappingLimit exhausts the number of mappings, in a process of its own.
func TestMappingLimit(t *testing.T) {
	supported(t)
	if os.Getenv("NATIVE_TEST_LIMIT") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMappingLimit$")
		cmd.Env = append(os.Environ(), "NATIVE_TEST_LIMIT=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	var all []*Memory
	var err error
	for range 100_000 {
		var m *Memory
		if m, err = ReserveMemory(2*MemoryUnit, false); err == nil {
			if err = m.Commit(0, 4096); err != nil {
				m.Free()
			}
		}
		if err != nil {
			break
		}
		all = append(all, m)
	}
	for _, m := range all {
		m.Free()
	}
	if err == nil || !strings.Contains(err.Error(), "vm.max_map_count") {
		t.Errorf("after %d memories: %v", len(all), err)
	}
}

func TestAsyncPreemptOff(t *testing.T) {
	for setting, want := range map[string]bool{
		"": false, "asyncpreemptoff=1": true, "asyncpreemptoff=0": false, "a=b,asyncpreemptoff=1": true,
		"asyncpreemptoff=1,asyncpreemptoff=0": false, "xasyncpreemptoff=1": false,
	} {
		if got := asyncPreemptOff(setting); got != want {
			t.Errorf("%q: %t", setting, got)
		}
	}
}
