package davit_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
)

func newCache(t testing.TB, c davit.CacheConfig) *davit.Cache {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	k, err := davit.NewCache(&c)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wantStats(t testing.TB, k *davit.Cache, hits, misses int) {
	t.Helper()
	if s := k.Stats(); s.Hits != hits || s.Misses != misses || s.Err != nil {
		t.Errorf("%+v, want %d hits and %d misses", s, hits, misses)
	}
}

// entries are the files of a cache.
func entries(t testing.TB, k *davit.Cache) (names []string, size int64) {
	t.Helper()
	list, err := os.ReadDir(k.Dir())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		names, size = append(names, filepath.Join(k.Dir(), d.Name())), size+info.Size()
	}
	return names, size
}

func compileDivider(t *testing.T, e *davit.Engine) string {
	t.Helper()
	m, err := e.Compile(ctx, assemble(t, divider))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return useDivider(t, e, m)
}

// TestCache: what was compiled is found again, by other engines too, for the same
// module and settings only.
func TestCache(t *testing.T) {
	for _, compress := range []bool{false, true} {
		t.Run(fmt.Sprintf("compress=%v", compress), func(t *testing.T) {
			k := newCache(t, davit.CacheConfig{Compress: compress})
			config := davit.Config{Cache: k}
			e := newEngine(t, &config)
			want := compileDivider(t, e)
			wantStats(t, k, 0, 1)
			for range 2 {
				if have := compileDivider(t, e); have != want {
					t.Errorf("have %s\nwant %s", have, want)
				}
			}
			if have := compileDivider(t, newEngine(t, &config)); have != want {
				t.Errorf("have %s\nwant %s", have, want)
			}
			wantStats(t, k, 3, 1)
			for i, other := range []davit.Config{
				{ExplicitBounds: true}, {Interruption: davit.InterruptionEpoch}, {Settings: []string{"enable_jump_tables=false"}}, {QuickCompile: true},
				{CPU: "x86-64-v2"}, {DeterministicRelaxedSIMD: true},
			} {
				other.Cache = k
				if have := compileDivider(t, newEngine(t, &other)); have != want {
					t.Errorf("have %s\nwant %s", have, want)
				}
				wantStats(t, k, 3, 2+i)
			}
			if _, err := e.Compile(ctx, assemble(t, "(module)")); err != nil {
				t.Fatal(err)
			}
			wantStats(t, k, 3, 8)
		})
	}
}

