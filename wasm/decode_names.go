package wasm

// Subsections of the name section.
const (
	namesModule = iota
	namesFuncs
	namesLocals
	namesLabels
	namesTypes
	namesTables
	namesMemories
	namesGlobals
	namesElems
	namesDatas
	namesFields
	namesTags
)

// DecodeNames reads the content of a name section, as far as it can be
// understood: names have no meaning, so nothing in them is an error.
func DecodeNames(data []byte) *Names {
	n := &Names{}
	all := string(data) // names are cut from this one string
	r := reader{b: data}
	for r.err == nil && r.left() > 0 {
		id := r.byte()
		size := r.u32()
		if r.err != nil || int64(size) > int64(r.left()) {
			break
		}
		end := r.pos + int(size)
		sub := nameReader{reader{b: data[:end], pos: r.pos}, all}
		switch id {
		case namesModule:
			n.Module = sub.string()
		case namesFuncs:
			n.Funcs = sub.names()
		case namesLocals:
			n.Locals = sub.indirect()
		case namesLabels:
			n.Labels = sub.indirect()
		case namesTypes:
			n.Types = sub.names()
		case namesTables:
			n.Tables = sub.names()
		case namesMemories:
			n.Memories = sub.names()
		case namesGlobals:
			n.Globals = sub.names()
		case namesElems:
			n.Elems = sub.names()
		case namesDatas:
			n.Datas = sub.names()
		case namesFields:
			n.Fields = sub.indirect()
		case namesTags:
			n.Tags = sub.names()
		}
		r.pos = end
	}
	return n
}

type nameReader struct {
	reader
	all string
}

func (r *nameReader) string() string {
	n := r.u32()
	if r.err != nil || int64(n) > int64(r.left()) {
		r.fail(Malformed, r.pos, msgLength)
		return ""
	}
	r.pos += int(n)
	return r.all[r.pos-int(n) : r.pos]
}

// names reads a name map up to the first entry that is out of order.
func (r *nameReader) names() NameMap {
	n := r.u32()
	if r.err != nil {
		return nil
	}
	m := make(NameMap, 0, min(int64(n), int64(r.left())/2))
	for ; n > 0; n-- {
		e := Name{Index: r.u32(), Name: r.string()}
		if r.err != nil || len(m) > 0 && m[len(m)-1].Index >= e.Index {
			break
		}
		m = append(m, e)
	}
	return m
}

func (r *nameReader) indirect() []IndirectName {
	var m []IndirectName
	for n := r.u32(); n > 0; n-- {
		e := IndirectName{Index: r.u32(), Names: r.names()}
		if r.err != nil || len(m) > 0 && m[len(m)-1].Index >= e.Index {
			break
		}
		m = append(m, e)
	}
	return m
}
