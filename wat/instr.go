package wat

import (
	"bytes"
	"slices"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// Instructions nest in two ways. Plain blocks run from `block` to `end`; folded
// ones from parenthesis to parenthesis, and a folded operator is encoded after
// its operands, which stand behind it in the text. Both live on one stack of
// frames, so that nesting costs memory and never recursion. The encoding of a
// folded operator waits on a second stack of bytes, p.pending, until its
// parenthesis is closed:
//
//	(i32.add (local.get 0) (i32.const 1))
//
//	`(i32.add`    pending: i32.add             code:
//	`(local.get`  pending: i32.add local.get   code:
//	`)`           pending: i32.add             code: local.get
//	…
//	`)`           pending:                     code: local.get i32.const i32.add

// frameKind is what a frame waits for.
type frameKind uint8

const (
	framePlainBlock  frameKind = iota // block, loop, try_table or else: `end`
	framePlainIf                      // `else` or `end`
	frameFoldedBlock                  // block, loop, try_table: `)`
	frameFoldedOp                     // operator in front of its operands: `)`
	frameFoldedIf                     // if in front of its condition: `(then`
	frameThen                         // then: `)`
	frameAfterThen                    // if after its then: `(else` or `)`
	frameElse                         // else: `)`
	frameAfterElse                    // if after its else: `)`
)

// frame is an instruction that is not finished.
type frame struct {
	kind    frameKind
	pos     uint32 // token of the operator
	pending uint32 // frameFoldedOp, frameFoldedIf: where its encoding begins in p.pending
	hint    uint32 // frameFoldedOp, frameFoldedIf: its branch hint plus one, or 0
	label   string // blocks: identifier, or ""
}

// label is a label in scope.
type label struct {
	name     string
	shadowed int32 // outer label of the same name: index into p.labels, or -1
}

func (p *parser) pushLabel(name string) {
	l := label{name: name, shadowed: -1}
	if name != "" {
		if outer, ok := p.labelTop[name]; ok {
			l.shadowed = outer
		}
		p.labelTop[name] = int32(len(p.labels))
	}
	p.labels = append(p.labels, l)
}

func (p *parser) popLabel() {
	l := p.labels[len(p.labels)-1]
	p.labels = p.labels[:len(p.labels)-1]
	switch {
	case l.name == "":
	case l.shadowed < 0:
		delete(p.labelTop, l.name)
	default:
		p.labelTop[l.name] = l.shadowed
	}
}

// label reads a label index.
func (p *parser) label() uint32 {
	if p.Kind() != wattext.ID {
		return uint32(p.natural(32, "a label"))
	}
	pos := p.Pos
	id := p.TakeID()
	i, ok := p.labelTop[id]
	if !ok {
		p.FailAt(pos, "unknown label $%s", id)
		return 0
	}
	return uint32(len(p.labels)-1) - uint32(i)
}

// openLabel brings the label of a block into scope whose instruction has just
// been encoded: labels are numbered in the order of the code.
func (p *parser) openLabel(name string) {
	if name != "" && !p.opts.NoNames {
		p.labelIDs = append(p.labelIDs, wasm.Name{Index: p.blocks, Name: name})
	}
	p.blocks++
	p.pushLabel(name)
}

// constExpr reads a constant expression: instructions up to a closing
// parenthesis, which it leaves, or a single folded one.
func (p *parser) constExpr(single bool) wasm.ConstExpr {
	p.startCode()
	p.instrs(single)
	return wasm.ConstExpr{Code: p.finishCode()}
}

func (p *parser) startCode() {
	clear(p.locals)
	clear(p.labelTop)
	p.labels, p.frames = p.labels[:0], p.frames[:0]
	p.code, p.pending = p.code[:0], p.pending[:0]
	p.blocks, p.labelIDs = 0, nil
	p.funcHint.hints = nil
}

func (p *parser) finishCode() []byte {
	return bytes.Clone(append(p.code, byte(wasm.OpEnd)))
}

// function reads locals and body of a function.
func (p *parser) function(f *field) {
	p.startCode()
	p.pushLabel("")
	body := wasm.Code{}
	var names wasm.NameMap
	n := uint32(0)

	define := func() { // a parameter or local whose identifier, if any, is the current token
		pos := p.Pos
		id := p.TakeID()
		if id != "" {
			if _, dup := p.locals[id]; dup {
				p.FailAt(pos, "duplicate local $%s", id)
				return
			}
			p.locals[id] = n
		}
		if name := p.nameOf(id); name != "" {
			names = append(names, wasm.Name{Index: n, Name: name})
		}
		n++
	}

	named := func() bool { return p.Kind() == wattext.ID || p.atAnnotation(annotationName) }

	p.Pos = f.typeUse
	if p.TakeHead("type") {
		t := p.index(&p.types)
		p.Close()
		if string(p.Head()) != "param" && int(t) < len(p.m.Types) {
			n = uint32(len(p.m.Types[t].Func.Params))
		}
	}
	for p.TakeHead("param") {
		if named() {
			define()
			p.valType()
			p.Close()
			continue
		}
		p.typeUse.params = p.typeList(p.typeUse.params[:0])
		n += uint32(len(p.typeUse.params))
	}
	if p.Err == nil {
		p.Pos = f.pos
	}
	for p.TakeHead("local") {
		if named() {
			define()
			body.Locals = addLocal(body.Locals, p.valType())
			p.Close()
			continue
		}
		for p.Kind() != wattext.RParen && p.Err == nil {
			if t := p.valType(); p.Err == nil {
				body.Locals = addLocal(body.Locals, t)
				n++
			}
		}
		p.Close()
	}
	p.instrs(false)
	p.finishPlaces()
	body.Body = p.finishCode()
	p.m.Code = append(p.m.Code, body)
	p.finishHints(f.index, &body)
	if p.opts.NoNames {
		return
	}
	if len(names) > 0 {
		p.names.Locals = append(p.names.Locals, wasm.IndirectName{Index: f.index, Names: names})
	}
	if len(p.labelIDs) > 0 {
		p.names.Labels = append(p.names.Labels, wasm.IndirectName{Index: f.index, Names: p.labelIDs})
	}
}

func addLocal(groups []wasm.LocalGroup, t wasm.ValType) []wasm.LocalGroup {
	if n := len(groups); n > 0 && groups[n-1].Type == t {
		groups[n-1].Count++
		return groups
	}
	return append(groups, wasm.LocalGroup{Count: 1, Type: t})
}

// top is the innermost frame, or nil.
func (p *parser) top() *frame {
	if n := len(p.frames); n > 0 {
		return &p.frames[n-1]
	}
	return nil
}

// instrs reads instructions and appends them to p.code, up to a parenthesis
// that they did not open, which it leaves; or only one folded instruction.
func (p *parser) instrs(single bool) {
	for p.Err == nil {
		if len(p.Src.Annotations) > 0 {
			p.branchHint()
		}
		switch p.Kind() {
		case wattext.Keyword:
			if t := p.top(); single && t == nil || t != nil && !t.takesPlain() {
				p.unexpected(t.expects())
				return
			}
			p.plain()
		case wattext.LParen:
			p.folded()
		case wattext.RParen:
			t := p.top()
			if t == nil {
				if p.funcHint.pendingHint != 0 {
					p.badHintTarget()
				}
				return
			}
			p.closeFrame(t)
			if single && len(p.frames) == 0 {
				return
			}
		default:
			p.unexpected(p.top().expects())
			return
		}
	}
}

// takesPlain reports whether plain instructions may stand in f.
func (f *frame) takesPlain() bool {
	switch f.kind {
	case frameFoldedOp, frameFoldedIf, frameAfterThen, frameAfterElse:
		return false
	}
	return true
}

// expects says what may come next in f, which may be nil.
func (f *frame) expects() string {
	if f == nil {
		return "an instruction"
	}
	switch f.kind {
	case framePlainBlock:
		return "an instruction or `end`"
	case framePlainIf:
		return "an instruction, `else` or `end`"
	case frameFoldedOp:
		return "a folded instruction or `)`"
	case frameFoldedIf:
		return "a folded instruction or `(then …)`"
	case frameAfterThen:
		return "`(else …)` or `)`"
	case frameAfterElse:
		return "`)`"
	}
	return "an instruction or `)`"
}

// closeFrame is for the `)` that ends what the innermost frame f stands for.
func (p *parser) closeFrame(f *frame) {
	if p.funcHint.pendingHint != 0 {
		p.badHintTarget()
		return
	}
	switch f.kind {
	case framePlainBlock, framePlainIf, frameFoldedIf:
		p.unexpected(f.expects())
		return
	case frameFoldedOp:
		p.flush(f)
	case frameFoldedBlock, frameAfterThen, frameAfterElse:
		p.place(p.Pos)
		p.code = append(p.code, byte(wasm.OpEnd))
		p.popLabel()
	case frameThen:
		f.kind = frameAfterThen
		p.Next()
		return
	case frameElse:
		f.kind = frameAfterElse
		p.Next()
		return
	}
	p.frames = p.frames[:len(p.frames)-1]
	p.Next()
}

// flush moves the waiting encoding of f, the innermost one, to the code.
func (p *parser) flush(f *frame) {
	if f.hint != 0 {
		p.placeHint(f.hint)
	}
	p.place(f.pos)
	p.code = append(p.code, p.pending[f.pending:]...)
	p.pending = p.pending[:f.pending]
}

// operator looks up the operator that is the current token.
func (p *parser) operator() (wasm.Opcode, bool) {
	op, ok := wasm.LookupOp(string(p.Text()))
	if ok && op != wasm.OpEnd && op != wasm.OpElse {
		return op, true
	}
	switch text := string(p.Text()); text {
	case "try", "rethrow", "delegate":
		p.Fail("unknown operator %s: exceptions with try and catch are not supported, use try_table", text)
		return 0, false
	case "cont.new", "cont.bind", "suspend", "resume", "resume_throw", "resume_throw_ref", "switch":
		p.Fail("unknown operator %s: stack switching is not supported", text)
		return 0, false
	}
	p.unexpected(p.top().expects())
	return 0, false
}

// plain reads a plain instruction.
func (p *parser) plain() {
	pos := p.Pos
	switch string(p.Text()) {
	case "end":
		f := p.top()
		if f == nil || f.kind != framePlainBlock && f.kind != framePlainIf {
			p.Fail("unexpected token end, expected %s", f.expects())
			return
		}
		p.Next()
		p.matchLabel(f)
		p.place(pos)
		p.code = append(p.code, byte(wasm.OpEnd))
		p.popLabel()
		p.frames = p.frames[:len(p.frames)-1]
		return
	case "else":
		f := p.top()
		if f == nil || f.kind != framePlainIf {
			p.Fail("unexpected token else, expected %s", f.expects())
			return
		}
		p.Next()
		p.matchLabel(f)
		p.place(pos)
		p.code = append(p.code, byte(wasm.OpElse))
		f.kind = framePlainBlock
		return
	}
	op, ok := p.operator()
	if !ok {
		return
	}
	p.checkHintTarget(op)
	p.Next()
	if h := p.takeHint(); h != 0 {
		p.placeHint(h)
	}
	p.place(pos)
	switch op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpTryTable, wasm.OpIf:
		kind := framePlainBlock
		if op == wasm.OpIf {
			kind = framePlainIf
		}
		id := p.TakeID()
		p.code = p.immediates(wasm.AppendOpcode(p.code, op), op)
		p.frames = append(p.frames, frame{kind: kind, pos: pos, label: id})
		p.openLabel(id)
	default:
		p.code = p.instr(p.code, op)
	}
}

