package main

import (
	"bytes"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"
)

// moduleProfile is what a profile knows about a module: how often, or how long,
// instructions ran.
type moduleProfile struct {
	unit    string
	offsets map[int]int64               // by offset in the module
	sorted  []int                       // the keys of offsets, once they are wanted
	code    map[string]map[uint32]int64 // by function, and offset in its machine code
	other   int64                       // elsewhere
}

// readProfile reads a profile: pprof's format, in which an address is an offset
// in the module that the mapping names; or text, of which a line is an offset in
// the module in hexadecimal, or a function's name and an offset in its machine
// code as perf script prints them, and how often.
func readProfile(data []byte, module string) (*moduleProfile, error) {
	p := &moduleProfile{offsets: map[int]int64{}, code: map[string]map[uint32]int64{}}
	if bytes.HasPrefix(data, []byte("\x1f\x8b")) || bytes.IndexByte(data, 0) >= 0 {
		return p, p.readPprof(data, module)
	}
	return p, p.readText(string(data))
}

func (p *moduleProfile) readPprof(data []byte, module string) error {
	parsed, err := profile.ParseData(data)
	if err != nil {
		return err
	}
	value, err := parsed.SampleIndexByName(parsed.DefaultSampleType)
	if err != nil {
		return err
	}
	p.unit = parsed.SampleType[value].Type
	if u := parsed.SampleType[value].Unit; u != "count" {
		p.unit += ", " + u
	}
	found := false
	for _, s := range parsed.Sample {
		n := s.Value[value]
		if len(s.Location) == 0 {
			p.other += n
			continue
		}
		leaf := s.Location[0]
		if leaf.Mapping == nil || !sameModule(leaf.Mapping.File, module) {
			p.other += n
			continue
		}
		found = true
		p.offsets[int(leaf.Address)] += n
	}
	if !found {
		return fmt.Errorf("no sample is in %s: the mappings' files are %s", filepath.Base(module), mappingFiles(parsed))
	}
	return nil
}

// sameModule reports whether names of files say the same module: as text, in
// binary form, or compiled.
func sameModule(a, b string) bool {
	base := func(name string) string {
		name = filepath.Base(name)
		switch ext := filepath.Ext(name); ext {
		case ".wat", ".wasm", ".cwasm":
			return strings.TrimSuffix(name, ext)
		}
		return name
	}
	return base(a) == base(b)
}

func mappingFiles(p *profile.Profile) string {
	var list []string
	for _, m := range p.Mapping {
		list = append(list, strconv.Quote(m.File))
	}
	if list == nil {
		return "none"
	}
	return strings.Join(list, ", ")
}

// Lines of profiles in text: the second are those of perf script -F ip,sym,symoff
// or -F sym,symoff.
var (
	offsetLine = regexp.MustCompile(`^(?:0x)?([0-9a-fA-F]+)(?:\s+([0-9]+))?$`)
	symbolLine = regexp.MustCompile(`^(?:[0-9a-f]{4,16}\s+)?(\S.*)\+0x([0-9a-f]+)(?:\s+\([^()]*\))?(?:\s+([0-9]+))?$`)
	elsewhere  = regexp.MustCompile(`^(?:[0-9a-f]{4,16}\s+)?\[unknown\]`)
)

func (p *moduleProfile) readText(text string) error {
	p.unit = "samples"
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if elsewhere.MatchString(line) {
			p.other++
			continue
		}
		name, offset, count := "", "", ""
		if m := symbolLine.FindStringSubmatch(line); m != nil {
			name, offset, count = m[1], m[2], m[3]
		} else if m := offsetLine.FindStringSubmatch(line); m != nil {
			offset, count = m[1], m[2]
		}
		at, err := strconv.ParseUint(offset, 16, 32)
		if err != nil {
			return fmt.Errorf("line %d: %.60q is neither an offset in hexadecimal nor NAME+0xOFFSET, with a number behind it", number, line)
		}
		n := int64(1)
		if count != "" {
			if n, err = strconv.ParseInt(count, 10, 64); err != nil {
				return fmt.Errorf("line %d: %w", number, err)
			}
		}
		if name == "" {
			p.offsets[int(at)] += n
			continue
		}
		if p.code[name] == nil {
			p.code[name] = map[uint32]int64{}
		}
		p.code[name][uint32(at)] += n
	}
	return nil
}

// inBody is the sum of the samples in a range of offsets in the module.
func (p *moduleProfile) inBody(start, size int) (sum int64) {
	if p.sorted == nil {
		p.sorted = slices.Sorted(maps.Keys(p.offsets))
	}
	for i, _ := slices.BinarySearch(p.sorted, start); i < len(p.sorted) && p.sorted[i] < start+size; i++ {
		sum += p.offsets[p.sorted[i]]
	}
	return sum
}

// inCode is the sum of a function's samples by offsets in machine code.
func (p *moduleProfile) inCode(name string) (sum int64) {
	for _, n := range p.code[name] {
		sum += n
	}
	return sum
}

// heat gives the lines of a function's columns their samples. A sample in the
// module goes to the first line of its instruction in every column; one in
// machine code to its line there, in the first such column, which is the code that
// ran, and to the instruction that this comes from in the other columns.
func (p *moduleProfile) heat(name string, columns []exploredColumn) {
	ran := slices.IndexFunc(columns, func(c exploredColumn) bool { return c.Kind == columnCode })
	byOffset := map[int]int64{}
	for at, n := range p.code[name] {
		if i := columns[ran].at(at); i >= 0 {
			l := &columns[ran].Lines[i]
			l.Samples += n
			byOffset[l.Offset] += n
		}
	}
	for k, c := range columns {
		seen := map[int]bool{-1: true}
		for i := range c.Lines {
			l := &c.Lines[i]
			if seen[l.Offset] {
				continue
			}
			seen[l.Offset] = true
			l.Samples += p.offsets[l.Offset]
			if k != ran {
				l.Samples += byOffset[l.Offset]
			}
		}
	}
}
