package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/internal/wattext"
)

// functions lists the names of the functions that a module exports.
func functions(m *davit.Module) []string {
	var names []string
	for _, e := range m.Exports() {
		if e.Type.Func != nil {
			names = append(names, e.Name)
		}
	}
	return names
}

// exportedFuncs lists what --invoke could call.
func exportedFuncs(m *davit.Module) string {
	names := functions(m)
	if len(names) == 0 {
		return "it exports none"
	}
	if len(names) > 10 {
		names = append(names[:10], "…")
	}
	return "it exports " + strings.Join(names, ", ")
}

// call calls the function that --invoke names, with arguments given as text, and
// prints its results, one in a line.
func (r *runner) call(ctx context.Context, in *davit.Instance, args []string) error {
	f := in.Func(r.invoke)
	if f == nil {
		err := usagef(r.cmd, "the module exports no function %q", r.invoke)
		if x, ok := in.Module().Export(r.invoke); ok {
			return withHint(usagef(r.cmd, "the export %q is no function: %v", r.invoke, x), exportedFuncs(in.Module()))
		}
		hint := didYouMean(near(r.invoke, functions(in.Module())), "")
		return withHint(err, strings.TrimSpace(hint+" "+exportedFuncs(in.Module())))
	}
	t := f.Type()
	if len(args) != len(t.Params) {
		return withHint(usagef(r.cmd, "function %q takes %d arguments, %d are given", r.invoke, len(t.Params), len(args)),
			fmt.Sprintf("its type is %v", t))
	}
	values := make([]davit.Value, len(args))
	for i, a := range args {
		v, err := parseValue(t.Params[i], a)
		if err != nil {
			return usagef(r.cmd, "argument %d of %q: %w", i+1, r.invoke, err)
		}
		values[i] = v
	}
	if err := initialize(ctx, in); err != nil {
		return err
	}
	results, err := f.Call(ctx, values...)
	if err != nil {
		return err
	}
	if r.json {
		list := []jsonValue{}
		for _, v := range results {
			list = append(list, jsonValue{v.Type().String(), v.String()})
		}
		return writeJSON(r.cmd.OutOrStdout(), map[string]any{"results": list})
	}
	for _, v := range results {
		fmt.Fprintln(r.cmd.OutOrStdout(), v)
	}
	return nil
}

// jsonValue is a value in JSON. Numbers are strings, since JSON's cannot hold all.
type jsonValue struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// parseValue reads a value of type t, in the notation of the text format;
// integers may be signed or unsigned.
func parseValue(t davit.ValType, s string) (davit.Value, error) {
	bad := func(want string, st wattext.Status) (davit.Value, error) {
		if st == wattext.Range {
			return davit.Value{}, fmt.Errorf("%q does not fit into an %v", s, t)
		}
		return davit.Value{}, fmt.Errorf("%q is no %v: want %s", s, t, want)
	}
	switch t {
	case davit.I32, davit.I64:
		bits := 32
		if t == davit.I64 {
			bits = 64
		}
		n, st := wattext.ParseInt([]byte(s), bits)
		switch {
		case st != wattext.OK:
			return bad("a number such as 42, -1 or 0x2a", st)
		case t == davit.I32:
			return davit.ValueI32(int32(n)), nil
		}
		return davit.ValueI64(int64(n)), nil
	case davit.F32, davit.F64:
		bits := 32
		if t == davit.F64 {
			bits = 64
		}
		n, st := wattext.ParseFloat([]byte(s), bits)
		switch {
		case st != wattext.OK:
			return bad("a number such as 1.5, -2e10, 0x1p-3, inf or nan", st)
		case t == davit.F32:
			return davit.ValueF32Bits(uint32(n)), nil
		}
		return davit.ValueF64Bits(n), nil
	case davit.V128:
		digits, ok := strings.CutPrefix(s, "0x")
		if !ok || len(digits) == 0 || len(digits) > 32 {
			return bad("0x and up to 32 digits", wattext.Malformed)
		}
		digits = strings.Repeat("0", 32-len(digits)) + digits
		high, err := strconv.ParseUint(digits[:16], 16, 64)
		low, err2 := strconv.ParseUint(digits[16:], 16, 64)
		if err != nil || err2 != nil {
			return bad("0x and up to 32 digits", wattext.Malformed)
		}
		return davit.ValueV128(low, high), nil
	}
	if t.IsRef() && t.Nullable() && s == "null" {
		return davit.ValueNull(t), nil
	}
	return davit.Value{}, fmt.Errorf("a value of type %v cannot be given here", t)
}
