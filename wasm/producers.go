package wasm

import "fmt"

// ProducersName is the name of the custom section that says what tools made a
// module, as the tool conventions of WebAssembly have it.
const ProducersName = "producers"

// ProducersField is a field of the producers section: what kind of tools, such
// as language, processed-by or sdk, and which.
type ProducersField struct {
	Name  string
	Tools []Producer
}

// Producer is a tool and its version.
type Producer struct {
	Name, Version string
}

// DecodeProducers reads the content of a producers section.
func DecodeProducers(data []byte) ([]ProducersField, error) {
	r := nameReader{reader{b: data}, string(data)}
	n := r.u32()
	fields := make([]ProducersField, 0, min(int64(n), int64(r.left())/2))
	for ; n > 0 && r.err == nil; n-- {
		f := ProducersField{Name: r.string()}
		for k := r.u32(); k > 0 && r.err == nil; k-- {
			f.Tools = append(f.Tools, Producer{r.string(), r.string()})
		}
		fields = append(fields, f)
	}
	switch {
	case r.err != nil:
		return nil, fmt.Errorf("producers section: %w", r.err)
	case r.left() > 0:
		return nil, fmt.Errorf("producers section: %w", errorf(Malformed, r.offset(), msgSizeDiff))
	}
	return fields, nil
}

// AppendProducers appends the content of a producers section.
func AppendProducers(b []byte, fields []ProducersField) []byte {
	b = AppendU32(b, uint32(len(fields)))
	for _, f := range fields {
		b = AppendU32(AppendName(b, f.Name), uint32(len(f.Tools)))
		for _, t := range f.Tools {
			b = AppendName(AppendName(b, t.Name), t.Version)
		}
	}
	return b
}
