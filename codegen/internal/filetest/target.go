package filetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/isa"
)

// targetISA is a target that a file names.
type targetISA struct {
	line     clif.HeaderLine
	settings []clif.HeaderLine // the file's before line
	isa      *isa.TargetISA
	// Why it cannot be compiled for, or run here: another architecture, or a
	// missing extension. Empty if it can.
	noCode, noRun string
}

func (t *targetISA) String() string { return "target " + strings.Join(t.line.Args, " ") }

// targets are the file's targets with the settings in force at each; this
// machine's if the file names none.
func (f *file) targets() ([]targetISA, error) {
	var list []targetISA
	var settings []clif.HeaderLine
	for _, h := range f.Header {
		switch h.Word {
		case "set":
			settings = append(settings, h)
		case "target":
			if len(h.Args) == 0 {
				return nil, f.errorf(h.Line, "target without a name")
			}
			t, err := f.target(h, settings)
			if err != nil {
				return nil, err
			}
			list = append(list, t)
		}
	}
	if list == nil {
		t, err := f.target(clif.HeaderLine{Word: "target", Args: []string{isa.HostTriple().String()}}, settings)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

func (f *file) target(h clif.HeaderLine, settings []clif.HeaderLine) (targetISA, error) {
	t := targetISA{line: h, settings: settings}
	b, err := isa.Lookup(h.Args[0])
	if errors.Is(err, isa.ErrNoBackend) || errors.Is(err, isa.ErrUnknownArch) {
		t.noCode = "another architecture: " + strings.Split(h.Args[0], "-")[0]
		t.noRun = t.noCode
		return t, nil
	}
	if err != nil {
		return t, f.errorf(h.Line, "%v", err)
	}
	for _, s := range settings {
		for _, x := range s.Args {
			if err := b.Set(x); err != nil {
				return t, f.errorf(s.Line, "%v", err)
			}
		}
	}
	for _, x := range h.Args[1:] {
		if err := b.Set(x); err != nil {
			return t, f.errorf(h.Line, "%v", err)
		}
	}
	for _, x := range f.opt.Settings {
		if err := b.Set(x); err != nil {
			return t, err
		}
	}
	if t.isa, err = b.Finish(); err != nil {
		return t, f.errorf(h.Line, "%v", err)
	}
	t.noRun = missing(t.isa)
	return t, nil
}

// missing says what this machine lacks to run code for t.
func missing(t *isa.TargetISA) string {
	b, err := isa.Host()
	if err != nil {
		return err.Error()
	}
	host, err := b.Finish()
	if err != nil {
		return err.Error()
	}
	if host.Triple.Arch != t.Triple.Arch {
		return "another architecture: " + t.Triple.Arch.String()
	}
	want, have := reflect.ValueOf(t.X64), reflect.ValueOf(host.X64)
	for i := range want.NumField() {
		if want.Field(i).Kind() == reflect.Bool && want.Field(i).Bool() && !have.Field(i).Bool() {
			return fmt.Sprintf("this machine lacks %s", strings.ToLower(strings.TrimPrefix(want.Type().Field(i).Name, "Has")))
		}
	}
	return ""
}
