package davit

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/vm"
)

// Cache keeps compiled modules as artifacts in a folder, under a name that
// follows from the module's bytes and all that has an influence on its code: the
// version of davit, the target, the settings. Any number of engines and processes
// may use the same folder at the same time: entries are written under another
// name and renamed, and never changed. An entry that is damaged is as good as
// none, and so is a folder that cannot be written; [Cache.Stats] tells.
//
// What is in the folder is machine code that will be run: only those may be able
// to write to it who may run programs in the name of the process. A folder that
// everybody can write to is refused. With [Config].ArtifactSecret, or SigningKey and
// VerifyKey, entries are signed, and others not used.
type Cache struct {
	dir      string
	maxBytes int64
	compress bool

	mu    sync.Mutex
	stats CacheStats
}

// CacheConfig configures a cache. The zero value is a good choice.
type CacheConfig struct {
	// Dir is the folder, which is made if need be; "" means the folder davit/modules
	// in that of the user for caches.
	Dir string
	// MaxBytes is the size of all entries together above which those that were not
	// used for the longest time are removed; 0 means 1 GiB.
	MaxBytes int64
	// Compress makes entries smaller, by two thirds or so. They take much longer to
	// load then, because they cannot be run where they lie in the file and have to be
	// unpacked, at some 200 MB a second, into memory that processes do not share.
	Compress bool
}

// CacheStats counts what became of the compilations with a cache.
type CacheStats struct {
	Hits   int   // found
	Misses int   // compiled
	Err    error // the last one of keeping an entry; compilation goes on without
}

const (
	defaultCacheBytes = 1 << 30
	cacheSuffix       = ".cwasm"
	compressedSuffix  = ".cwasm.gz"
	tempPrefix        = "new-"
	tempAge           = time.Hour // when temporary files have no owner any more
)

// NewCache makes a cache; nil means the zero CacheConfig.
func NewCache(c *CacheConfig) (*Cache, error) {
	if c == nil {
		c = &CacheConfig{}
	}
	dir := c.Dir
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("davit: the cache: %w", err)
		}
		dir = filepath.Join(base, "davit", "modules")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("davit: the cache: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("davit: the cache: %w", err)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("davit: the cache: everybody can write to %s, and so have code run by this process", dir)
	}
	k := &Cache{dir: dir, maxBytes: c.MaxBytes, compress: c.Compress}
	if k.maxBytes == 0 {
		k.maxBytes = defaultCacheBytes
	}
	return k, nil
}

// Dir is the folder of the cache.
func (k *Cache) Dir() string { return k.dir }

// Stats are the counts so far.
func (k *Cache) Stats() CacheStats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.stats
}

func (k *Cache) count(change func(s *CacheStats)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change(&k.stats)
}

// compileCached is Compile with a cache.
func (e *Engine) compileCached(ctx context.Context, settings image.Settings, module []byte) (*Module, error) {
	k := e.config.Cache
	target, err := compiler.target(&e.config, "")
	if err != nil {
		return nil, fmt.Errorf("davit: %w", err)
	}
	sum := sha256.Sum256(module)
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s\n%+v\n%v\n%+v\n%x\n", artifact.Version(), artifact.Contract(), build(), target, settings, e.config.Features, e.config.ModuleLimits, sum)
	name := filepath.Join(k.dir, hex.EncodeToString(h.Sum(nil))+cacheSuffix)
	if k.compress {
		name = strings.TrimSuffix(name, cacheSuffix) + compressedSuffix
	}
	if img, err := k.open(name, e.config.verifying()); err == nil {
		if m, err := e.loadArtifact(img); err == nil {
			if img.Hash == sum {
				now := time.Now()
				_ = os.Chtimes(name, now, now) // it was used; else it is removed too early
				k.count(func(s *CacheStats) { s.Hits++ })
				return m, nil
			}
			m.Close() // of another module, and here under a wrong name
		}
	}
	img, err := compiler.compile(ctx, &e.config, "", settings, module, vm.NewText())
	if err != nil {
		return nil, err
	}
	k.count(func(s *CacheStats) { s.Misses++ })
	if err := k.store(name, img, e.config.signing()); err != nil {
		k.count(func(s *CacheStats) { s.Err = err })
	}
	return e.load(img)
}

// open is the image of an entry.
func (k *Cache) open(name string, o *artifact.LoadOptions) (*image.Image, error) {
	if !k.compress {
		return artifact.Open(name, o)
	}
	packed, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, 1<<31))
	if err != nil {
		return nil, err
	}
	return artifact.Decode(data, o)
}

// store keeps an image.
func (k *Cache) store(name string, img *image.Image, o *artifact.Options) error {
	data, err := artifact.Encode(img, o)
	if err != nil {
		return err
	}
	if k.compress {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		data = packed.Bytes()
	}
	if int64(len(data)) > k.maxBytes {
		return fmt.Errorf("davit: an artifact of %d bytes does not fit into a cache of %d", len(data), k.maxBytes)
	}
	f, err := os.CreateTemp(k.dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return k.evict()
}

// evict removes the entries that were not used for the longest time, until the
// others fit, and what processes that have died have left.
func (k *Cache) evict() error {
	list, err := os.ReadDir(k.dir)
	if err != nil {
		return err
	}
	var entries []os.FileInfo
	total := int64(0)
	for _, d := range list {
		info, err := d.Info()
		if err != nil {
			continue // another process has removed it
		}
		switch name := d.Name(); {
		case strings.HasPrefix(name, tempPrefix):
			if time.Since(info.ModTime()) > tempAge {
				os.Remove(filepath.Join(k.dir, name))
			}
		case strings.HasSuffix(name, cacheSuffix), strings.HasSuffix(name, compressedSuffix):
			entries = append(entries, info)
			total += info.Size()
		}
	}
	slices.SortStableFunc(entries, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, x := range entries {
		if total <= k.maxBytes {
			break
		}
		// The file goes when the last process that runs it has closed it.
		if err := os.Remove(filepath.Join(k.dir, x.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		total -= x.Size()
	}
	return nil
}

// build tells apart programs built from different states of the sources, if the
// version does not.
var build = sync.OnceValue(func() string {
	if !artifact.IsDevelopment() {
		return ""
	}
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	info, err := os.Stat(name)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
})
