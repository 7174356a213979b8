package codegen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/davit-wasm/davit/codegen/internal/machine"
	"github.com/davit-wasm/davit/codegen/internal/opt"
	"github.com/davit-wasm/davit/codegen/internal/regalloc"
	"github.com/davit-wasm/davit/codegen/internal/x64"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/verifier"
)

// ErrUnsupported is wrapped by the error for a function that asks for something
// that the target has no code for.
var ErrUnsupported = machine.ErrUnsupported

// ErrBug is wrapped by the error for a function that the compiler failed on by
// its own fault. Please report it with the function.
var ErrBug = errors.New("bug in the code generator, please report it")

// Options are choices of one compilation. The zero value is useful.
type Options struct {
	// SkipVerify leaves out the verifier whatever the target's settings say: for
	// IR that comes from a translator known to be right.
	SkipVerify bool
	// CheckRegalloc proves the register allocation right, as the setting
	// regalloc_checker does.
	CheckRegalloc bool
	// KeepPanics lets a bug in the compiler panic instead of becoming an error
	// that wraps ErrBug.
	KeepPanics bool
	// Inline, if not nil, is asked for every direct call of the function, and of
	// what has been inlined into it: the body to put in the place of the call, or nil.
	// The body must be valid IR, as it was before any compilation, and is not
	// changed; it may be a copy of the function itself. Calls in bodies are asked
	// about until the answer is nil, so recursion is for the one who answers to end.
	// The setting enable_inlining=false keeps anybody from being asked.
	Inline func(*InlineCall) *ir.Function
	// After, if not nil, is called after every pass with the pass's name. The
	// function and the Context show what the pass made.
	After func(pass string, c *Context)
	// Times, if not nil, has the time of every pass added, in the order of
	// Passes.
	Times []time.Duration
	// Logger, if not nil, is told of every function that has been compiled, with
	// its size, and at level debug of every pass with its time. Without it logging
	// costs nothing.
	Logger *slog.Logger
}

// InlineCall is a direct call that [Options].Inline is asked about.
type InlineCall = opt.InlineCall

// Context compiles one function after the other, for any target. It keeps
// its memory between functions, but for that which an exceptionally large one has
// needed. The zero value is ready. It is for one goroutine at a time.
type Context struct {
	f      *ir.Function
	target *isa.TargetISA
	opts   Options

	inliner  opt.Inliner
	opt      opt.Optimizer
	low      machine.Lower
	vcode    machine.VCode
	ra       regalloc.Allocator
	raOut    *regalloc.Output
	emitter  machine.Emitter
	x64      *x64.Backend
	text     []byte
	code     CompiledCode
	walk     ir.Walk
	seen     []bool
	inOrder  bool // every block but the entry follows one of its predecessors
	huge     bool // the function is huge
	args     []ir.Value
	verifier verifier.Verifier
}

// hugeFunction is the number of instructions from which a function's working memory,
// which is some hundred bytes for each, is given up as soon as it is not needed any
// more.
const hugeFunction = 1 << 17

// Compile compiles f for target t. The passes change f. The result belongs to c
// and is valid until c's next compilation.
//
// The error names the function and, where there is one, the instruction. It
// wraps ErrUnsupported or ErrBug in these cases.
func (c *Context) Compile(f *ir.Function, t *isa.TargetISA, o Options) (code *CompiledCode, err error) {
	if c.huge {
		*c = Context{}
	}
	c.f, c.target, c.opts = f, t, o
	if !o.KeepPanics {
		defer func() {
			if r := recover(); r != nil {
				code, err = nil, fmt.Errorf("function %v: %w: %v\n%s", f.Name, ErrBug, r, debug.Stack())
			}
		}()
	}
	if t.Triple.Arch != isa.X86_64 {
		return nil, fmt.Errorf("function %v: target %v: %w", f.Name, t.Triple, ErrUnsupported)
	}
	if c.x64 == nil || !c.x64.For(t) {
		c.x64 = x64.NewBackend(t)
	}
	timed := o.Times != nil || o.Logger != nil
	var start time.Time
	for i := range passes {
		if timed {
			start = time.Now()
		}
		if err := passes[i].run(c); err != nil {
			var rules verifier.Errors // which name the function
			if !errors.As(err, &rules) {
				err = fmt.Errorf("function %v: %w", f.Name, err)
			}
			if o.Logger != nil {
				o.Logger.Error("function not compiled", "pass", passes[i].name, "error", err)
			}
			return nil, err
		}
		if timed {
			c.passed(i, time.Since(start))
		}
		if o.After != nil {
			o.After(passes[i].name, c)
		}
	}
	if l := o.Logger; l != nil && l.Enabled(context.Background(), slog.LevelInfo) {
		l.Info("function compiled", "function", f.Name.String(), "blocks", f.NumBlocks(), "instructions", f.NumInsts(), "code", c.code.CodeSize, "frame", c.code.FrameSize)
	}
	return &c.code, nil
}