// matchLabel reads the identifier that `end` and `else` may repeat.
func (p *parser) matchLabel(f *frame) {
	pos := p.Pos
	if id := p.TakeID(); id != "" && id != f.label {
		p.FailAt(pos, "mismatching label $%s", id)
	}
}

// folded reads the beginning of a folded instruction, or of a part of one.
func (p *parser) folded() {
	f := p.top()
	if f != nil {
		switch {
		case f.kind == frameFoldedIf && string(p.Head()) == "then":
			if p.funcHint.pendingHint != 0 {
				p.badHintTarget()
				return
			}
			p.Pos += 2
			p.flush(f)
			p.openLabel(f.label)
			f.kind = frameThen
			return
		case f.kind == frameAfterThen && string(p.Head()) == "else":
			p.place(p.Pos + 1)
			p.Pos += 2
			p.code = append(p.code, byte(wasm.OpElse))
			f.kind = frameElse
			return
		case f.kind == frameAfterThen || f.kind == frameAfterElse:
			p.unexpected(f.expects())
			return
		}
	}
	p.Next()
	pos := p.Pos
	if p.Kind() != wattext.Keyword {
		p.unexpected("an operator")
		return
	}
	op, ok := p.operator()
	if !ok {
		return
	}
	p.checkHintTarget(op)
	p.Next()
	hint := p.takeHint()
	switch op {
	case wasm.OpBlock, wasm.OpLoop, wasm.OpTryTable:
		id := p.TakeID()
		p.place(pos)
		p.code = p.immediates(wasm.AppendOpcode(p.code, op), op)
		p.frames = append(p.frames, frame{kind: frameFoldedBlock, pos: pos, label: id})
		p.openLabel(id)
	case wasm.OpIf:
		id := p.TakeID()
		n := uint32(len(p.pending))
		p.pending = p.immediates(wasm.AppendOpcode(p.pending, op), op)
		p.frames = append(p.frames, frame{kind: frameFoldedIf, pos: pos, pending: n, label: id, hint: hint})
	default:
		n := uint32(len(p.pending))
		p.pending = p.instr(p.pending, op)
		p.frames = append(p.frames, frame{kind: frameFoldedOp, pos: pos, pending: n, hint: hint})
	}
}

