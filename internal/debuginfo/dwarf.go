package debuginfo

import (
	"debug/dwarf"
	"sort"
	"strings"
)

// dwarfInfo is DWARF, whose addresses in modules are offsets in the code section.
type dwarfInfo struct {
	data  *dwarf.Data
	spans []unitSpan // by address
	units []*unit
}

// unitSpan says which unit has the addresses from low to high.
type unitSpan struct {
	low, high uint64
	unit      int
}

// unit is a compilation unit. Lines and functions are read when they are needed.
type unit struct {
	entry *dwarf.Entry
	read  bool
	lines []line
	files []*dwarf.LineFile
	funcs []function
}

// line says that what begins at an address comes from a line.
type line struct {
	address uint64
	file    int32 // in files, or -1
	line    int32
	column  int32
	end     bool // of a sequence: nothing comes from anywhere here
}

// function is a function, or an inlined one, in the order of the debug information:
// outer ones before inner ones.
type function struct {
	low, high uint64
	depth     int // 0 of a function, more of what has been inlined in it
	name      string
	file      int // where it has been inlined
	line      int
	column    int
}

// Limits on what is believed of debug information.
const (
	maxSpans    = 1 << 22
	maxLines    = 1 << 24 // of a unit
	maxFuncs    = 1 << 22 // of a unit
	maxInlining = 256     // functions inlined in each other
	maxBack     = 64      // entries of line 0 in a row
)

// openDwarf is a module's DWARF, or nil.
func openDwarf(sections func(name string) []byte) (d *dwarfInfo) {
	defer func() {
		if recover() != nil { // the reader has met with something it did not expect
			d = nil
		}
	}()
	s := func(name string) []byte { return sections(".debug_" + name) }
	if len(s("info")) == 0 {
		return nil
	}
	data, err := dwarf.New(s("abbrev"), nil, nil, s("info"), s("line"), nil, s("ranges"), s("str"))
	if err != nil {
		return nil
	}
	for _, name := range []string{"addr", "line_str", "str_offsets", "rnglists"} {
		if b := s(name); len(b) > 0 {
			if err := data.AddSection(".debug_"+name, b); err != nil {
				return nil
			}
		}
	}
	d = &dwarfInfo{data: data}
	r := data.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil || len(d.spans) > maxSpans {
			break // what has been read is right
		}
		if e.Tag == dwarf.TagCompileUnit {
			ranges, err := data.Ranges(e)
			if err == nil {
				for _, x := range ranges {
					if live(x[0], x[1]) {
						d.spans = append(d.spans, unitSpan{x[0], x[1], len(d.units)})
					}
				}
			}
			d.units = append(d.units, &unit{entry: e})
		}
		r.SkipChildren()
	}
	sort.Slice(d.spans, func(i, k int) bool { return d.spans[i].low < d.spans[k].low })
	return d
}

// live reports whether an address range is one of code that is in the module: linkers
// leave the ranges of what they have dropped at 0 or at the end of the address space.
func live(low, high uint64) bool { return low != 0 && low < high && high < 1<<32-2 }

// places are those of an address.
func (d *dwarfInfo) places(address uint64) (list []Place) {
	defer func() {
		if recover() != nil {
			list = nil
		}
	}()
	// Spans of different units do not overlap but by mistake: the last one that begins before is it.
	i := sort.Search(len(d.spans), func(i int) bool { return d.spans[i].low > address })
	if i == 0 || d.spans[i-1].high <= address {
		return nil
	}
	u := d.units[d.spans[i-1].unit]
	if !u.read {
		u.read = true
		d.readLines(u)
		d.readFuncs(u)
	}
	k := sort.Search(len(u.lines), func(k int) bool { return u.lines[k].address > address })
	if k == 0 || u.lines[k-1].end {
		return nil
	}
	// What the compiler has added is from line 0; the line before it tells more.
	for n := 0; n < maxBack && u.lines[k-1].line == 0 && k > 1 && !u.lines[k-2].end; n++ {
		k--
	}
	at := u.lines[k-1]
	place := Place{Line: int(at.line), Column: int(at.column), File: u.file(int(at.file))}
	// From the outside in: what is inlined says where it has been inlined.
	for i := range u.funcs {
		f := &u.funcs[i]
		if f.depth == 0 || address < f.low || address >= f.high || len(list) == maxInlining {
			continue
		}
		list = append(list, Place{File: u.file(f.file), Line: f.line, Column: f.column, Func: f.name})
	}
	return nest(list, place)
}

