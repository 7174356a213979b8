package wasm

// SectionRange is where a section lies in the bytes of a module.
type SectionRange struct {
	ID     Section
	Name   string // of a custom section
	Offset int    // of the content, with the name of a custom section
	Size   int    // of the content
}

// String names s as the specification does.
func (s Section) String() string {
	names := [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
		"element", "code", "data", "data count", "tag"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown"
}

// Sections lists the sections of a module, in order. It looks at nothing but
// their frames. The error is a [*Error].
func Sections(module []byte) ([]SectionRange, error) {
	r := reader{b: module}
	if r.left() < 8 || string(module[:8]) != "\x00asm\x01\x00\x00\x00" {
		return nil, errorf(Malformed, 0, "magic header not detected")
	}
	r.pos = 8
	var list []SectionRange
	for r.left() > 0 {
		s := SectionRange{ID: Section(r.byte())}
		size := r.u32()
		if r.err == nil && int64(size) > int64(r.left()) {
			r.fail(Malformed, r.offset(), msgLength)
		}
		if r.err != nil {
			return list, r.err
		}
		s.Offset, s.Size = r.pos, int(size)
		if s.ID == SectionCustom {
			name := reader{b: module[:s.Offset+s.Size], pos: s.Offset}
			n := name.u32()
			s.Name = string(name.bytes(int(min(int64(n), 1<<31-1))))
			if name.err != nil {
				return list, name.err
			}
		}
		r.pos += s.Size
		list = append(list, s)
	}
	return list, nil
}

// UsedFeatures are the features that a valid module cannot do without: each of
// them, if it alone were not enabled, would get the module refused. The error is
// that of a module that is not valid.
func UsedFeatures(module []byte) (Features, error) {
	m, err := Decode(module, &Config{Features: FeaturesAll})
	if err == nil {
		err = Validate(m, &Config{Features: FeaturesAll})
	}
	if err != nil {
		return 0, err
	}
	// What instructions need is quickly told; what they do not, by trial.
	used := instrFeatures(m)
	for f := Features(1); f < 1<<numFeatures; f <<= 1 {
		if used.Has(f) {
			continue
		}
		c := &Config{Features: FeaturesAll &^ f}
		m, err := Decode(module, c)
		if err == nil {
			err = Validate(m, c)
		}
		if err != nil {
			used |= f
		}
	}
	return used, nil
}

// instrFeatures are the features that instructions in functions belong to.
func instrFeatures(m *Module) Features {
	var used Features
	var r InstrReader
	var in Instr
	c := &Config{Features: FeaturesAll}
	for i := range m.Code {
		for r.Reset(m.Code[i].Body, 0, c); ; {
			more, err := r.Next(&in)
			if err != nil || !more {
				break
			}
			used |= in.Op.Info().Features
		}
	}
	return used
}
