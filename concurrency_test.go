package davit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
)

// TestMisuse lets goroutines do with a few stores whatever comes to mind, at the
// same time: call, nest calls, hand them over, instantiate, cancel, panic, close.
// Each of these works, or is an error that says why not.
func TestMisuse(t *testing.T) {
	e := newEngine(t, nil)
	w := &world{t: t, engine: e, linker: davit.NewLinker(e)}
	failure := errors.New("failure")
	var callBack func(ctx context.Context, c *davit.Caller, how int32) error
	err := w.linker.Define("go", "f", davit.HostFunc1(func(ctx context.Context, c *davit.Caller, how int32) (int32, error) {
		return how, callBack(ctx, c, how)
	}))
	if err != nil {
		t.Fatal(err)
	}
	m := w.compile(`(module
		(import "go" "f" (func $f (param i32) (result i32)))
		(memory (export "memory") 1)
		(func (export "quick") (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
		(func (export "f") (param i32) (result i32) (call $f (local.get 0))))`)
	pre := must(w.linker.InstancePre(m))
	callBack = func(ctx context.Context, c *davit.Caller, how int32) error {
		if how%10 == 1 {
			return failure
		} else if how%10 == 2 {
			panic(failure)
		} else if how < 10 {
			return nil
		}
		f := must(davit.Func1[int32, int32](c.Instance().Func("f")))
		switch how % 10 {
		case 3: // another goroutine, on behalf of this one
			done := make(chan error)
			go func() {
				var err error
				defer func() {
					if recover() != nil {
						err = failure
					}
					done <- err
				}()
				_, err = f(ctx, how/10)
			}()
			return <-done
		case 4: // with a context of its own
			_, err := f(context.Background(), how/10)
			return err
		}
		_, err := f(ctx, how/10)
		return err
	}
	allowed := func(err error) bool {
		for _, e := range []error{nil, failure, davit.ErrClosed, davit.ErrBusy, context.Canceled, context.DeadlineExceeded} {
			if errors.Is(err, e) {
				return true
			}
		}
		return false
	}
	type place struct {
		sync.Mutex
		store    *davit.Store
		instance *davit.Instance
	}
	places := make([]place, 3)
	at := func(i int) (*davit.Store, *davit.Instance) {
		p := &places[i]
		p.Lock()
		defer p.Unlock()
		if p.store == nil {
			p.store = must(davit.NewStore(e, nil))
			p.instance = must(pre.Instantiate(ctx, p.store))
		}
		return p.store, p.instance
	}
	rounds := 2000
	if testing.Short() {
		rounds = 300
	}
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 1))
			for range rounds {
				i := rnd.IntN(len(places))
				s, in := at(i)
				callCtx, cancel := ctx, context.CancelFunc(func() {})
				if rnd.IntN(3) == 0 {
					callCtx, cancel = context.WithTimeout(ctx, time.Duration(rnd.IntN(200))*time.Microsecond)
				}
				func() {
					defer cancel()
					defer func() {
						if p := recover(); p != nil && !isPanic(p, failure) {
							panic(p)
						}
					}()
					var err error
					what := rnd.IntN(20)
					switch {
					case what < 10:
						var r int32
						r, err = must(davit.Func1[int32, int32](in.Func("quick")))(callCtx, 41)
						if err == nil && r != 42 {
							t.Errorf("quick gives %d", r)
						}
					case what < 17:
						_, err = must(davit.Func1[int32, int32](in.Func("f")))(callCtx, rnd.Int32N(100_000))
					case what < 19:
						_, err = pre.Instantiate(callCtx, s)
					default:
						if err = s.Close(); err == nil {
							places[i].Lock()
							if places[i].store == s {
								places[i].store = nil
							}
							places[i].Unlock()
						}
					}
					if !allowed(err) {
						t.Error(err)
					}
				}()
			}
		})
	}
	wg.Wait()
	for i := range places {
		s, in := at(i)
		if _, err := in.Func("quick").Call(ctx, davit.ValueI32(1)); err != nil && !errors.Is(err, davit.ErrClosed) {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
