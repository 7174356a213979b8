package wat

import (
	"sort"
	"unicode/utf8"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// The annotations that have a meaning here. All others are checked for their
// form only.
const (
	annotationName       = "name"
	annotationCustom     = "custom"
	annotationBranchHint = "metadata.code.branch_hint"
	annotationProducers  = "producers"
)

// annotation takes the first unused annotation of an identifier in front of the
// current token.
func (p *parser) annotation(id string) *wattext.Annotation {
	i := p.findAnnotation(id)
	if i < 0 {
		return nil
	}
	p.annotationUsed[i] = true
	p.lastAnnotation = i
	return &p.Src.Annotations[i]
}

// atAnnotation reports whether annotation would find one.
func (p *parser) atAnnotation(id string) bool { return p.findAnnotation(id) >= 0 }

// findAnnotation returns the index of what annotation takes, or -1.
func (p *parser) findAnnotation(id string) int {
	all := p.Src.Annotations
	if len(all) == 0 || p.Err != nil {
		return -1
	}
	i := sort.Search(len(all), func(i int) bool { return all[i].Token >= p.Pos })
	if last := p.lastAnnotation; last > i && all[last].Token == p.Pos && all[last].ID == id {
		i = last // all before it of this identifier were taken; there may be very many
	}
	for ; i < len(all) && all[i].Token == p.Pos; i++ {
		if all[i].ID == id && !p.annotationUsed[i] {
			return i
		}
	}
	return -1
}

// failAnnotation fails because of annotation a.
func (p *parser) failAnnotation(a *wattext.Annotation, format string, args ...any) {
	if p.Err == nil {
		p.Err = p.Src.Errorf(a.Off, format, args...)
	}
	p.Pos = p.End
}

// finishAnnotations fails if an annotation stands where it means nothing.
func (p *parser) finishAnnotations() {
	for i := range p.Src.Annotations {
		if p.annotationUsed[i] {
			continue
		}
		a := &p.Src.Annotations[i]
		if a.ID == annotationBranchHint {
			p.failAnnotation(a, "@%s annotation: not in a function", a.ID)
		} else {
			p.failAnnotation(a, "misplaced @%s annotation", a.ID)
		}
		return
	}
}

// nameOf is the name of what is being defined: that of a @name annotation in
// front of the current token, or its identifier.
func (p *parser) nameOf(id string) string {
	a := p.annotation(annotationName)
	if a == nil {
		return id
	}
	name, ok := p.annotationString(a)
	if !ok {
		return id
	}
	return name
}

// annotationString is the name that is the whole content of a.
func (p *parser) annotationString(a *wattext.Annotation) (string, bool) {
	if len(a.Content) != 1 || a.Content[0].Kind != wattext.String {
		p.failAnnotation(a, "@%s annotation: unexpected token, expected a string", a.ID)
		return "", false
	}
	s, err := p.Src.StringText(a.Content[0].Off, a.Content[0].End)
	if err != nil || !utf8.Valid(s) {
		p.failAnnotation(a, "@%s annotation: malformed UTF-8 encoding", a.ID)
		return "", false
	}
	return string(s), true
}

// moduleAnnotations takes the name of the module.
func (p *parser) moduleAnnotations() {
	p.names.Module = p.nameOf(p.moduleID)
	if a := p.annotation(annotationName); a != nil {
		p.failAnnotation(a, "@name annotation: multiple module names")
	}
}

// customs takes the custom sections in front of the current token.
func (p *parser) customs() {
	for a := p.annotation(annotationCustom); a != nil; a = p.annotation(annotationCustom) {
		p.custom(a)
	}
	p.producersAnnotations()
}

// sectionOrder lists the keywords of sections in the order of the binary
// format.
var sectionOrder = []struct {
	keyword string
	section wasm.Section
}{
	{"first", wasm.SectionCustom}, {"type", wasm.SectionType}, {"import", wasm.SectionImport},
	{"func", wasm.SectionFunction}, {"table", wasm.SectionTable}, {"memory", wasm.SectionMemory},
	{"tag", wasm.SectionTag}, {"global", wasm.SectionGlobal}, {"export", wasm.SectionExport},
	{"start", wasm.SectionStart}, {"elem", wasm.SectionElement}, {"datacount", wasm.SectionDataCount},
	{"code", wasm.SectionCode}, {"data", wasm.SectionData}, {"last", wasm.SectionData},
}

// custom reads the content of a @custom annotation:
// "name" ((before | after) section)? "data"*.
func (p *parser) custom(a *wattext.Annotation) {
	text := func(t wattext.Token) string { return string(p.Src.Text[t.Off:t.End]) }
	c := wasm.Custom{After: wasm.SectionData}
	rest := a.Content
	if len(rest) == 0 || rest[0].Kind != wattext.String {
		p.failAnnotation(a, "@custom annotation: missing section name")
		return
	}
	name, err := p.Src.StringText(rest[0].Off, rest[0].End)
	if err != nil || !utf8.Valid(name) {
		p.failAnnotation(a, "@custom annotation: malformed UTF-8 encoding")
		return
	}
	c.Name, rest = string(name), rest[1:]
	if len(rest) > 0 && rest[0].Kind == wattext.LParen {
		list := rest[1 : rest[0].Pair-1] // Content begins with the name, which was cut off
		rest = rest[rest[0].Pair:]
		if len(list) == 0 || text(list[0]) != "before" && text(list[0]) != "after" {
			p.failAnnotation(a, "@custom annotation: malformed placement")
			return
		}
		place := -1
		for i, s := range sectionOrder {
			if len(list) == 2 && text(list[1]) == s.keyword {
				place = i
			}
		}
		if place < 0 {
			p.failAnnotation(a, "@custom annotation: malformed section kind")
			return
		}
		if text(list[0]) == "before" && place > 0 && place < len(sectionOrder)-1 {
			place--
		}
		c.After = sectionOrder[place].section
	}
	for _, t := range rest {
		if t.Kind != wattext.String {
			p.failAnnotation(a, "@custom annotation: unexpected token %s", wattext.Shorten([]byte(text(t))))
			return
		}
		c.Data, _ = p.Src.AppendString(c.Data, t.Off, t.End)
	}
	p.m.Customs = append(p.m.Customs, c)
}

// A branch hint is an annotation in front of `if` or `br_if` (or of the
// parenthesis of a folded one). It becomes an entry of a custom section: where
// in the function the instruction lies, and whether the branch is likely.

// branchHint is a hint for the instruction at an offset of a function's
// instructions.
type branchHint struct {
	offset uint32
	likely byte
}

// funcHints are the hints of a function.
type funcHints struct {
	index       uint32
	hints       []branchHint
	waiting     []byte // values of hints whose instruction is not encoded yet
	pendingHint uint32 // index into waiting plus one: a hint for the next instruction
	annotation  *wattext.Annotation
}

// branchHint takes a hint in front of the current token.
func (p *parser) branchHint() {
	for a := p.annotation(annotationBranchHint); a != nil; a = p.annotation(annotationBranchHint) {
		h := &p.funcHint
		if h.pendingHint != 0 {
			p.failAnnotation(a, "@%s annotation: duplicate annotation", a.ID)
			return
		}
		var value []byte
		for _, t := range a.Content {
			if t.Kind != wattext.String {
				p.failAnnotation(a, "@%s annotation: unexpected token, expected a string", a.ID)
				return
			}
			value, _ = p.Src.AppendString(value, t.Off, t.End)
		}
		if len(value) != 1 || value[0] > 1 {
			p.failAnnotation(a, "@%s annotation: the hint must be \"\\00\" or \"\\01\"", a.ID)
			return
		}
		h.waiting = append(h.waiting, value[0])
		h.pendingHint = uint32(len(h.waiting))
		h.annotation = a
	}
}

// takeHint returns the hint for the instruction that is being read, or 0.
func (p *parser) takeHint() uint32 {
	h := p.funcHint.pendingHint
	p.funcHint.pendingHint = 0
	return h
}

// checkHintTarget fails if op cannot have the hint in front of it.
func (p *parser) checkHintTarget(op wasm.Opcode) {
	if p.funcHint.pendingHint != 0 && op != wasm.OpIf && op != wasm.OpBrIf {
		p.badHintTarget()
	}
}

func (p *parser) badHintTarget() {
	p.failAnnotation(p.funcHint.annotation, "@%s annotation: invalid target", annotationBranchHint)
}

// placeHint says that the instruction of hint h comes next in the code.
func (p *parser) placeHint(h uint32) {
	p.funcHint.hints = append(p.funcHint.hints, branchHint{uint32(len(p.code)), p.funcHint.waiting[h-1]})
}

// finishHints keeps the hints of a function. Offsets in the section count from
// the beginning of the locals.
func (p *parser) finishHints(index uint32, c *wasm.Code) {
	h := &p.funcHint
	h.waiting = h.waiting[:0]
	if len(h.hints) == 0 {
		return
	}
	locals := encodeLocals(c.Locals)
	for i := range h.hints {
		h.hints[i].offset += uint32(len(locals))
	}
	p.hints = append(p.hints, funcHints{index: index, hints: h.hints})
}

// encodeLocals is the declaration of locals in the binary format.
func encodeLocals(groups []wasm.LocalGroup) []byte {
	b := wasm.AppendU32(nil, uint32(len(groups)))
	for _, g := range groups {
		b = wasm.AppendValType(wasm.AppendU32(b, g.Count), g.Type)
	}
	return b
}

// encodeBranchHints is the content of the section of branch hints.
func encodeBranchHints(list []funcHints) []byte {
	b := wasm.AppendU32(nil, uint32(len(list)))
	for _, f := range list {
		b = wasm.AppendU32(wasm.AppendU32(b, f.index), uint32(len(f.hints)))
		for _, h := range f.hints {
			b = append(wasm.AppendU32(b, h.offset), 1, h.likely)
		}
	}
	return b
}

// finishNames gives the module its names and the section of branch hints.
func (p *parser) finishNames() {
	if len(p.hints) > 0 {
		p.m.Customs = append(p.m.Customs, wasm.Custom{Name: annotationBranchHint, Data: encodeBranchHints(p.hints), After: wasm.SectionDataCount})
	}
	if p.opts.NoNames {
		return
	}
	n := p.names
	n.Funcs, n.Types, n.Tables, n.Memories = p.funcs.names, p.types.names, p.tables.names, p.memories.names
	n.Globals, n.Elems, n.Datas, n.Tags = p.globals.names, p.elems.names, p.datas.names, p.tags.names
	if n.Module != "" || len(n.Funcs)+len(n.Types)+len(n.Tables)+len(n.Memories)+len(n.Globals)+len(n.Elems)+
		len(n.Datas)+len(n.Tags)+len(n.Locals)+len(n.Labels)+len(n.Fields) > 0 {
		p.m.Names = &n
	}
}
