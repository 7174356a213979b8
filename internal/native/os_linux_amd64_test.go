package native

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/internal/layout"
)

// TestWithoutMemoryFile runs code where memory files are not to be had, in a
// process of its own.
func TestWithoutMemoryFile(t *testing.T) {
	if os.Getenv("NATIVE_TEST_NO_MEMFD") == "" {
		supported(t)
		cmd := exec.Command(os.Args[0], "-test.run=^TestWithoutMemoryFile$")
		cmd.Env = append(os.Environ(), "NATIVE_TEST_NO_MEMFD=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	memfdCreate = func(string, int) (int, error) { return -1, unix.EPERM }
	supported(t)
	if process.code.fd >= 0 {
		t.Fatal("there is a memory file")
	}
	for range 10 {
		var all []*Code
		for range 20 {
			c, err := NewCode(1000)
			if err != nil {
				t.Fatal(err)
			}
			copy(c.Writable(), stubText[stubProbe:stubResume])
			if err := c.Publish(Tables{}); err != nil {
				t.Fatal(err)
			}
			if sum, _, _, _ := Func[func(a, b, c, d uintptr) (s, b2, c2, d2 uintptr)](c.Base())(1, 2, 3, 4); sum != 11 {
				t.Errorf("sum %d", sum)
			}
			all = append(all, c)
		}
		for _, c := range all {
			c.Release()
		}
	}
	testMapCode(t)
}

// TestMapCode runs code where a file is mapped, with tables in the file, and maps
// other code in its place.
func TestMapCode(t *testing.T) {
	supported(t)
	testMapCode(t)
}

func testMapCode(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "code"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tables := []byte{8, 0, 0, 0, 16, 0, 0, 0, 0, 0, 5, 0, 0, 0, 6, 0} // two sites: offsets, flags
	content := make([]byte, 2*layout.StubTextSize, 2*layout.StubTextSize+len(tables))
	copy(content[layout.StubTextSize:], stubText[:])
	if _, err := f.Write(append(content, tables...)); err != nil {
		t.Fatal(err)
	}
	data, unmap, err := MapFile(f, 2*layout.StubTextSize+len(tables), false)
	if err != nil {
		t.Fatal(err)
	}
	freed := 0
	for range 3 {
		c, err := MapCode(f, layout.StubTextSize, layout.StubTextSize)
		if err != nil {
			t.Fatal(err)
		}
		c.Freed = func() { freed++ }
		words := unsafe.Slice((*uint32)(unsafe.Pointer(&data[2*layout.StubTextSize])), 4)
		if err := c.Publish(Tables{Prepared: &PreparedTables{Offsets: words[:2], Flags: words[2:], InPlace: true}}); err != nil {
			t.Fatal(err)
		}
		probe := Func[func(a, b, c, d uintptr) (status, b2, c2, d2 uintptr)](c.Base() + stubProbe)
		if status, _, _, _ := probe(1, 2, 3, 4); status != 11 {
			t.Errorf("the code gives %d", status)
		}
		if code, ok := c.TrapAt(16); code != 6 || !ok {
			t.Errorf("trap at 16: %d, %v", code, ok)
		}
		if _, ok := c.TrapAt(12); ok {
			t.Error("there is a trap at 12")
		}
		c.Release()
	}
	// Memory of which files were mapped is used again as other memory.
	c, err := NewCode(layout.StubTextSize)
	if err != nil {
		t.Fatal(err)
	}
	copy(c.Writable(), stubText[:])
	if err := c.Publish(Tables{}); err != nil {
		t.Fatal(err)
	}
	probe := Func[func(a, b, c, d uintptr) (status, b2, c2, d2 uintptr)](c.Base() + stubProbe)
	if status, _, _, _ := probe(1, 2, 3, 4); status != 11 {
		t.Errorf("the code gives %d", status)
	}
	c.Release()
	if freed != 3 {
		t.Errorf("freed %d of 3", freed)
	}
	unmap()
}

// TestPoolByReading is TestPool where the kernel does not know the request to scan pages,
// and TestPoolBlind where it tells nothing.
func TestPoolByReading(t *testing.T) {
	defer cannotScan.Store(cannotScan.Swap(true))
	TestPool(t)
}

func TestPoolBlind(t *testing.T) {
	old := pagemap
	defer func() { pagemap = old }()
	pagemap = func() int { return -1 }
	TestPool(t)
}

// TestTouchedPages: both ways to find pages find those that were written to, in pieces of
// all sizes.
func TestTouchedPages(t *testing.T) {
	supported(t)
	const pages = 1000
	m, err := MapMemory(pages * pageSize)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	image, err := NewImage(100*pageSize, func(b []byte) { b[0] = 1 })
	if err != nil {
		t.Fatal(err)
	}
	defer image.release()
	if err := image.mapInto(m.base); err != nil {
		t.Fatal(err)
	}
	var want [pages]bool
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		at := rnd.IntN(pages - 30)
		for page := at; page < at+1+rnd.IntN(30); page++ {
			want[page] = true
			m.Bytes(uint64(page)*pageSize, 1)[0] = 2
		}
		if m.Bytes(uint64(rnd.IntN(100*pageSize)), 1)[0] > 2 { // the image's pages that are only read do not count
			t.Fatal("a byte that nobody wrote")
		}
	}
	for way, find := range map[string]func(fd int, from, to, most uintptr, runs []pageRun) (int, uintptr, bool){"scan": scanPages, "read": readPages} {
		for range 100 {
			var got [pages]bool
			runs := make([]pageRun, 1+rnd.IntN(10))
			first := rnd.IntN(pages)
			next, end := m.base+uintptr(first)*pageSize, m.base+pages*pageSize
			for next < end {
				most := uintptr(1+rnd.IntN(100)) * pageSize
				n, looked, ok := find(pagemap(), next, end, most, runs)
				if !ok {
					if way == "scan" {
						t.Skip("the kernel cannot scan pages")
					}
					t.Fatal("the kernel does not tell")
				}
				if looked <= next {
					t.Fatalf("%s: nothing is found from %#x on", way, next)
				}
				for _, r := range runs[:n] {
					if r.from < next || r.to > looked || r.to-r.from > most {
						t.Fatalf("%s: %#x to %#x between %#x and %#x, of %d bytes", way, r.from, r.to, next, looked, most)
					}
					most -= r.to - r.from
					for page := r.from; page < r.to; page += pageSize {
						got[(page-m.base)/pageSize] = true
					}
				}
				next = looked
			}
			for page, touched := range want {
				if page >= first && got[page] != touched {
					t.Fatalf("%s: page %d is said to be touched: %v", way, page, got[page])
				}
			}
		}
	}
}

// TestKeptPages: what a memory had touched, also of what it had grown by, is in memory for
// the next one that grows, up to a limit.
func TestKeptPages(t *testing.T) {
	supported(t)
	if pagemap() < 0 {
		t.Skip("the kernel does not tell about pages")
	}
	p := NewPool(1)
	defer p.Close()
	const initial, touched = 1 << 20, 100 * pageSize
	for round := range 4 {
		m, err := p.Acquire(layout.MemoryGuardReserve, initial, nil)
		if err != nil {
			t.Fatal(err)
		}
		if round != 2 { // which only uses what it begins with
			if err := m.Commit(initial, 2*initial); err != nil {
				t.Fatal(err)
			}
			b := m.Bytes(initial, touched)
			var resident [touched / pageSize]byte
			if _, _, e := unix.Syscall(unix.SYS_MINCORE, m.base+initial, touched, uintptr(unsafe.Pointer(&resident[0]))); e != 0 {
				t.Fatal(e)
			}
			for page, r := range resident {
				if r&1 != 0 != (round > 0) {
					t.Fatalf("round %d: page %d is in memory: %v", round, page, r&1 != 0)
				}
				if b[page*pageSize] != 0 {
					t.Fatalf("round %d: page %d is not zero", round, page)
				}
				b[page*pageSize] = 1
			}
		}
		m.Bytes(0, 1)[0] = 1
		m.Free()
		if p.resident != pageSize+touched {
			t.Errorf("round %d: %d bytes are kept", round, p.resident)
		}
	}
	m, err := p.Acquire(layout.MemoryGuardReserve, 3*maxResident, nil)
	if err != nil {
		t.Fatal(err)
	}
	clear(m.Bytes(0, 3*maxResident))
	m.Free()
	if p.resident != maxResident {
		t.Errorf("of a large memory, %d bytes are kept", p.resident)
	}
}

// TestPoolLimit: however many memories are freed at once, what stays in memory is within
// the limit; and all of it, if it fits.
func TestPoolLimit(t *testing.T) {
	supported(t)
	for _, touched := range []uint64{maxResident / 16, maxResident} {
		p := NewPool(100)
		var used [16]*Memory
		for round := range 4 {
			for i := range used {
				m, err := p.Acquire(layout.MemoryGuardReserve, maxResident, nil)
				if err != nil {
					t.Fatal(err)
				}
				b := m.Bytes(0, touched)
				if bytes.Count(b, []byte{0}) != len(b) {
					t.Fatalf("round %d: memory %d is not zero", round, i)
				}
				for at := 0; at < len(b); at += pageSize {
					b[at] = 1
				}
				used[i] = m
			}
			if p.n != 0 || p.resident != 0 {
				t.Fatalf("round %d: %d memories are left, of %d bytes", round, p.n, p.resident)
			}
			var freed sync.WaitGroup
			for _, m := range used {
				freed.Go(m.Free)
			}
			freed.Wait()
			if p.n != len(used) || p.resident > poolResident {
				t.Errorf("round %d: %d memories are kept, with %d bytes", round, p.n, p.resident)
			}
			if all := uintptr(len(used)) * uintptr(touched); all <= poolResident && p.resident != all && pagemap() >= 0 {
				t.Errorf("round %d: %d bytes are kept, of %d", round, p.resident, all)
			}
		}
		p.Close()
	}
}

// TestHugePages: the kernel is told that huge pages are welcome in a memory that
// grows by much at once, and only there, and no longer when it is back in its pool.
func TestHugePages(t *testing.T) {
	supported(t)
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("the kernel has no transparent huge pages")
	}
	p := NewPool(1)
	defer p.Close()
	for range 2 {
		m, err := p.Acquire(layout.MemoryGuardReserve, 4<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		at := m.Base()
		if welcomesHuge(t, at) {
			t.Error("a memory as it begins has the advice")
		}
		if err := m.Commit(4<<20, 5<<20); err != nil {
			t.Fatal(err)
		}
		if welcomesHuge(t, at) {
			t.Error("a memory that grew by a mebibyte has the advice")
		}
		if err := m.Commit(5<<20, 8<<20); err != nil {
			t.Fatal(err)
		}
		if !welcomesHuge(t, at) || !welcomesHuge(t, at+6<<20) {
			t.Error("a memory that grew by three mebibytes has no advice")
		}
		b := m.Bytes(0, 8<<20)
		for i := range b {
			if b[i] != 0 {
				t.Fatalf("byte %#x of a memory from the pool is %#x", i, b[i])
			}
			b[i] = 1
		}
		m.Free()
	}
}

// welcomesHuge reports whether the mapping with address addr has the flag for it.
func welcomesHuge(t *testing.T, addr uintptr) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	inside := false
	for line := range strings.Lines(string(text)) {
		var start, end uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &start, &end); n == 2 {
			inside = start <= addr && addr < end
		}
		if flags, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return slices.Contains(strings.Fields(flags), "hg")
		}
	}
	t.Fatalf("no mapping has address %#x", addr)
	return false
}
