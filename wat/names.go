package wat

import (
	"strconv"
	"unicode/utf8"

	"github.com/davit-wasm/davit/wasm"
)

// identifiers are how the entities of one index space are written: those with a
// name of their own by it, the others by their index. A name that another entity
// has already is not lost: it becomes a @name annotation.
type identifiers struct {
	names []entityName // by index; may be shorter than the space
}

type entityName struct {
	name   string
	unique bool // no entity before has it
}

// newIdentifiers takes the names of the first n entities.
func newIdentifiers(names wasm.NameMap, n int) identifiers {
	var ids identifiers
	seen := make(map[string]bool, len(names))
	for _, x := range names {
		if uint64(x.Index) >= uint64(n) || x.Name == "" || !utf8.ValidString(x.Name) {
			continue
		}
		for len(ids.names) <= int(x.Index) {
			ids.names = append(ids.names, entityName{})
		}
		ids.names[x.Index] = entityName{x.Name, !seen[x.Name]}
		seen[x.Name] = true
	}
	return ids
}

// appendRef appends a reference to entity i.
func (ids *identifiers) appendRef(b []byte, i uint32) []byte {
	if int(i) < len(ids.names) && ids.names[i].unique {
		return appendID(b, ids.names[i].name)
	}
	return strconv.AppendUint(b, uint64(i), 10)
}

// appendDef appends what stands after the keyword where entity i is defined,
// each part with a space before it: identifier or annotation, if it has a name.
func (ids *identifiers) appendDef(b []byte, i uint32) []byte {
	if int(i) >= len(ids.names) || ids.names[i].name == "" {
		return b
	}
	x := ids.names[i]
	if x.unique {
		return appendID(append(b, ' '), x.name)
	}
	return append(appendString(append(b, " (@name "...), x.name), ')')
}

// appendID appends name as an identifier.
func appendID(b []byte, name string) []byte {
	b = append(b, '$')
	for i := range len(name) {
		c := name[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == '(' || c == ')' || c == ',' || c == ';' ||
			c == '[' || c == ']' || c == '{' || c == '}' {
			return appendString(b, name)
		}
	}
	return append(b, name...)
}

// appendString appends a string in quotes: characters that can be seen as they
// are, everything else as escapes.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ' && c < 0x7f:
			b = append(b, c)
		case c < utf8.RuneSelf:
			b = append(b, '\\', hex[c>>4], hex[c&15])
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || !strconv.IsPrint(r) {
				for j := range n {
					b = append(b, '\\', hex[s[i+j]>>4], hex[s[i+j]&15])
				}
			} else {
				b = append(b, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
	}
	return append(b, '"')
}

// indirectNames finds the names of what belongs to entity i.
func indirectNames(all []wasm.IndirectName, i uint32) wasm.NameMap {
	lo, hi := 0, len(all)
	for lo < hi {
		if mid := (lo + hi) / 2; all[mid].Index < i {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(all) && all[lo].Index == i {
		return all[lo].Names
	}
	return nil
}
