package pprof

import (
	"bytes"
	"errors"

	"reflect"
	"testing"
	"time"

	"github.com/google/pprof/profile"
)

// TestProfile: pprof's own library reads what was meant.
func TestProfile(t *testing.T) {
	start := time.Unix(1_700_000_000, 5)
	p := &Profile{
		Types: []Type{{"samples", "count"}, {"cpu", "nanoseconds"}}, Default: "cpu",
		PeriodOf: Type{"cpu", "nanoseconds"}, Period: 10_000_000, Start: start, Duration: time.Second,
	}
	f, g := Function{"f", "_Zf", "a.c"}, Function{"g", "g", ""}
	m := p.Mapping("m.wasm", 0, 1<<32)
	inner := p.Location(m, 1<<31, []Line{{f, 300, 4}, {g, 0, 0}})
	outer := p.Location(0, 0, []Line{{g, 7, 0}})
	p.Sample([]uint64{inner, outer}, []int64{1, -1 << 62}, []Label{{"k", "v"}, {"", "cpu"}})
	p.Sample([]uint64{outer}, []int64{0, 1}, nil)
	var b bytes.Buffer
	if err := p.Write(&b); err != nil {
		t.Fatal(err)
	}
	got, err := profile.ParseData(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := got.CheckValid(); err != nil {
		t.Fatal(err)
	}
	if got.TimeNanos != start.UnixNano() || got.DurationNanos != 1e9 || got.Period != 1e7 || *got.PeriodType != (profile.ValueType{Type: "cpu", Unit: "nanoseconds"}) || got.DefaultSampleType != "cpu" {
		t.Errorf("%+v", got)
	}
	if n := len(got.Function); n != 2 {
		t.Errorf("%d functions", n)
	}
	s := got.Sample[0]
	if !reflect.DeepEqual(s.Value, []int64{1, -1 << 62}) || !reflect.DeepEqual(s.Label, map[string][]string{"k": {"v"}, "": {"cpu"}}) || len(s.Location) != 2 {
		t.Errorf("%+v", s)
	}
	l := s.Location[0]
	if l.Mapping.File != "m.wasm" || l.Mapping.Limit != 1<<32 || !l.Mapping.HasInlineFrames || !l.Mapping.HasFunctions || l.Address != 1<<31 || len(l.Line) != 2 {
		t.Errorf("%+v", l)
	}
	if x := l.Line[0]; x.Line != 300 || x.Column != 4 || x.Function.Name != "f" || x.Function.SystemName != "_Zf" || x.Function.Filename != "a.c" || l.Line[1].Function != s.Location[1].Line[0].Function {
		t.Errorf("%+v", l.Line)
	}
	if x := got.Sample[1]; !reflect.DeepEqual(x.Value, []int64{0, 1}) || x.Label != nil || x.Location[0].Mapping != nil {
		t.Errorf("%+v", x)
	}
}

// TestEmpty: a profile of nothing can be read, too.
func TestEmpty(t *testing.T) {
	var b bytes.Buffer
	if err := (&Profile{Types: []Type{{"samples", "count"}}}).Write(&b); err != nil {
		t.Fatal(err)
	}
	if got, err := profile.ParseData(b.Bytes()); err != nil || len(got.Sample) != 0 {
		t.Error(got, err)
	}
	full := errors.New("full")
	if err := (&Profile{}).Write(writerFunc(func([]byte) (int, error) { return 0, full })); err != full {
		t.Error(err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
