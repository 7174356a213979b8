package wasip1

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/internal/testdata"
)

// witx are the types of a description: their sizes, alignments, the offsets of
// fields, the numbers of cases.
type witx struct {
	t       *testing.T
	tokens  []string
	sizes   map[string][2]uint64 // name → size, alignment
	offsets map[string]uint64    // record.field → offset, union.case → number
}

func readWitx(t *testing.T, version string) *witx {
	t.Helper()
	path := filepath.Join(testdata.Conformance(t), "wit/wasi-0.1", version, "witx/typenames.witx")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	source := regexp.MustCompile(`;;.*`).ReplaceAllString(string(text), "")
	w := &witx{
		t: t, tokens: regexp.MustCompile(`[()]|[^()\s]+`).FindAllString(source, -1), offsets: map[string]uint64{},
		sizes: map[string][2]uint64{"u8": {1, 1}, "u16": {2, 2}, "u32": {4, 4}, "u64": {8, 8}, "s64": {8, 8}, "handle": {4, 4}},
	}
	for len(w.tokens) > 0 {
		if w.accept("(", "typename") {
			name := w.next()
			w.sizes[name] = w.typ(name)
			w.expect(")")
		} else {
			w.skip()
		}
	}
	return w
}

func (w *witx) next() string {
	if len(w.tokens) == 0 {
		w.t.Fatal("the description ends too early")
	}
	s := w.tokens[0]
	w.tokens = w.tokens[1:]
	return s
}

func (w *witx) accept(want ...string) bool {
	for i, s := range want {
		if i >= len(w.tokens) || w.tokens[i] != s {
			return false
		}
	}
	w.tokens = w.tokens[len(want):]
	return true
}

func (w *witx) expect(s string) {
	if got := w.next(); got != s {
		w.t.Fatalf("%q in the description, want %q", got, s)
	}
}

// skip skips an atom or a list.
func (w *witx) skip() {
	for depth := 0; ; {
		switch w.next() {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			return
		}
	}
}

// typ reads a type, which may be that of name.
func (w *witx) typ(name string) [2]uint64 {
	if !w.accept("(") {
		s := w.next()
		size, ok := w.sizes[s]
		if !ok {
			w.t.Fatalf("no type %s", s)
		}
		return size
	}
	var size [2]uint64
	switch kind := w.next(); kind {
	case "enum", "flags":
		w.expect("(")
		w.expect("@witx")
		w.next() // tag or repr
		size = w.sizes[w.next()]
		w.expect(")")
		for i := uint64(0); !w.accept(")"); i++ {
			w.offsets[name+"."+w.next()] = i
		}
	case "handle":
		w.tokens = append([]string{"("}, w.tokens...)
		w.skip()
		size = w.sizes["handle"]
	case "@witx": // pointer, const_pointer
		for !w.accept(")") {
			w.skip()
		}
		size = [2]uint64{4, 4}
	case "record":
		size[1] = 1
		for !w.accept(")") {
			w.expect("(")
			w.expect("field")
			field := w.next()
			f := w.typ("")
			w.expect(")")
			at := (size[0] + f[1] - 1) / f[1] * f[1]
			w.offsets[name+"."+field] = at
			size[0], size[1] = at+f[0], max(size[1], f[1])
		}
		size[0] = (size[0] + size[1] - 1) / size[1] * size[1]
	case "union":
		w.expect("(")
		w.expect("@witx")
		w.expect("tag")
		tag := w.sizes[w.next()]
		w.expect(")")
		body := [2]uint64{0, 1}
		for !w.accept(")") {
			f := w.sizes["u8"]
			if w.accept("(", "field") {
				w.next()
				f = w.typ("")
				w.expect(")")
			} else {
				f = w.typ("")
			}
			body[0], body[1] = max(body[0], f[0]), max(body[1], f[1])
		}
		at := (tag[0] + body[1] - 1) / body[1] * body[1]
		w.offsets[name+".body"] = at
		size[1] = max(tag[1], body[1])
		size[0] = (at + body[0] + size[1] - 1) / size[1] * size[1]
	default: // list, string
		for !w.accept(")") {
			w.skip()
		}
		size = [2]uint64{8, 4}
	}
	return size
}

