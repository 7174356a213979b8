package compile

import (
	"fmt"
	"slices"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/translate"
)

// generate compiles w.f and adds what came of it to p, as item. inline answers which
// calls are replaced by bodies; it may be nil.
func (w *worker) generate(item uint32, p *parcel, inline func(*codegen.InlineCall) *ir.Function) error {
	c, err := w.ctx.Compile(w.f, w.target, codegen.Options{Inline: inline})
	if err != nil {
		return err
	}
	calls := len(p.calls)
	for i := range c.Relocs {
		r := &c.Relocs[i]
		item := w.callee(r.Name)
		if near := r.Kind == codegen.RelocCall32 || r.Kind == codegen.RelocPCRel32; !near || item < 0 {
			// Nothing else is reached by relocation: images know no addresses.
			p.calls = p.calls[:calls]
			return fmt.Errorf("function %v: %w: relocation %v of %v in an image", w.f.Name, codegen.ErrBug, r.Kind, r.Name)
		}
		p.calls = append(p.calls, call{offset: r.Offset, item: uint32(item), addend: int32(r.Addend)})
	}
	p.text = append(p.text, c.Text...)
	p.traps, p.addrs = slices.Grow(p.traps, len(c.Traps)), slices.Grow(p.addrs, len(c.Sources))
	for _, t := range c.Traps {
		p.traps = append(p.traps, image.Trap{Offset: t.Offset, Code: translate.TrapCode(t.Code)})
	}
	for _, s := range c.Sources {
		if s.Offset >= c.CodeSize {
			break
		}
		a := image.Address{Offset: s.Offset, Wasm: uint32(s.Loc)}
		if s.Loc == 0 {
			a.Wasm = image.NoAddress
		}
		p.addrs = append(p.addrs, a)
	}
	p.keepSites(c)
	for _, u := range c.Unwind {
		if u.Offset >= c.CodeSize {
			break // after a return at the end
		}
		p.unwind = append(p.unwind, image.Unwind{Offset: u.Offset, Frame: frameStates[u.State]})
	}
	p.end(item, c.Alignment)
	return nil
}

// keepSites keeps which code is of which body.
func (p *parcel) keepSites(c *codegen.CompiledCode) {
	if len(c.InlineSites) == 0 {
		return
	}
	for _, s := range c.InlineSites {
		x := image.InlineSite{Func: s.Callee.Index, Call: uint32(s.Call), Outer: s.Outer}
		if s.Call == 0 {
			x.Call = image.NoAddress
		}
		if s.Tail {
			x.Outer = image.Replaced
		}
		p.sites = append(p.sites, x)
	}
	last := image.NoSite
	for _, s := range c.Sources {
		if s.Site != last && s.Offset < c.CodeSize {
			p.inlined = append(p.inlined, image.Inlined{Offset: s.Offset, Site: s.Site})
			last = s.Site
		}
	}
}

// callee is the item that a name in IR stands for, or negative.
func (w *worker) callee(n ir.Name) int {
	switch {
	case n.Kind != ir.NameUser:
	case n.Namespace == translate.FunctionNamespace:
		return int(n.Index) - w.module.Wasm.NumImportedFuncs
	case n.Namespace == translate.RoutineNamespace:
		return w.routine(translate.Routine(n.Index))
	}
	return -1
}

var frameStates = [...]image.FrameState{
	codegen.FrameNone: image.FrameNone, codegen.FramePushed: image.FramePushed, codegen.FrameReady: image.FrameReady,
	codegen.FrameSaved: image.FrameReady, codegen.FrameMade: image.FrameReady,
}
