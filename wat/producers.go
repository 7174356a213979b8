package wat

import (
	"bytes"
	"unicode/utf8"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
)

// A @producers annotation is the producers section of a module, one list for
// each tool: (@producers (language "Go" "1.26") (processed-by "tool" "1")).
// Several annotations make one section.

// producersFields are the kinds of tools that the annotation knows.
var producersFields = map[string]bool{"language": true, "processed-by": true, "sdk": true}

// producers takes the annotations in front of the current token.
func (p *parser) producersAnnotations() {
	for a := p.annotation(annotationProducers); a != nil; a = p.annotation(annotationProducers) {
		p.producersAnnotation(a)
	}
}

func (p *parser) producersAnnotation(a *wattext.Annotation) {
	text := func(t wattext.Token) string { return string(p.Src.Text[t.Off:t.End]) }
	if !p.hasProducers { // the section has its place among others where it is first mentioned
		p.hasProducers = true
		p.producersSection = len(p.m.Customs)
		p.m.Customs = append(p.m.Customs, wasm.Custom{Name: wasm.ProducersName, After: wasm.SectionData})
	}
	for i := 0; i < len(a.Content); {
		list := a.Content[i:]
		if len(list) < 5 || list[0].Kind != wattext.LParen || !producersFields[text(list[1])] ||
			list[2].Kind != wattext.String || list[3].Kind != wattext.String || list[4].Kind != wattext.RParen {
			p.failAnnotation(a, "unexpected token in @producers annotation: want (language \"NAME\" \"VERSION\"), or processed-by or sdk")
			return
		}
		var words [2]string
		for k := range words {
			s, err := p.Src.StringText(list[2+k].Off, list[2+k].End)
			if err != nil || !utf8.Valid(s) {
				p.failAnnotation(a, "@producers annotation: malformed UTF-8 encoding")
				return
			}
			words[k] = string(s)
		}
		p.addProducer(text(list[1]), wasm.Producer{Name: words[0], Version: words[1]})
		i += 5
	}
}

// addProducer adds a tool to the section.
func (p *parser) addProducer(field string, tool wasm.Producer) {
	for i := range p.producers { // there are three fields
		if f := &p.producers[i]; f.Name == field {
			f.Tools = append(f.Tools, tool)
			return
		}
	}
	p.producers = append(p.producers, wasm.ProducersField{Name: field, Tools: []wasm.Producer{tool}})
}

// finishProducers writes the section.
func (p *parser) finishProducers() {
	if p.hasProducers {
		p.m.Customs[p.producersSection].Data = wasm.AppendProducers(nil, p.producers)
	}
}

// producers writes a producers section as an annotation. It reports whether an
// annotation can say all of it.
func (p *printer) producers(c *wasm.Custom) bool {
	if c.Name != wasm.ProducersName || p.following(c.After) != wasm.SectionCustom || p.hasProducers {
		return false
	}
	fields, err := wasm.DecodeProducers(c.Data)
	if err != nil || !bytes.Equal(wasm.AppendProducers(nil, fields), c.Data) {
		return false
	}
	seen := make(map[string]bool)
	for _, f := range fields {
		if !producersFields[f.Name] || seen[f.Name] || len(f.Tools) == 0 {
			return false
		}
		seen[f.Name] = true
		for _, t := range f.Tools {
			if !utf8.ValidString(t.Name) || !utf8.ValidString(t.Version) {
				return false
			}
		}
	}
	p.hasProducers = true
	p.str("\n  (@producers")
	for _, f := range fields {
		for _, t := range f.Tools {
			p.str("\n    (")
			p.str(f.Name)
			p.b = appendString(append(p.b, ' '), t.Name)
			p.b = appendString(append(p.b, ' '), t.Version)
			p.b = append(p.b, ')')
		}
	}
	p.b = append(p.b, ')')
	return true
}