// TestCacheBounds: the entries that were not used for the longest time go first.
func TestCacheBounds(t *testing.T) {
	k := newCache(t, davit.CacheConfig{})
	e := newEngine(t, &davit.Config{Cache: k})
	numbered := func(i int) []byte { return assemble(t, fmt.Sprintf("(module (func (export \"f%d\")))", i)) }
	compile := func(e *davit.Engine, i int) {
		t.Helper()
		m, err := e.Compile(ctx, numbered(i))
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
	}
	compile(e, 0)
	_, one := entries(t, k)
	small := newCache(t, davit.CacheConfig{MaxBytes: 4*one + one/2})
	e = newEngine(t, &davit.Config{Cache: small})
	age := func(hours int) { // all that is there
		names, _ := entries(t, small)
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			then := info.ModTime().Add(-time.Duration(hours) * time.Hour)
			if err := os.Chtimes(name, then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 4 {
		compile(e, i)
		age(1)
	}
	wantStats(t, small, 0, 4)
	compile(e, 0) // used again: the next to go is 1
	wantStats(t, small, 1, 4)
	stale := filepath.Join(small.Dir(), "new-123")
	if err := os.WriteFile(stale, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	age(2)
	compile(e, 4)
	wantStats(t, small, 1, 5)
	if names, size := entries(t, small); len(names) != 4 || size > 4*one+one/2 {
		t.Errorf("%d entries with %d bytes", len(names), size)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Error("the file of a process that has died is still there")
	}
	for _, i := range []int{0, 2, 3, 4} {
		compile(e, i)
	}
	wantStats(t, small, 5, 5)
	compile(e, 1)
	wantStats(t, small, 5, 6)

	tiny := newCache(t, davit.CacheConfig{MaxBytes: 10})
	compile(newEngine(t, &davit.Config{Cache: tiny}), 1)
	if s := tiny.Stats(); s.Err == nil || s.Misses != 1 {
		t.Errorf("a cache that is too small: %+v", s)
	}
}

// TestCacheFolder: whom a folder must not belong to, and what becomes of one that
// has gone.
func TestCacheFolder(t *testing.T) {
	open := filepath.Join(t.TempDir(), "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := davit.NewCache(&davit.CacheConfig{Dir: open}); runtime.GOOS != "windows" && (err == nil || !strings.Contains(err.Error(), "everybody can write")) {
		t.Errorf("a folder that everybody can write to: %v", err)
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if k, err := davit.NewCache(nil); err != nil || !strings.HasSuffix(filepath.ToSlash(k.Dir()), "davit/modules") {
		t.Errorf("the user's folder: %v", err)
	}
	k := newCache(t, davit.CacheConfig{})
	e := newEngine(t, &davit.Config{Cache: k})
	if err := os.RemoveAll(k.Dir()); err != nil {
		t.Fatal(err)
	}
	compileDivider(t, e)
	if s := k.Stats(); s.Err == nil || s.Misses != 1 {
		t.Errorf("a folder that has gone: %+v", s)
	}
}

// TestCacheWrongName: an entry of another module, under the name of this one, is not
// used, and made anew.
func TestCacheWrongName(t *testing.T) {
	k := newCache(t, davit.CacheConfig{})
	e := newEngine(t, &davit.Config{Cache: k})
	want := compileDivider(t, e)
	names, _ := entries(t, k)
	other := must(davit.Precompile(ctx, nil, "", assemble(t, various)))
	if err := os.WriteFile(names[0], other, 0o600); err != nil {
		t.Fatal(err)
	}
	if have := compileDivider(t, e); have != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
	wantStats(t, k, 0, 2)
	compileDivider(t, e)
	wantStats(t, k, 1, 2)
}

// TestCacheSigned: what another has put there is not used.
func TestCacheSigned(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range []davit.Config{{SigningKey: private, VerifyKey: public}, {ArtifactSecret: []byte("only we know this")}} {
		k := newCache(t, davit.CacheConfig{})
		compileDivider(t, newEngine(t, &davit.Config{Cache: k}))
		config.Cache = k
		signed := newEngine(t, &config)
		compileDivider(t, signed)
		wantStats(t, k, 0, 2)
		compileDivider(t, signed)
		wantStats(t, k, 1, 2)
	}
}

// TestCacheProcesses: processes share a folder that is too small for them.
func TestCacheProcesses(t *testing.T) {
	const env = "DAVIT_TEST_CACHE"
	if dir := os.Getenv(env); dir != "" {
		k := newCache(t, davit.CacheConfig{Dir: dir, MaxBytes: 40 << 10})
		e := newEngine(t, &davit.Config{Cache: k})
		for i := range 200 {
			n := i * 7 % 5
			m, err := e.Compile(ctx, assemble(t, fmt.Sprintf(`(module (func (export "f") (result i32) (i32.const %d)))`, n)))
			if err != nil {
				t.Fatal(err)
			}
			s, err := davit.NewStore(e, nil)
			if err != nil {
				t.Fatal(err)
			}
			in, err := davit.NewLinker(e).Instantiate(ctx, s, m)
			if err != nil {
				t.Fatal(err)
			}
			f, err := davit.Func0[int32](in.Func("f"))
			if err != nil {
				t.Fatal(err)
			}
			if have, err := f(ctx); err != nil || have != int32(n) {
				t.Fatalf("%d: %d, %v", n, have, err)
			}
			s.Close()
			m.Close()
		}
		fmt.Printf("hits %d, misses %d, %v\n", k.Stats().Hits, k.Stats().Misses, k.Stats().Err)
		return
	}
	newEngine(t, nil)
	dir := t.TempDir()
	var processes []*exec.Cmd
	var outputs [4]bytes.Buffer
	for i := range outputs {
		p := exec.Command(os.Args[0], "-test.run=^TestCacheProcesses$", "-test.v")
		p.Env = append(os.Environ(), env+"="+dir)
		p.Stdout, p.Stderr = &outputs[i], &outputs[i]
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, p)
	}
	for i, p := range processes {
		if err := p.Wait(); err != nil || !strings.Contains(outputs[i].String(), "hits") {
			t.Errorf("%v\n%s", err, outputs[i].String())
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range left {
		if !strings.HasSuffix(d.Name(), ".cwasm") {
			t.Errorf("left behind: %s", d.Name())
		}
	}
}
