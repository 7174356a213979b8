package debuginfo

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"sort"
	"strings"
)

// sourceMap is a source map of version 3 (ECMA-426). For a module, all its mappings are in one line, whose
// columns are offsets in the bytes of the module.
type sourceMap struct {
	sources  []string
	mappings []mapping // by offset
}

type mapping struct {
	offset       uint64
	source       int32 // in sources, or -1: from nowhere
	line, column int32 // from 0
}

// maxMappings bounds what is believed of a source map.
const maxMappings = 1 << 24

// openMap is the source map that the module refers to, or nil.
func (i *Info) openMap() *sourceMap {
	section := i.sections("sourceMappingURL")
	address, ok := name(section)
	if !ok || address == "" {
		return nil
	}
	var data []byte
	if rest, ok := strings.CutPrefix(address, "data:"); ok {
		kind, content, ok := strings.Cut(rest, ",")
		var err error
		if strings.HasSuffix(kind, ";base64") {
			data, err = base64.StdEncoding.DecodeString(content)
		} else {
			content, err = url.PathUnescape(content)
			data = []byte(content)
		}
		if !ok || err != nil {
			return nil
		}
	} else if i.loadMap != nil {
		var err error
		if data, err = i.loadMap(address); err != nil {
			return nil
		}
	}
	return parseMap(data)
}

// name is the name that a section holds: its length and its bytes.
func name(section []byte) (string, bool) {
	n, shift := uint64(0), 0
	for k, b := range section {
		n |= uint64(b&0x7f) << shift
		if shift += 7; b < 0x80 {
			rest := section[k+1:]
			if n > uint64(len(rest)) {
				return "", false
			}
			return string(rest[:n]), true
		}
		if shift > 28 {
			break
		}
	}
	return "", false
}

// parseMap reads a source map, or is nil if it is none.
func parseMap(data []byte) *sourceMap {
	var raw struct {
		Version    int
		SourceRoot string
		Sources    []*string
		Mappings   string
	}
	if json.Unmarshal(data, &raw) != nil || raw.Version != 3 {
		return nil
	}
	m := &sourceMap{}
	for _, s := range raw.Sources {
		source := ""
		if s != nil {
			source = *s
		}
		if raw.SourceRoot != "" && source != "" {
			source = strings.TrimSuffix(raw.SourceRoot, "/") + "/" + source
		}
		m.sources = append(m.sources, source)
	}
	// Fields are differences from those before; the line of the generated file is always the first.
	line, _, _ := strings.Cut(raw.Mappings, ";")
	var now [5]int64
	for segment := range strings.SplitSeq(line, ",") {
		n := 0
		for segment != "" && n < len(now) {
			v, rest, ok := vlq(segment)
			if !ok {
				return nil
			}
			now[n] += v
			segment = rest
			n++
		}
		if n == 0 {
			continue
		}
		x := mapping{source: -1}
		if now[0] < 0 || len(m.mappings) == maxMappings {
			return nil
		}
		x.offset = uint64(now[0])
		if n >= 4 {
			for _, v := range now[1:4] {
				if v < 0 || v >= 1<<31-1 {
					return nil
				}
			}
			x.source, x.line, x.column = int32(now[1]), int32(now[2]), int32(now[3])
		}
		m.mappings = append(m.mappings, x)
	}
	sort.SliceStable(m.mappings, func(i, k int) bool { return m.mappings[i].offset < m.mappings[k].offset })
	return m
}

// vlq reads a number from base 64 digits of five bits, the lowest first, and a sign.
func vlq(s string) (v int64, rest string, ok bool) {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	shift := 0
	for k := range len(s) {
		d := strings.IndexByte(digits, s[k])
		if d < 0 || shift > 55 {
			return 0, "", false
		}
		v |= int64(d&31) << shift
		shift += 5
		if d < 32 {
			if v&1 != 0 {
				return -(v >> 1), s[k+1:], true
			}
			return v >> 1, s[k+1:], true
		}
	}
	return 0, "", false
}

// places is the place of what is at an offset in the bytes of the module.
func (m *sourceMap) places(offset uint64) []Place {
	k := sort.Search(len(m.mappings), func(k int) bool { return m.mappings[k].offset > offset })
	if k == 0 {
		return nil
	}
	x := m.mappings[k-1]
	if x.source < 0 || int(x.source) >= len(m.sources) {
		return nil
	}
	return []Place{{File: m.sources[x.source], Line: int(x.line) + 1, Column: int(x.column) + 1}}
}
