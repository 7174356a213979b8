package ir

// valueData says where a value comes from.
type valueData struct {
	kind valueKind
	typ  Type
	num  uint32 // which result or parameter
	ref  uint32 // Inst, Block, or the Value that an alias stands for
}

type valueKind uint8

const (
	valueFree valueKind = iota // the number is not in use (text may leave gaps)
	valueResult
	valueParam
	valueAlias
)

// NumValues is one more than the largest value number in use.
func (f *Function) NumValues() int { return len(f.values) }

// ValueType is the type of v. It is Invalid for a number not in use.
func (f *Function) ValueType(v Value) Type {
	if int(v) >= len(f.values) {
		return Invalid
	}
	return f.values[v].typ
}

// SetValueType changes the type of v.
func (f *Function) SetValueType(v Value, t Type) { f.values[v].typ = t }

// ValueInst is the instruction that v is a result of, and which result; inst is
// [NoInst] if v is not a result. Aliases are not resolved.
func (f *Function) ValueInst(v Value) (inst Inst, num int) {
	d := &f.values[v]
	if d.kind != valueResult {
		return NoInst, 0
	}
	return Inst(d.ref), int(d.num)
}

// ValueBlock is the block that v is a parameter of, and which parameter; b is
// [NoBlock] if v is not a parameter.
func (f *Function) ValueBlock(v Value) (b Block, num int) {
	d := &f.values[v]
	if d.kind != valueParam {
		return NoBlock, 0
	}
	return Block(d.ref), int(d.num)
}

// ValueExists reports whether v is in use.
func (f *Function) ValueExists(v Value) bool {
	return int(v) < len(f.values) && f.values[v].kind != valueFree
}

// Alias reports what v is a direct alias of; ok is false if it is none.
func (f *Function) Alias(v Value) (of Value, ok bool) {
	d := &f.values[v]
	return Value(d.ref), d.kind == valueAlias
}

// Resolve follows aliases from v to the value they stand for. Values that are
// not plain are returned as they are.
func (f *Function) Resolve(v Value) Value {
	for int(v) < len(f.values) && f.values[v].kind == valueAlias {
		v = Value(f.values[v].ref)
	}
	return v
}

// SetAlias makes v stand for another value, which must not lead back to v. A
// result or parameter that becomes an alias should be detached from its
// instruction or block first.
func (f *Function) SetAlias(v, of Value) {
	if f.Resolve(of) == v {
		panic("ir: alias cycle at " + v.String())
	}
	f.ensure(v)
	f.values[v] = valueData{valueAlias, f.ValueType(of), 0, uint32(of)}
}

// ResolveAll replaces every alias among arguments by the value it stands for.
func (f *Function) ResolveAll() {
	values := f.values
	for i, v := range f.pool {
		if int(v) < len(values) && values[v].kind == valueAlias {
			f.pool[i] = f.Resolve(v)
		}
	}
	for i := range f.insts {
		d := &f.insts[i]
		if int(d.nargs) <= len(d.args) {
			for k, v := range d.args[:d.nargs] {
				if int(v) < len(values) && values[v].kind == valueAlias {
					d.args[k] = f.Resolve(v)
				}
			}
		}
	}
}

func (f *Function) ensure(v Value) {
	for int(v) >= len(f.values) {
		f.values = append(f.values, valueData{})
	}
}

// Results are the results of inst.
func (f *Function) Results(inst Inst) []Value { return f.list(f.results[inst]) }

// NumResults is the number of results of inst.
func (f *Function) NumResults(inst Inst) int { return int(f.results[inst].n) }

// Result is the first result of inst, or [NoValue].
func (f *Function) Result(inst Inst) Value {
	l := f.results[inst]
	if l.n == 0 {
		return NoValue
	}
	return f.pool[l.off]
}

// AddResult appends a result of type t to inst.
func (f *Function) AddResult(inst Inst, t Type) Value {
	v := Value(len(f.values))
	f.AddResultAs(inst, t, v)
	return v
}

// AddResultAs appends a result of type t to inst with the number v, which must
// be free.
func (f *Function) AddResultAs(inst Inst, t Type, v Value) {
	f.ensure(v)
	f.values[v] = valueData{valueResult, t, f.results[inst].n, uint32(inst)}
	if f.results[inst].n == 0 {
		f.results[inst] = valueList{uint32(len(f.pool)), 1, 1}
		f.pool = append(f.pool, v)
		return
	}
	f.results[inst] = f.push(f.results[inst], v)
}

// AddResults makes the results of inst: by its opcode's rule, or for a call by
// its signature. Instructions that end a block have none.
func (f *Function) AddResults(inst Inst) {
	d := &f.insts[inst]
	if n, more := d.Op.FixedResults(); !more {
		for i := range n {
			f.AddResult(inst, d.Op.ResultType(i, d.Type))
		}
		return
	}
	if sig := f.CallSignature(inst); sig != NoSig {
		for i := range f.Sigs[sig].Returns {
			f.AddResult(inst, f.Sigs[sig].Returns[i].Type)
		}
	}
}

// DetachResults takes all results from inst; their numbers are then free to
// become aliases.
func (f *Function) DetachResults(inst Inst) {
	for _, v := range f.Results(inst) {
		f.values[v].kind = valueFree
	}
	f.results[inst] = valueList{}
}

// CallSignature is the signature of the call that inst is, or [NoSig].
func (f *Function) CallSignature(inst Inst) SigRef {
	d := &f.insts[inst]
	switch d.Op.Format() {
	case FormatCall, FormatTryCall:
		if int(d.Ref) < len(f.ExtFuncs) {
			return f.ExtFuncs[d.Ref].Sig
		}
	case FormatCallIndirect, FormatTryCallIndirect:
		return SigRef(d.Ref)
	}
	return NoSig
}

// Params are the parameters of b.
func (f *Function) Params(b Block) []Value { return f.list(f.blocks[b].params) }

// AddParam appends a parameter of type t to b.
func (f *Function) AddParam(b Block, t Type) Value {
	v := Value(len(f.values))
	f.AddParamAs(b, t, v)
	return v
}

// AddParamAs appends a parameter of type t to b with the number v, which must
// be free.
func (f *Function) AddParamAs(b Block, t Type, v Value) {
	f.ensure(v)
	f.values[v] = valueData{valueParam, t, f.blocks[b].params.n, uint32(b)}
	f.blocks[b].params = f.push(f.blocks[b].params, v)
}

// RemoveParam removes parameter k of b; its number is then free to become an
// alias. The arguments in branches to b are the caller's to remove.
func (f *Function) RemoveParam(b Block, k int) {
	v := f.Params(b)[k]
	f.values[v].kind = valueFree
	f.blocks[b].params = f.removeAt(f.blocks[b].params, k)
	for i, p := range f.Params(b)[k:] {
		f.values[p].num = uint32(k + i)
	}
}

// RemoveParams removes the parameters k of b for which drop[k] holds, as
// [Function.RemoveParam] does.
func (f *Function) RemoveParams(b Block, drop []bool) {
	l := &f.blocks[b].params
	params := f.list(*l)
	n := 0
	for k, v := range params {
		if drop[k] {
			f.values[v].kind = valueFree
			continue
		}
		f.values[v].num = uint32(n)
		params[n] = v
		n++
	}
	l.n = uint32(n)
}
