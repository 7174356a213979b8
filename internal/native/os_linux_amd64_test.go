package native

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
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
