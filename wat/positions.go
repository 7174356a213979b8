package wat

import (
	"sort"

	"github.com/davit-wasm/davit/internal/wattext"
)

// Positions says where in a text the instructions of a module come from. [Parse]
// fills it in if [Options] has one, which costs time and memory: it is made for
// finding the place of an error that validation found in the binary.
type Positions struct {
	text  []byte
	funcs []uint32 // for each function that the module defines, the end of its places
	list  []position
}

// position is where an instruction lies: in its function's body, and in the text.
type position struct{ code, text uint32 }

// Error is an error with message msg about the instruction at an offset of the
// body of function fn, counted without imported functions. It is nil if no
// instruction of the text lies there.
func (p *Positions) Error(fn, offset int, msg string) *Error {
	if fn < 0 || fn >= len(p.funcs) || offset < 0 {
		return nil
	}
	first := uint32(0)
	if fn > 0 {
		first = p.funcs[fn-1]
	}
	places := p.list[first:p.funcs[fn]]
	i := sort.Search(len(places), func(i int) bool { return int(places[i].code) > offset })
	if i == 0 {
		return nil
	}
	return fromText(wattext.NewError(p.text, int(places[i-1].text), msg))
}

// place notes that the instruction of the token at index pos comes next in the
// code.
func (p *parser) place(pos uint32) {
	if ps := p.opts.Positions; ps != nil && p.Err == nil {
		ps.list = append(ps.list, position{uint32(len(p.code)), p.Src.Tokens[pos].Off})
	}
}

// finishPlaces ends the places of a function; its final `end` is at the closing
// parenthesis.
func (p *parser) finishPlaces() {
	if ps := p.opts.Positions; ps != nil && p.Err == nil {
		ps.list = append(ps.list, position{uint32(len(p.code)), p.Src.Tokens[p.Pos].Off})
		ps.funcs = append(ps.funcs, uint32(len(ps.list)))
	}
}
