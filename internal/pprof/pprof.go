// Package pprof writes profiles in the format of the pprof tool
// (https://github.com/google/pprof/blob/main/proto/profile.proto): a message of
// Protocol Buffers, compressed by gzip.
package pprof

import (
	"compress/gzip"
	"io"
	"time"
)

// Type is what a value means: such as cpu, in nanoseconds.
type Type struct{ Type, Unit string }

// Profile is a profile under construction. Its Mappings, functions and locations
// have numbers from 1, as methods give them. The zero Profile is empty.
type Profile struct {
	Types    []Type // of each sample's values
	Default  string // the type to show
	Period   int64  // values of PeriodType between two samples
	PeriodOf Type
	Start    time.Time
	Duration time.Duration

	out       message
	strings   map[string]int64
	table     []string
	functions map[Function]uint64
	mappings  uint64
	locations uint64
}

// Function is a function in source code. Equal ones are the same.
type Function struct {
	Name   string // as readers want it
	System string // as the object file has it
	File   string
}

// Line is a place in a function's source code.
type Line struct {
	Function     Function
	Line, Column int64 // 0 if not known
}

// Label is a label of a sample.
type Label struct{ Key, Value string }

// Field numbers of the messages, which are named as there.
const (
	profileSampleType    = 1
	profileSample        = 2
	profileMapping       = 3
	profileLocation      = 4
	profileFunction      = 5
	profileStringTable   = 6
	profileTimeNanos     = 9
	profileDurationNanos = 10
	profilePeriodType    = 11
	profilePeriod        = 12
	profileDefaultType   = 14

	valueTypeType = 1
	valueTypeUnit = 2

	sampleLocation = 1
	sampleValue    = 2
	sampleLabel    = 3

	labelKey = 1
	labelStr = 2

	mappingID           = 1
	mappingStart        = 2
	mappingLimit        = 3
	mappingFile         = 5
	mappingHasFunctions = 7 // and 8 to 10: has file names, line numbers, inlined frames

	locationID      = 1
	locationMapping = 2
	locationAddress = 3
	locationLine    = 4

	lineFunction = 1
	lineLine     = 2
	lineColumn   = 3

	functionID     = 1
	functionName   = 2
	functionSystem = 3
	functionFile   = 4
)

// Mapping adds an object file, with the addresses from start up to limit. Nothing
// is left for others to find out about its functions.
func (p *Profile) Mapping(file string, start, limit uint64) uint64 {
	p.mappings++
	var m message
	m.number(mappingID, int64(p.mappings))
	m.number(mappingStart, int64(start))
	m.number(mappingLimit, int64(limit))
	m.number(mappingFile, p.string(file))
	for i := range 4 {
		m.number(mappingHasFunctions+i, 1)
	}
	p.out.bytes(profileMapping, m)
	return p.mappings
}

// Location adds an instruction, in a mapping or in none if that is 0. Lines are its
// places in source code: each but the last is in a function that has been inlined
// into that of the next.
func (p *Profile) Location(mapping, address uint64, lines []Line) uint64 {
	p.locations++
	var m message
	m.number(locationID, int64(p.locations))
	m.number(locationMapping, int64(mapping))
	m.number(locationAddress, int64(address))
	for i := range lines {
		var l message
		l.number(lineFunction, int64(p.function(lines[i].Function)))
		l.number(lineLine, lines[i].Line)
		l.number(lineColumn, lines[i].Column)
		m.bytes(locationLine, l)
	}
	p.out.bytes(profileLocation, m)
	return p.locations
}

// Sample adds a sample: its locations, innermost first, as many values as there are
// types, and labels.
func (p *Profile) Sample(locations []uint64, values []int64, labels []Label) {
	var m, packed message
	for _, l := range locations {
		packed.varint(l)
	}
	m.bytes(sampleLocation, packed)
	packed = packed[:0]
	for _, v := range values {
		packed.varint(uint64(v))
	}
	m.bytes(sampleValue, packed)
	for _, l := range labels {
		var x message
		x.number(labelKey, p.string(l.Key))
		x.number(labelStr, p.string(l.Value))
		m.bytes(sampleLabel, x)
	}
	p.out.bytes(profileSample, m)
}

func (p *Profile) function(f Function) uint64 {
	id, ok := p.functions[f]
	if ok {
		return id
	}
	if p.functions == nil {
		p.functions = make(map[Function]uint64)
	}
	id = uint64(len(p.functions) + 1)
	p.functions[f] = id
	var m message
	m.number(functionID, int64(id))
	m.number(functionName, p.string(f.Name))
	m.number(functionSystem, p.string(f.System))
	m.number(functionFile, p.string(f.File))
	p.out.bytes(profileFunction, m)
	return id
}

// string is the number of a string. That of the empty one must be 0.
func (p *Profile) string(s string) int64 {
	if p.strings == nil {
		p.strings, p.table = map[string]int64{"": 0}, []string{""}
	}
	i, ok := p.strings[s]
	if !ok {
		i = int64(len(p.table))
		p.strings[s] = i
		p.table = append(p.table, s)
	}
	return i
}

// Write writes the profile, after which it must not be used.
func (p *Profile) Write(w io.Writer) error {
	valueType := func(field int, t Type) {
		var m message
		m.number(valueTypeType, p.string(t.Type))
		m.number(valueTypeUnit, p.string(t.Unit))
		p.out.bytes(field, m)
	}
	for _, t := range p.Types {
		valueType(profileSampleType, t)
	}
	if p.Period != 0 {
		valueType(profilePeriodType, p.PeriodOf)
		p.out.number(profilePeriod, p.Period)
	}
	p.out.number(profileDefaultType, p.string(p.Default))
	if !p.Start.IsZero() {
		p.out.number(profileTimeNanos, p.Start.UnixNano())
	}
	p.out.number(profileDurationNanos, int64(p.Duration))
	p.string("")
	for _, s := range p.table {
		p.out.bytes(profileStringTable, []byte(s))
	}
	z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if _, err := z.Write(p.out); err != nil {
		return err
	}
	return z.Close()
}

// message is a message under construction.
type message []byte

func (m *message) varint(v uint64) {
	for ; v >= 1<<7; v >>= 7 {
		*m = append(*m, byte(v)|1<<7)
	}
	*m = append(*m, byte(v))
}

// number adds a field, unless it has its default value 0.
func (m *message) number(field int, v int64) {
	if v != 0 {
		m.varint(uint64(field) << 3)
		m.varint(uint64(v))
	}
}

// bytes adds a field that is a string, a message, or packed numbers.
func (m *message) bytes(field int, b []byte) {
	m.varint(uint64(field)<<3 | 2)
	m.varint(uint64(len(b)))
	*m = append(*m, b...)
}
