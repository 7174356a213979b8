// Command middleware is an HTTP server in front of whose handler a WebAssembly
// module stands: it sees each request, and can refuse it or set headers.
//
//	go run ./examples/middleware [-addr :8080] [GUARD.wasm]
//
// A store runs one call at a time, so that each request being served has a
// store of its own; they are kept for the next requests. Without -addr, the
// program serves itself a few requests and ends.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wat"
)

//go:embed guard.wat
var guard []byte

func main() {
	addr := flag.String("addr", "", "address to serve at")
	flag.Parse()
	module, err := moduleBytes(flag.Arg(0))
	if err != nil {
		log.Fatal(err)
	}
	middleware, err := New(module)
	if err != nil {
		log.Fatal(err)
	}
	handler := middleware.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.URL.Path)
	}))
	if *addr != "" {
		log.Fatal(http.ListenAndServe(*addr, handler))
	}
	for _, path := range []string{"/", "/admin/users", "/administer", "/about"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Printf("%-13s %d x-guard=%s %q\n", path, w.Code, w.Header().Get("x-guard"), w.Body)
	}
}

func moduleBytes(file string) ([]byte, error) {
	if file == "" {
		return wat.Compile(guard, nil)
	}
	return os.ReadFile(file)
}

// Middleware runs a module for each request. It may be used by many goroutines.
type Middleware struct {
	engine *davit.Engine
	pre    *davit.InstancePre // the module with its imports, looked up once
	guests sync.Pool          // of *guest that are not in use
}

// guest is an instance in a store of its own.
type guest struct {
	store  *davit.Store
	handle func(context.Context) (uint32, error)
}

// exchange is what the host functions work on: the context of a call carries it.
type exchange struct {
	w http.ResponseWriter
	r *http.Request
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// New makes a middleware of a module.
func New(wasm []byte) (*Middleware, error) {
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return nil, err
	}
	module, err := engine.Compile(context.Background(), wasm)
	if err != nil {
		return nil, err
	}
	linker := davit.NewLinker(engine)
	err = errors.Join(
		linker.Define("http", "path", davit.HostFunc2(path)),
		linker.Define("http", "set_header", davit.HostProc4(setHeader)))
	if err != nil {
		return nil, err
	}
	pre, err := linker.InstancePre(module)
	if err != nil {
		return nil, err
	}
	return &Middleware{engine: engine, pre: pre}, nil
}

// path copies the path of the request to the guest.
func path(ctx context.Context, c *davit.Caller, at, capacity uint32) (uint32, error) {
	p := exchangeOf(ctx).r.URL.Path
	p = p[:min(len(p), int(capacity))]
	_, err := c.Memory().WriteAt([]byte(p), int64(at))
	return uint32(len(p)), err
}

// setHeader sets a header of the response.
func setHeader(ctx context.Context, c *davit.Caller, name, nameLen, value, valueLen uint32) error {
	n, ok1 := c.Memory().ReadString(uint64(name), uint64(nameLen))
	v, ok2 := c.Memory().ReadString(uint64(value), uint64(valueLen))
	if !ok1 || !ok2 {
		return davit.ErrOutOfBounds
	}
	exchangeOf(ctx).w.Header().Set(n, v)
	return nil
}

// Wrap is next behind the module.
func (m *Middleware) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := m.ask(w, r)
		switch {
		case err != nil:
			log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
			http.Error(w, "the middleware failed", http.StatusInternalServerError)
		case status != 0:
			http.Error(w, http.StatusText(status), status)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// ask has a guest look at the request, for 100 milliseconds at most.
func (m *Middleware) ask(w http.ResponseWriter, r *http.Request) (int, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
	defer cancel()
	ctx = context.WithValue(ctx, exchangeKey{}, &exchange{w, r})
	g, _ := m.guests.Get().(*guest)
	if g == nil {
		var err error
		if g, err = m.newGuest(ctx); err != nil {
			return 0, err
		}
	}
	status, err := g.handle(ctx)
	if err != nil {
		g.store.Close() // its guest may be in any state
		return 0, err
	}
	m.guests.Put(g) // one that the pool drops is closed by Go's collector
	return int(status), nil
}

func (m *Middleware) newGuest(ctx context.Context) (*guest, error) {
	store, err := davit.NewStore(m.engine, &davit.StoreConfig{MaxMemoryBytes: 16 << 20})
	if err != nil {
		return nil, err
	}
	instance, err := m.pre.Instantiate(ctx, store)
	if err == nil {
		var handle func(context.Context) (uint32, error)
		if handle, err = davit.Func0[uint32](instance.Func("handle")); err == nil {
			return &guest{store, handle}, nil
		}
	}
	store.Close()
	return nil, err
}