// instr appends the encoding of op, whose immediates are the next tokens.
func (p *parser) instr(b []byte, op wasm.Opcode) []byte {
	switch op {
	case wasm.OpSelect:
		if string(p.Head()) != "result" {
			break
		}
		ts := p.typeUse.results[:0]
		for p.TakeHead("result") {
			ts = p.typeList(ts)
		}
		p.typeUse.results = ts
		b = wasm.AppendU32(wasm.AppendOpcode(b, wasm.OpSelectTyped), uint32(len(ts)))
		for _, t := range ts {
			b = wasm.AppendValType(b, t)
		}
		return b
	case wasm.OpRefTest, wasm.OpRefCast:
		t := p.refType()
		if t.Nullable() {
			if op == wasm.OpRefTest {
				op = wasm.OpRefTestNull
			} else {
				op = wasm.OpRefCastNull
			}
		}
		return wasm.AppendHeapType(wasm.AppendOpcode(b, op), t.Heap())
	}
	return p.immediates(wasm.AppendOpcode(b, op), op)
}

// blockType appends a block type.
func (p *parser) blockType(b []byte) []byte {
	const empty = 0x40
	p.scanTypeUse(false)
	u := &p.typeUse
	if !u.explicit && len(u.params) == 0 && len(u.results) < 2 {
		if len(u.results) == 0 {
			return append(b, empty)
		}
		return wasm.AppendValType(b, u.results[0])
	}
	return wasm.AppendS64(b, int64(p.typeOfUse()))
}

// catches appends the catch clauses of a try_table.
func (p *parser) catches(b []byte) []byte {
	n := uint32(0)
	clauses := p.scratch[:0]
	for p.Kind() == wattext.LParen {
		kind := slices.Index([]string{"catch", "catch_ref", "catch_all", "catch_all_ref"}, string(p.Head()))
		if kind < 0 {
			break
		}
		p.Pos += 2
		n++
		clauses = append(clauses, byte(kind))
		if kind < 2 {
			clauses = wasm.AppendU32(clauses, p.index(&p.tags))
		}
		clauses = wasm.AppendU32(clauses, p.label())
		p.Close()
	}
	p.scratch = clauses
	return append(wasm.AppendU32(b, n), clauses...)
}