// nest makes places of calls that have been inlined, from the outside in, each with the name of what
// is called, and the innermost place: innermost first, each with the name of the function that it is in.
func nest(calls []Place, innermost Place) []Place {
	list := make([]Place, 0, len(calls)+1)
	at := innermost
	for i := len(calls) - 1; i >= 0; i-- {
		call := calls[i]
		at.Func = call.Func
		list = append(list, at)
		call.Func = ""
		at = call
	}
	return append(list, at)
}

func (u *unit) file(i int) string {
	if i < 0 || i >= len(u.files) || u.files[i] == nil {
		return ""
	}
	return u.files[i].Name
}

// readLines reads the unit's lines.
func (d *dwarfInfo) readLines(u *unit) {
	r, err := d.data.LineReader(u.entry)
	if err != nil || r == nil {
		return
	}
	u.files = r.Files()
	number := make(map[*dwarf.LineFile]int32, len(u.files))
	for i, f := range u.files {
		if f != nil {
			number[f] = int32(i)
		}
	}
	var e dwarf.LineEntry
	dead, begun := false, false
	for r.Next(&e) == nil && len(u.lines) < maxLines {
		if !begun {
			dead, begun = !live(e.Address, e.Address+1), true
		}
		if !dead {
			file, ok := number[e.File]
			if !ok {
				file = -1
			}
			u.lines = append(u.lines, line{e.Address, file, int32(e.Line), int32(e.Column), e.EndSequence})
		}
		if e.EndSequence {
			begun = false
		}
	}
	u.files = r.Files() // the program may have added some
	// Sequences need not be in order. Of what is at one address, the last counts, but for the
	// end of the sequence before.
	sort.SliceStable(u.lines, func(i, k int) bool {
		a, b := &u.lines[i], &u.lines[k]
		return a.address < b.address || a.address == b.address && a.end && !b.end
	})
}

// readFuncs reads the unit's functions, and what has been inlined in them.
func (d *dwarfInfo) readFuncs(u *unit) {
	r := d.data.Reader()
	r.Seek(u.entry.Offset)
	if e, err := r.Next(); err != nil || e == nil || !e.Children {
		return
	}
	depth := 0     // of entries
	var open []int // depths of entries that are functions or inlined ones
	for depth >= 0 && len(u.funcs) < maxFuncs {
		e, err := r.Next()
		if err != nil || e == nil {
			return
		}
		if e.Tag == 0 {
			depth--
			if n := len(open); n > 0 && open[n-1] == depth {
				open = open[:n-1]
			}
			continue
		}
		switch e.Tag {
		case dwarf.TagSubprogram, dwarf.TagInlinedSubroutine:
			inlined := e.Tag == dwarf.TagInlinedSubroutine
			ranges, err := d.data.Ranges(e)
			if err == nil {
				f := function{depth: 0}
				if inlined {
					f.depth = len(open)
					f.name = d.name(e, maxInlining)
					f.file, f.line, f.column = integer(e, dwarf.AttrCallFile), integer(e, dwarf.AttrCallLine), integer(e, dwarf.AttrCallColumn)
				}
				for _, x := range ranges {
					if inlined && live(x[0], x[1]) {
						f.low, f.high = x[0], x[1]
						u.funcs = append(u.funcs, f)
					}
				}
			}
			if e.Children {
				open = append(open, depth)
			}
		case dwarf.TagLexDwarfBlock, dwarf.TagNamespace, dwarf.TagStructType, dwarf.TagClassType, dwarf.TagUnionType, dwarf.TagModule:
			// Functions can lie in them.
		default:
			if e.Children {
				r.SkipChildren()
			}
			continue
		}
		if e.Children {
			depth++
		}
	}
}

// name is a function's name, for the linker if there is one, which may be with what it is an instance of.
func (d *dwarfInfo) name(e *dwarf.Entry, links int) string {
	for range links {
		if s, ok := e.Val(dwarf.AttrLinkageName).(string); ok {
			return s
		}
		origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			origin, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset)
		}
		if !ok {
			s, _ := e.Val(dwarf.AttrName).(string)
			return strings.Clone(s)
		}
		r := d.data.Reader()
		r.Seek(origin)
		next, err := r.Next()
		if err != nil || next == nil {
			return ""
		}
		e = next
	}
	return ""
}

func integer(e *dwarf.Entry, a dwarf.Attr) int {
	v, _ := e.Val(a).(int64)
	return int(max(0, min(v, 1<<31-1)))
}
