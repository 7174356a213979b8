package wasm

import (
	"fmt"
	"math"
)

// Env is a module of which everything but the function bodies has been
// validated: what bodies are validated against. It is read-only, and may be
// used by many [FuncValidator]s at a time.
type Env struct {
	*Module
	TypeSpace
	settings
	config   *Config
	bodies   int           // how many function bodies the module has
	declared []uint64      // bit set: functions that ref.func may name in bodies
	expr     FuncValidator // for constant expressions, while e is made
}

// NewEnv validates everything of m but the function bodies.
func NewEnv(m *Module, c *Config) (*Env, error) { return newEnv(m, c, len(m.Code)) }

// NewBodilessEnv is NewEnv for a module whose function bodies are elsewhere, compiled
// for instance: it is valid without m.Code.
func NewBodilessEnv(m *Module, c *Config) (*Env, error) {
	return newEnv(m, c, len(m.Funcs)-m.NumImportedFuncs)
}

// newEnv is NewEnv for a module with so many bodies.
func newEnv(m *Module, c *Config, bodies int) (*Env, error) {
	e := &Env{Module: m, settings: c.settings(), config: c, bodies: bodies}
	if err := e.check(); err != nil {
		return nil, err
	}
	e.expr = FuncValidator{}
	return e, nil
}

// Features are the features that the module may use.
func (e *Env) Features() Features { return e.settings.features }

// Declared reports whether function i may be referred to as a value: only such
// functions ever need a function record.
func (e *Env) Declared(i uint32) bool { return e.declared[i/64]>>(i%64)&1 != 0 }

func (e *Env) declare(i uint32) {
	if int(i) < len(e.Funcs) {
		e.declared[i/64] |= 1 << (i % 64)
	}
}

func invalid(format string, args ...any) *Error {
	return errorf(Invalid, -1, format, args...)
}