// passed accounts for pass i.
func (c *Context) passed(i int, took time.Duration) {
	if c.opts.Times != nil {
		c.opts.Times[i] += took
	}
	if l := c.opts.Logger; l != nil && l.Enabled(context.Background(), slog.LevelDebug) {
		l.Debug("pass", "function", c.f.Name.String(), "pass", passes[i].name, "time", took)
	}
}

// inline puts bodies in the place of calls. It comes before all passes that change
// the function, because they have not seen the bodies.
func (c *Context) inline() error {
	if c.opts.Inline == nil || !c.target.Shared.Inlining {
		return nil
	}
	c.inliner.Run(c.f, c.opts.Inline)
	if len(c.f.InlineSites()) == 0 {
		return nil
	}
	if err := c.verify(); err != nil {
		return fmt.Errorf("%w: inlined: %w", ErrBug, err)
	}
	return nil
}

// optimize runs the mid-end. What it makes is verified as the function was.
func (c *Context) optimize() error {
	if c.target.Shared.OptLevel == isa.OptNone {
		return nil
	}
	c.opt.Run(c.f, opt.Options{NoMemory: !c.target.Shared.AliasAnalysis, Small: c.target.Shared.OptLevel == isa.OptSpeedAndSize})
	if err := c.verify(); err != nil {
		return fmt.Errorf("%w: optimized: %w", ErrBug, err)
	}
	return nil
}

// lower selects instructions.
func (c *Context) lower() error {
	if c.huge = c.f.NumInsts() >= hugeFunction; c.huge {
		c.opt, c.inliner = opt.Optimizer{}, opt.Inliner{}
	}
	if err := c.x64.Begin(c.f, &c.low); err != nil {
		return err
	}
	c.low.KeepLayout = c.inOrder && c.target.Shared.OptLevel == isa.OptNone
	return c.low.Run(c.f, &c.vcode, c.x64)
}

// regalloc allocates registers and puts them into the instructions.
func (c *Context) regalloc() error {
	o := regalloc.Options{Check: c.opts.CheckRegalloc || c.target.Shared.RegallocChecker}
	o.Validate = o.Check
	if c.target.Shared.RegallocAlgorithm == isa.SinglePass {
		o.Algorithm = regalloc.Fast
	}
	var err error
	if c.raOut, err = c.ra.Allocate(&c.vcode.RA, c.x64.Env(), o); err != nil {
		return fmt.Errorf("register allocation: %w: %w", ErrBug, err)
	}
	c.vcode.Apply(c.x64.Table(), c.raOut)
	return nil
}

// emit makes the code.
func (c *Context) emit() error {
	b := c.x64
	e := &c.emitter
	e.Frame = b.Frame(&c.low, c.raOut)
	if err := e.Frame.Layout(); err != nil {
		return err
	}
	e.Padding = 0
	if n := c.target.Shared.BlockPadding; n != 0 {
		e.Padding = 1 << (n - 1)
	}
	e.PlaceLoops = c.target.Shared.OptLevel == isa.OptSpeed && c.target.Shared.RegallocAlgorithm != isa.SinglePass
	b.StartCode(c.text[:0])
	e.Run(&c.vcode, c.raOut, b.Table(), b)
	text, err := e.Buf.Finish(b.EndCode(), x64.Fixups, x64.Nops, x64.Padding)
	if err != nil {
		return err
	}
	c.text = text
	c.collect()
	return nil
}

// VCode is the function's machine instructions as text, for people: after
// lowering with virtual registers, after register allocation with places and
// moves.
func (c *Context) VCode() string {
	return x64.Text(&c.vcode, c.raOut, c.f)
}
