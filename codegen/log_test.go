package codegen_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/davit-wasm/davit/codegen"
	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/ir"
)

func logged(t testing.TB) *ir.Function {
	f, err := clif.ParseFunction("function %f(i32) -> i32 {\nblock0(v0: i32):\n v1 = iadd v0, v0\n return v1\n}")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestLogger: a line for each function, and one for each pass at level debug.
func TestLogger(t *testing.T) {
	var ctx codegen.Context
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelDebug} {
		var out bytes.Buffer
		l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level}))
		if _, err := ctx.Compile(logged(t), target(t), codegen.Options{Logger: l}); err != nil {
			t.Fatal(err)
		}
		want := 1
		if level == slog.LevelDebug {
			want += len(codegen.Passes())
		}
		if n := strings.Count(out.String(), "\n"); n != want || !strings.Contains(out.String(), "function compiled") {
			t.Errorf("level %v: %d lines, want %d:\n%s", level, n, want, out.String())
		}
	}
}

// BenchmarkLogger compares no logger with one that wants nothing. The first must
// allocate nothing, which TestLoggerFree holds.
func BenchmarkLogger(b *testing.B) {
	for _, c := range []struct {
		name string
		l    *slog.Logger
	}{{"nil", nil}, {"off", slog.New(off{})}} {
		b.Run(c.name, func(b *testing.B) {
			var ctx codegen.Context
			f, isa := logged(b), target(b)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ctx.Compile(f, isa, codegen.Options{Logger: c.l}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// off is a handler that wants nothing.
type off struct{}

func (off) Enabled(context.Context, slog.Level) bool  { return false }
func (off) Handle(context.Context, slog.Record) error { return nil }
func (off) WithAttrs([]slog.Attr) slog.Handler        { return off{} }
func (off) WithGroup(string) slog.Handler             { return off{} }

// TestLoggerFree holds that compiling without a logger allocates nothing, once
// the Context has compiled a function as large.
func TestLoggerFree(t *testing.T) {
	var ctx codegen.Context
	f, isa := logged(t), target(t)
	n := testing.AllocsPerRun(100, func() {
		if _, err := ctx.Compile(f, isa, codegen.Options{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