func (e *Env) check() error {
	// Errors are returned as *Error; only a non-nil one may become an error.
	for _, check := range [...]func() *Error{
		func() *Error { return e.TypeSpace.check(e.Module, e.limits.SubtypeDepth) },
		e.checkCounts, e.checkFuncs, e.checkTables, e.checkMemories, e.checkTags, e.collectDeclared,
		e.checkGlobals, e.checkTableInits, e.checkExports, e.checkStart, e.checkElems, e.checkDatas,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) checkCounts() *Error {
	if n := len(e.Funcs) - e.NumImportedFuncs; n != e.bodies {
		return errorf(Malformed, -1, "function and code section have inconsistent lengths: %d and %d", n, e.bodies)
	}
	for _, c := range [...]struct {
		have, limit int
		what        string
	}{
		{len(e.Funcs), e.limits.Funcs, "functions"}, {len(e.Tables), e.limits.Tables, "tables"},
		{len(e.Memories), e.limits.Memories, "memories"}, {len(e.Globals), e.limits.Globals, "globals"},
		{len(e.Tags), e.limits.Tags, "tags"},
	} {
		if c.have > c.limit {
			return errorf(LimitExceeded, -1, "too many %s: %d, the limit is %d", c.what, c.have, c.limit)
		}
	}
	if len(e.Memories) > 1 && !e.features.Has(FeatureMultiMemory) {
		return invalid("multiple memories: they need the feature multi-memory, which is not enabled")
	}
	if len(e.Tables) > 1 && !e.features.Has(FeatureReferenceTypes) {
		return invalid("multiple tables: they need the feature reference-types, which is not enabled")
	}
	return nil
}

// funcType is the function type at index i; what names who refers to it.
func (e *Env) funcType(i uint32, what string, args ...any) (*FuncType, *Error) {
	if int(i) >= len(e.Types) {
		return nil, invalid("unknown type %d: %s", i, fmt.Sprintf(what, args...))
	}
	if e.Types[i].Kind != CompositeFunc {
		return nil, invalid("type mismatch: type %d is not a function type: %s", i, fmt.Sprintf(what, args...))
	}
	return &e.Types[i].Func, nil
}

func (e *Env) checkFuncs() *Error {
	for i := range e.Funcs {
		if t := e.Funcs[i].Type; int(t) >= len(e.Types) || e.Types[t].Kind != CompositeFunc {
			_, err := e.funcType(t, "type of function %d", i)
			return err
		}
	}
	return nil
}

// checkType checks that the type indexes in t exist.
func (e *Env) checkType(t ValType, what string, i int) *Error {
	if t.IsRef() && t.Heap().IsIndex() && int(t.Heap().Index()) >= len(e.Types) {
		return invalid("unknown type %d: in the type of %s %d", t.Heap().Index(), what, i)
	}
	return nil
}

func checkLimits(l *Limits, maximum uint64, what string) *Error {
	if l.Min > maximum || l.HasMax && l.Max > maximum {
		return invalid("%s", what)
	}
	if l.HasMax && l.Min > l.Max {
		return invalid("size minimum must not be greater than maximum: %d and %d", l.Min, l.Max)
	}
	return nil
}

func (e *Env) checkTables() *Error {
	for i := range e.Tables {
		t := &e.Tables[i].Type
		if err := e.checkType(t.Elem, "table", i); err != nil {
			return err
		}
		maximum := uint64(math.MaxUint32)
		if t.Is64 {
			maximum = math.MaxUint64
		}
		if err := checkLimits(&t.Limits, maximum, "table size"); err != nil {
			return err
		}
		if i >= e.NumImportedTables && !t.Elem.Defaultable() && len(e.Tables[i].Init.Code) == 0 {
			return invalid("type mismatch: table %d of %v needs an initializer", i, t.Elem)
		}
	}
	return nil
}

func (e *Env) checkMemories() *Error {
	for i := range e.Memories {
		m := &e.Memories[i]
		if m.PageBits != 16 && m.PageBits != 0 {
			return invalid("invalid custom page size: 2^%d", m.PageBits)
		}
		maximum, what := uint64(1)<<(32-m.PageBits), "memory size must be at most 65536 pages (4GiB)"
		switch {
		case m.Is64 && m.PageBits == 16:
			maximum, what = 1<<48, "memory size must be at most 2^48 pages"
		case m.Is64:
			maximum, what = math.MaxUint64, "memory size"
		case m.PageBits == 0:
			// The size in bytes, which is also that in pages, must fit into an i32.
			maximum, what = math.MaxUint32, "memory size must be at most 4294967295 pages"
		}
		if err := checkLimits(&m.Limits, maximum, what); err != nil {
			return err
		}
		if m.Shared && !m.HasMax {
			return invalid("shared memory must have maximum")
		}
	}
	return nil
}

func (e *Env) checkTags() *Error {
	for i := range e.Tags {
		t, err := e.funcType(e.Tags[i].Type, "type of tag %d", i)
		if err != nil {
			return err
		}
		if len(t.Results) != 0 {
			return invalid("non-empty tag result type: tag %d", i)
		}
	}
	return nil
}

// collectDeclared finds the functions that occur outside of bodies and of the
// start section.
func (e *Env) collectDeclared() *Error {
	e.declared = make([]uint64, len(e.Funcs)/64+1)
	for _, x := range e.Exports {
		if x.Kind == KindFunc {
			e.declare(x.Index)
		}
	}
	var in Instr
	expr := func(x ConstExpr) {
		r := reader{b: x.Code, base: x.Offset}
		for r.left() > 0 {
			if r.instr(&in, &e.settings); r.err != nil {
				return // reported where the expression is validated
			}
			if in.Op == OpRefFunc {
				e.declare(in.Index)
			}
		}
	}
	for i := range e.Elems {
		for _, f := range e.Elems[i].Funcs {
			e.declare(f)
		}
		for _, x := range e.Elems[i].Exprs {
			expr(x)
		}
	}
	for i := range e.Globals {
		expr(e.Globals[i].Init)
	}
	for i := range e.Tables {
		expr(e.Tables[i].Init)
	}
	return nil
}

func (e *Env) checkGlobals() *Error {
	for i := range e.Globals {
		g := &e.Globals[i]
		if err := e.checkType(g.Type.Type, "global", i); err != nil {
			return err
		}
		if i < e.NumImportedGlobals {
			if g.Type.Mutable && !e.features.Has(FeatureMutableGlobals) {
				return invalid("mutable globals cannot be imported without the feature mutable-globals")
			}
			continue
		}
		// An initializer sees the globals before its own.
		if err := e.checkExpr(g.Init, g.Type.Type, i); err != nil {
			return err
		}
	}
	return nil
}

func (e *Env) checkTableInits() *Error {
	for i := range e.Tables {
		// Tables come before globals, so only imported globals are there.
		if t := &e.Tables[i]; len(t.Init.Code) > 0 {
			if err := e.checkExpr(t.Init, t.Type.Elem, e.NumImportedGlobals); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Env) checkExports() *Error {
	seen := make(map[string]struct{}, len(e.Exports))
	for i := range e.Exports {
		x := &e.Exports[i]
		n, what := 0, ""
		switch x.Kind {
		case KindFunc:
			n, what = len(e.Funcs), "function"
		case KindTable:
			n, what = len(e.Tables), "table"
		case KindMemory:
			n, what = len(e.Memories), "memory"
		case KindGlobal:
			n, what = len(e.Globals), "global"
		case KindTag:
			n, what = len(e.Tags), "tag"
		}
		if int64(x.Index) >= int64(n) {
			return invalid("unknown %s %d: export %q", what, x.Index, x.Name)
		}
		if x.Kind == KindGlobal && e.Globals[x.Index].Type.Mutable && !e.features.Has(FeatureMutableGlobals) {
			return invalid("mutable globals cannot be exported without the feature mutable-globals")
		}
		if _, dup := seen[x.Name]; dup {
			return invalid("duplicate export name %q", x.Name)
		}
		seen[x.Name] = struct{}{}
	}
	return nil
}

func (e *Env) checkStart() *Error {
	if !e.HasStart {
		return nil
	}
	if int64(e.Start) >= int64(len(e.Funcs)) {
		return invalid("unknown function %d: start function", e.Start)
	}
	if t := e.FuncTypeOf(e.Start); len(t.Params)+len(t.Results) > 0 {
		return invalid("start function: type must be [] -> [], not %v", t)
	}
	return nil
}

func (e *Env) checkElems() *Error {
	for i := range e.Elems {
		s := &e.Elems[i]
		if err := e.checkType(s.Type, "element segment", i); err != nil {
			return err
		}
		if s.Mode == SegmentActive {
			if int64(s.Table) >= int64(len(e.Tables)) {
				return invalid("unknown table %d: element segment %d", s.Table, i)
			}
			t := &e.Tables[s.Table].Type
			if !e.IsSub(s.Type, t.Elem) {
				return invalid("type mismatch: element segment %d of %v for table %d of %v", i, s.Type, s.Table, t.Elem)
			}
			if err := e.checkExpr(s.Offset, t.Address(), len(e.Globals)); err != nil {
				return err
			}
		}
		for _, f := range s.Funcs {
			if int64(f) >= int64(len(e.Funcs)) {
				return invalid("unknown function %d: element segment %d", f, i)
			}
		}
		for _, x := range s.Exprs {
			if err := e.checkExpr(x, s.Type, len(e.Globals)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *Env) checkDatas() *Error {
	for i := range e.Datas {
		s := &e.Datas[i]
		if s.Mode != SegmentActive {
			continue
		}
		if int64(s.Memory) >= int64(len(e.Memories)) {
			return invalid("unknown memory %d: data segment %d", s.Memory, i)
		}
		if err := e.checkExpr(s.Offset, e.Memories[s.Memory].Address(), len(e.Globals)); err != nil {
			return err
		}
	}
	return nil
}

// checkExpr validates a constant expression of type want that sees the first
// globals globals.
func (e *Env) checkExpr(x ConstExpr, want ValType, globals int) *Error {
	if e.fastExpr(x.Code, want) {
		return nil
	}
	v := &e.expr
	v.resetExpr(e, x, want, globals)
	for {
		more, err := v.Next(&v.instr)
		if err != nil {
			return err.(*Error)
		}
		if !more {
			return nil
		}
	}
}

// fastExpr recognizes the two expressions that long element segments and
// tables of offsets consist of: a reference to a function with an index below
// 128, and a small i32.
func (e *Env) fastExpr(code []byte, want ValType) bool {
	if len(code) != 3 || code[1] >= 0x80 || code[2] != byte(OpEnd) {
		return false
	}
	switch Opcode(code[0]) {
	case OpI32Const:
		return want == I32
	case OpRefFunc:
		return want == FuncRef && int(code[1]) < len(e.Funcs) && e.features.Has(FeatureReferenceTypes)
	}
	return false
}