// TestLayouts: records are laid out, and cases numbered, as the descriptions of
// both versions of the interface say.
func TestLayouts(t *testing.T) {
	for version, l := range map[string]*layout{"preview1": &preview1, "preview0": &unstable} {
		w := readWitx(t, version)
		got := map[string]uint64{
			"filestat size": l.filestatSize, "subscription size": l.subscriptionSize, "fdstat size": fdstatSize,
			"prestat size": prestatSize, "dirent size": direntSize, "iovec size": iovecSize, "event size": eventSize,
			"set": uint64(l.whenceSet), "cur": uint64(l.whenceCur), "end": uint64(l.whenceEnd), "clock at": uint64(l.clockAt),
		}
		clock := w.offsets["$subscription.$u"] + w.offsets["$subscription_u.body"]
		want := map[string]uint64{
			"filestat size": w.sizes["$filestat"][0], "subscription size": w.sizes["$subscription"][0], "fdstat size": w.sizes["$fdstat"][0],
			"prestat size": w.sizes["$prestat"][0], "dirent size": w.sizes["$dirent"][0], "iovec size": w.sizes["$iovec"][0],
			"event size": w.sizes["$event"][0], "set": w.offsets["$whence.$set"], "cur": w.offsets["$whence.$cur"],
			"end": w.offsets["$whence.$end"], "clock at": clock + w.offsets["$subscription_clock.$id"],
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", version, got, want)
		}
		b := make([]byte, l.filestatSize)
		l.putFilestat(b, &filestat{1, 2, 3, 4, 5, 6, 7, 8})
		for i, field := range []string{"dev", "ino", "filetype", "nlink", "size", "atim", "mtim", "ctim"} {
			if at := w.offsets["$filestat.$"+field]; b[at] != byte(i+1) {
				t.Errorf("%s: no %s at offset %d of a filestat: % x", version, field, at, b)
			}
		}
		for i := filetypeUnknown; i <= filetypeSymbolicLink; i++ {
			name := [...]string{"unknown", "block_device", "character_device", "directory", "regular_file", "socket_dgram", "socket_stream", "symbolic_link"}[i]
			if n, ok := w.offsets["$filetype.$"+name]; !ok || n != uint64(i) {
				t.Errorf("%s: filetype %s has number %d", version, name, n)
			}
		}
		for e := ErrnoSuccess; e < numErrnos; e++ {
			if n, ok := w.offsets["$errno.$"+errnoNames[e]]; !ok || n != uint64(e) {
				t.Errorf("%s: errno %s has number %d", version, errnoNames[e], n)
			}
		}
		for i := 0; rights(1)<<i <= rightSockShutdown; i++ {
			if name := rightNames[i]; w.offsets["$rights.$"+name] != uint64(i) {
				t.Errorf("%s: right %s has number %d", version, name, w.offsets["$rights.$"+name])
			}
		}
	}
}

// rightNames are the names of rights in the description.
var rightNames = strings.Fields(`fd_datasync fd_read fd_seek fd_fdstat_set_flags fd_sync fd_tell fd_write fd_advise
	fd_allocate path_create_directory path_create_file path_link_source path_link_target path_open fd_readdir
	path_readlink path_rename_source path_rename_target path_filestat_get path_filestat_set_size
	path_filestat_set_times fd_filestat_get fd_filestat_set_size fd_filestat_set_times path_symlink
	path_remove_directory path_unlink_file poll_fd_readwrite sock_shutdown sock_accept`)

// TestUnstable uses the older version of the interface where it differs.
func TestUnstable(t *testing.T) {
	g := newGuest(t, &Config{Mounts: []Mount{{Host: t.TempDir(), Guest: "/"}}})
	g.layout = &unstable
	fd, e := g.open("f", 1, allRights, 0)
	if e != 0 {
		t.Fatal(e)
	}
	g.write(fd, "hello")
	for whence, want := range map[uint64]uint64{0: 5 + 2, 1: 5 + 2, 2: 2} { // cur, end, set
		g.want(0, "fd_seek", uint64(fd), 5, uint64(unstable.whenceSet), 0x200)
		g.want(0, "fd_seek", uint64(fd), 2, whence, 0x200)
		if got := g.u64(0x200); got != want {
			t.Errorf("whence %d: %d, want %d", whence, got, want)
		}
	}
	g.want(0, "fd_filestat_get", uint64(fd), 0x300)
	if nlink, size := g.u32(0x300+20), g.u64(0x300+24); nlink != 1 || size != 5 {
		t.Errorf("%d links, %d bytes", nlink, size)
	}
	// Two subscriptions: the second begins after 56 bytes.
	clear(g.mem[0x1000:0x1100])
	g.subscribeClock(0x1000+8, 0, clockMonotonic, 1e15) // all but the user data is 8 bytes later
	g.mem[0x1008], g.mem[0x1000+16] = eventClock, 77
	g.subscribeClock(0x1038+8, 0, clockMonotonic, 1000)
	g.mem[0x1038], g.mem[0x1040] = 78, eventClock
	g.want(0, "poll_oneoff", 0x1000, 0x2000, 2, 0x90)
	if n, userdata := g.u32(0x90), g.u64(0x2000); n != 1 || userdata != 78 {
		t.Error(fmt.Sprint(n, " events, user data ", userdata))
	}
}
