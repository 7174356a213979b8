package wasm

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Validate validates a module, its function bodies on all cores. Errors are of
// type [*Error]; of several, it is the one that comes first that is returned.
func Validate(m *Module, c *Config) error {
	e, err := NewEnv(m, c)
	if err != nil {
		return err
	}
	return e.ValidateBodies(runtime.GOMAXPROCS(0))
}

// ValidateBodies validates the function bodies with up to workers goroutines.
func (e *Env) ValidateBodies(workers int) error {
	n := len(e.Code)
	// A worker takes a batch of bodies at a time. Bodies after a faulty one need
	// not be looked at; those before it must be, so that the first is reported.
	const batch = 32
	workers = min(workers, (n+batch-1)/batch)
	if workers <= 1 {
		var v FuncValidator
		for i := range n {
			if err := v.validate(e, i); err != nil {
				return err
			}
		}
		return nil
	}
	var (
		next  atomic.Int64
		mu    sync.Mutex
		first error
		bad   atomic.Int64 // index of the body of first
		wg    sync.WaitGroup
	)
	bad.Store(int64(n))
	for range workers {
		wg.Go(func() {
			var v FuncValidator
			for {
				from := int(next.Add(batch)) - batch
				if from >= int(bad.Load()) {
					return
				}
				for i := from; i < min(from+batch, n); i++ {
					err := v.validate(e, i)
					if err == nil {
						continue
					}
					mu.Lock()
					if int64(i) < bad.Load() {
						first = err
						bad.Store(int64(i))
					}
					mu.Unlock()
					break
				}
			}
		})
	}
	wg.Wait()
	return first
}

func (v *FuncValidator) validate(e *Env, body int) error {
	if err := v.Reset(e, uint32(e.NumImportedFuncs+body)); err != nil {
		return err
	}
	for {
		more, err := v.Next(&v.instr)
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
	}
}
