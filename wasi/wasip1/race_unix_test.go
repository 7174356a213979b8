//go:build unix

package wasip1

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestRaces: while something outside keeps replacing directories by links that
// lead out, and moves a directory out and back, no operation of a program
// reaches anything outside.
func TestRaces(t *testing.T) {
	top := t.TempDir()
	in, out := filepath.Join(top, "inside"), filepath.Join(top, "outside")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(in, "d/e"), 0o777), os.Mkdir(out, 0o777),
		os.WriteFile(filepath.Join(in, "d/f"), []byte("inside"), 0o666),
		os.WriteFile(filepath.Join(out, "f"), []byte("secret"), 0o666),
		os.Symlink("../outside", filepath.Join(in, "spare")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	rename := func(from, to string) { os.Rename(filepath.Join(top, from), filepath.Join(top, to)) }
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// d is the directory, or a link to ../outside.
			rename("inside/d", "inside/real")
			rename("inside/spare", "inside/d")
			rename("inside/d", "inside/spare")
			rename("inside/real", "inside/d")
			// d/e is inside, or outside.
			rename("inside/d/e", "outside/e")
			rename("outside/e", "inside/d/e")
		}
	})
	n := 6000
	if testing.Short() {
		n = 600
	}
	g := newGuest(t, &Config{Mounts: []Mount{{Host: in, Guest: "/"}}})
	random := rand.New(rand.NewPCG(3, 4))
	paths := []string{"d/f", "d/e/../f", "d/e/../../f", "d/x", "d/e/../../x", "d/e/x", "d/../d/f", "d/e/../../../outside/f", "spare/f", "real/e/../f"}
	reached := map[string]int{}
	for range n {
		p := paths[random.IntN(len(paths))]
		a, an := g.str(0x100, p)
		b, bn := g.str(0x200, paths[random.IntN(len(paths))])
		follow := uint64(random.IntN(2))
		switch random.IntN(8) {
		case 0, 1, 2:
			oflags, base := uint64(0), uint64(rightFdRead|rightFdSeek)
			if random.IntN(3) == 0 {
				oflags, base = uint64(random.IntN(2)*1|random.IntN(2)*8), allRights
			}
			if e, _ := g.try("path_open", 3, follow, a, an, oflags, base, allRights, 0, 0x80); e != 0 {
				continue
			}
			fd := g.u32(0x80)
			g.want(0, "fd_fdstat_get", uint64(fd), 0x300)
			if filetype(g.mem[0x300]) == filetypeDirectory {
				g.want(0, "fd_close", uint64(fd))
				continue
			}
			if s := g.read(fd, 100); s == "secret" {
				t.Fatalf("%q has led out", p)
			} else {
				reached[s]++
			}
			if base == allRights {
				g.write(fd, "inside")
			}
			g.want(0, "fd_close", uint64(fd))
		case 3:
			g.try("path_unlink_file", 3, a, an)
		case 4:
			g.try("path_rename", 3, a, an, 3, b, bn)
		case 5:
			g.try("path_link", 3, 0, a, an, 3, b, bn)
		case 6:
			g.try("path_filestat_set_times", 3, follow, a, an, 1e9, 1e9, 5)
		case 7:
			g.try("path_create_directory", 3, a, an)
			g.try("path_remove_directory", 3, a, an)
		}
	}
	close(stop)
	wg.Wait()
	if reached["inside"] == 0 {
		t.Error("no operation has reached a file: this was no test")
	}
	if b, err := os.ReadFile(filepath.Join(out, "f")); string(b) != "secret" {
		t.Errorf("the file outside holds %q, %v", b, err)
	}
	if info, err := os.Stat(filepath.Join(out, "f")); err != nil || info.ModTime().Unix() == 1 {
		t.Errorf("the file outside was touched: %v", err)
	}
	entries, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "f" && e.Name() != "e" {
			t.Errorf("%s was made outside", e.Name())
		}
	}
	if _, err := os.Lstat(filepath.Join(top, "x")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made outside: %v", err)
	}
}
