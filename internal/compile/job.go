package compile

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/translate"
)

// job compiles one module. Its items are the functions that the module defines,
// in the order of their indexes, then for each signature its entry and its exit
// trampoline, then direct entry trampolines, then its routines.
type job struct {
	ctx    context.Context
	module *translate.Module
	target *isa.TargetISA
	sigs   []image.Signature
	ofType []uint32
	direct []uint32 // signatures with a direct entry trampoline
	bodies int      // functions defined
	items  int
	queue  []uint32 // items in the order in which they are begun
	large  int      // how many of them are large bodies, which come first

	everything bool // Options.InlineEverything

	progress func(done, total int) // may be nil
}

// largeBody is the size from which a body is begun before all others, the
// largest first, so that no worker is left alone with it at the end.
const largeBody = 32 << 10

// batch is how many items are begun at a time, other than large bodies.
const batch = 8

func newJob(m *translate.Module, target *isa.TargetISA) *job {
	j := &job{module: m, target: target, bodies: len(m.Wasm.Code)}
	j.sigs, j.ofType = signatures(m.Wasm.Module)
	j.direct = directs(m.Wasm.Module, j.sigs, j.ofType)
	j.items = j.routines() + len(m.Routines())
	j.queue = make([]uint32, 0, j.items)
	size := func(i uint32) int { return len(m.Wasm.Code[i].Body) }
	for i := range j.bodies {
		if size(uint32(i)) >= largeBody {
			j.queue = append(j.queue, uint32(i))
		}
	}
	j.large = len(j.queue)
	sort.SliceStable(j.queue, func(a, b int) bool { return size(j.queue[a]) > size(j.queue[b]) })
	for i := range j.items {
		if i >= j.bodies || size(uint32(i)) < largeBody {
			j.queue = append(j.queue, uint32(i))
		}
	}
	return j
}

// place says what an item is, and its number among those: index of a function that the
// module defines, of a signature, of a routine in the module's list.
func (j *job) place(item int) (kind image.FunctionKind, n int) {
	if item < j.bodies {
		return image.FunctionWasm, item
	}
	n = item - j.bodies
	if n < 2*len(j.sigs) {
		return [...]image.FunctionKind{image.FunctionEntry, image.FunctionExit}[n%2], n / 2
	}
	if n -= 2 * len(j.sigs); n < len(j.direct) {
		return image.FunctionDirect, int(j.direct[n])
	}
	return image.FunctionRoutine, n - len(j.direct)
}

// routines is the item of the first routine.
func (j *job) routines() int { return j.bodies + 2*len(j.sigs) + len(j.direct) }

// routine is the item of a routine.
func (j *job) routine(r translate.Routine) int {
	return j.routines() + slices.Index(j.module.Routines(), r)
}

// run compiles all items with up to workers goroutines and has them linked by l. Of
// several errors, it returns the one of the first item.
func (j *job) run(workers int, l *linker) error {
	var (
		next  atomic.Int64 // of the queue
		bad   atomic.Int64 // first item with an error
		mu    sync.Mutex
		first error
		done  int // guarded by mu
		wg    sync.WaitGroup
	)
	bad.Store(int64(j.items))
	begin := func() []uint32 {
		for {
			from := next.Load()
			if from >= int64(len(j.queue)) {
				return nil
			}
			to := from + 1
			if from >= int64(j.large) {
				to = min(from+batch, int64(len(j.queue)))
			}
			if next.CompareAndSwap(from, to) {
				return j.queue[from:to]
			}
		}
	}
	work := func() {
		w := hire(j)
		defer w.dismiss()
		for {
			items := begin()
			if items == nil || j.ctx.Err() != nil {
				return
			}
			p := l.parcel()
			for _, item := range items {
				if int64(item) >= bad.Load() {
					continue
				}
				if err := w.compile(item, p); err != nil {
					mu.Lock()
					if int64(item) < bad.Load() {
						first = err
						bad.Store(int64(item))
					}
					mu.Unlock()
				}
			}
			l.add(p)
			if j.progress != nil {
				mu.Lock()
				done += len(items)
				j.progress(done, len(j.queue))
				mu.Unlock()
			}
		}
	}
	workers = min(workers, j.large+(j.items-j.large+batch-1)/batch)
	for range workers - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	if first == nil {
		first = context.Cause(j.ctx)
	}
	return first
}

// worker compiles one function after the other, with the same working memory.
type worker struct {
	*job
	f     *ir.Function
	tr    translate.Translator
	tramp translate.Trampolines
	ctx   codegen.Context

	inline inliner
	broken bool // by a bug; of no use to others
}

// idle are workers with their working memory, which for a small module takes more
// time to get than all else. The garbage collector takes those that nobody wants.
var idle sync.Pool

// hire is a worker for j.
func hire(j *job) *worker {
	w, _ := idle.Get().(*worker)
	if w == nil {
		w = &worker{f: ir.NewFunction(ir.Name{}, ir.Signature{})}
	}
	w.job = j
	return w
}

// dismiss lets others have w. It keeps nothing of the module.
func (w *worker) dismiss() {
	if w.broken {
		return
	}
	w.tr.Release()
	w.inline.release()
	w.job = nil
	idle.Put(w)
}

// compile compiles an item and adds it to p. A bug in translation becomes an error here, as one
// in the code generator does there, so that it ends neither the program nor the
// other workers.
func (w *worker) compile(item uint32, p *parcel) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("function %v: %w: %v\n%s", w.f.Name, codegen.ErrBug, r, debug.Stack())
			// Whatever state they are in.
			w.tr, w.tramp, w.inline, w.broken = translate.Translator{}, translate.Trampolines{}, inliner{}, true
		}
	}()
	var inline func(*codegen.InlineCall) *ir.Function
	switch kind, n := w.place(int(item)); kind {
	case image.FunctionRoutine:
		if err := w.tr.Routine(w.module, w.module.Routines()[n], w.f); err != nil {
			return err
		}
	case image.FunctionWasm:
		index := uint32(w.module.Wasm.NumImportedFuncs) + item
		if err := w.tr.Function(w.module, index, w.f); err != nil {
			return err
		}
		inline = w.inline.begin(w.job, index, w.f, w.tr.Calls())
	case image.FunctionEntry:
		w.tramp.Entry(w.f, &w.sigs[n], uint32(n))
	case image.FunctionExit:
		w.tramp.Exit(w.f, &w.sigs[n], uint32(n))
	case image.FunctionDirect:
		w.tramp.Direct(w.f, &w.sigs[n], uint32(n))
	}
	return w.generate(item, p, inline)
}
