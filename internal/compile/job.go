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
	limit  int      // from which size on a body is large
	strong int      // how many workers begin with large bodies

	everything bool // Options.InlineEverything

	progress func(done, total int) // may be nil
}

// A body of largeBody bytes or more that is more than one of largeShare parts of what a
// worker has to do is large. Large bodies are begun first, the largest before all
// others, so that nobody is left alone with one at the end; and by as few workers as
// can do them in time, because it takes working memory in proportion.
const (
	largeBody  = 8 << 10
	largeShare = 256
)

// batch is how many items are begun at a time, other than large bodies.
const batch = 8

func newJob(m *translate.Module, target *isa.TargetISA) *job {
	j := &job{module: m, target: target, bodies: len(m.Wasm.Code)}
	j.sigs, j.ofType = signatures(m.Wasm.Module)
	j.direct = directs(m.Wasm.Module, j.sigs, j.ofType)
	j.items = j.routines() + len(m.Routines())
	return j
}

// order says in which order items are begun by so many workers.
func (j *job) order(workers int) {
	j.queue = make([]uint32, 0, j.items)
	size := func(i uint32) int { return len(j.module.Wasm.Code[i].Body) }
	total := 0
	for i := range j.bodies {
		total += size(uint32(i))
	}
	j.limit = max(largeBody, total/workers/largeShare)
	large := 0
	for i := range j.bodies {
		if n := size(uint32(i)); n >= j.limit {
			j.queue = append(j.queue, uint32(i))
			large += n
		}
	}
	j.large = len(j.queue)
	if large > 0 {
		j.strong = (large*workers + total - 1) / total
	}
	sort.SliceStable(j.queue, func(a, b int) bool { return size(j.queue[a]) > size(j.queue[b]) })
	for i := range j.items {
		if i >= j.bodies || size(uint32(i)) < j.limit {
			j.queue = append(j.queue, uint32(i))
		}
	}
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
		large atomic.Int64 // the next of the large bodies
		next  atomic.Int64 // the next of the others
		bad   atomic.Int64 // first item with an error
		mu    sync.Mutex
		first error
		done  int // guarded by mu
		wg    sync.WaitGroup
	)
	bad.Store(int64(j.items))
	j.order(workers)
	takeLarge := func() []uint32 {
		if i := large.Add(1) - 1; i < int64(j.large) {
			return j.queue[i : i+1]
		}
		return nil
	}
	others := j.queue[j.large:]
	take := func() []uint32 {
		from := int(next.Add(batch)) - batch
		return others[min(from, len(others)):min(from+batch, len(others))]
	}
	work := func(strong bool) {
		w := hire(j)
		defer w.dismiss()
		for j.ctx.Err() == nil {
			var items []uint32
			if strong {
				if items = takeLarge(); len(items) == 0 {
					strong = false
					w.relax()
				}
			}
			if len(items) == 0 {
				items = take()
			}
			if len(items) == 0 {
				items = takeLarge() // those who began with them need help
			}
			if len(items) == 0 {
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
	for i := range workers - 1 {
		wg.Go(func() { work(i < j.strong-1) })
	}
	work(j.strong > 0)
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

	largest int // body compiled
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

// excessive is the size of bodies from which the working memory they take is worth
// being given up: some ten megabytes.
const excessive = 64 << 10

// relax gives up working memory that is far too much for bodies that are not large.
func (w *worker) relax() {
	if w.largest >= max(4*w.limit, excessive) {
		*w = worker{job: w.job, f: ir.NewFunction(ir.Name{}, ir.Signature{}), broken: w.broken}
	}
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
		w.largest = max(w.largest, len(w.module.Wasm.Body(index).Body))
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
