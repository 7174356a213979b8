package wat

import (
	"bytes"

	"github.com/davit-wasm/davit/wasm"
)

// Branch hints lie in a custom section, by the offsets of the instructions that
// they are for. Printing turns them into annotations in front of these, so that
// they keep their places whatever becomes of the code. That is possible only if
// the section is as the parser would make it and each offset is that of an `if`
// or `br_if`; else the section is printed as its bytes.

// findBranchHints reads the section of branch hints, if annotations can say what
// it does.
func (p *printer) findBranchHints() {
	var section *wasm.Custom
	for i := range p.m.Customs {
		if c := &p.m.Customs[i]; c.Name == annotationBranchHint {
			if section != nil {
				return
			}
			section = c
		}
	}
	if section == nil || p.following(section.After) != wasm.SectionCode {
		return
	}
	hints, ok := decodeBranchHints(section.Data)
	if !ok || !bytes.Equal(encodeBranchHints(hints), section.Data) {
		return
	}
	for i := range hints {
		if i > 0 && hints[i].index <= hints[i-1].index || !p.hintsFit(&hints[i]) {
			return
		}
	}
	p.hints, p.hintSection = hints, section
}

// decodeBranchHints reads the content of the section.
func decodeBranchHints(data []byte) (list []funcHints, ok bool) {
	u32 := func() uint32 {
		var v uint32
		for shift := uint(0); shift < 35; shift += 7 {
			if len(data) == 0 {
				ok = false
				return 0
			}
			c := data[0]
			data = data[1:]
			v |= uint32(c&0x7f) << shift
			if c < 0x80 {
				return v
			}
		}
		ok = false
		return 0
	}
	ok = true
	for n := u32(); n > 0 && ok; n-- {
		f := funcHints{index: u32()}
		for k := u32(); k > 0 && ok; k-- {
			h := branchHint{offset: u32()}
			size, value := u32(), u32()
			if size != 1 || value > 1 {
				return nil, false
			}
			h.likely = byte(value)
			f.hints = append(f.hints, h)
		}
		list = append(list, f)
	}
	return list, ok && len(data) == 0
}

// hintsFit reports whether every hint of a function is for an instruction that
// can have one.
func (p *printer) hintsFit(f *funcHints) bool {
	m := p.m
	if int(f.index) < m.NumImportedFuncs || int(f.index)-m.NumImportedFuncs >= len(m.Code) {
		return false
	}
	body := &m.Code[int(f.index)-m.NumImportedFuncs]
	c := &p.code
	c.start(body.Body, 0)
	before := localsSize(body)
	for i := 0; i < len(f.hints); {
		if !p.next() {
			p.err = nil
			return false
		}
		switch at := uint32(c.in.Offset) + before; {
		case at < f.hints[i].offset:
		case at > f.hints[i].offset || c.in.Op != wasm.OpIf && c.in.Op != wasm.OpBrIf:
			return false
		default:
			i++
		}
	}
	return true
}

// localsSize is how many bytes of a function lie before its instructions.
func localsSize(c *wasm.Code) uint32 {
	if c.Offset > c.EntryOffset {
		return uint32(c.Offset - c.EntryOffset)
	}
	return uint32(len(encodeLocals(c.Locals))) // it was not decoded
}

// startHints finds the hints of a function.
func (p *printer) startHints(index int, body *wasm.Code) {
	c := &p.code
	c.hints = nil
	for len(p.hints) > 0 && int(p.hints[0].index) < index {
		p.hints = p.hints[1:]
	}
	if len(p.hints) > 0 && int(p.hints[0].index) == index {
		c.hints, c.hintBase = p.hints[0].hints, body.Offset-int(localsSize(body))
	}
}

// hint writes the annotation of the instruction that was read, if it has one,
// with a space after it.
func (p *printer) hint() {
	c := &p.code
	if len(c.hints) == 0 || c.in.Offset-c.hintBase != int(c.hints[0].offset) {
		return
	}
	p.str("(@" + annotationBranchHint + ` "\0`)
	p.b = append(p.b, '0'+c.hints[0].likely)
	p.str(`") `)
	c.hints = c.hints[1:]
}
