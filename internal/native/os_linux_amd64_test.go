package native

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
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
}
