package wast

import (
	"fmt"

	"github.com/davit-wasm/davit/internal/wattext"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// Script is a parsed script.
type Script struct {
	Header   []Option // settings in the `;;!` lines at the beginning
	Commands []Command
}

// Option is a `;;! key = value` line.
type Option struct {
	Key, Value string
	Line       int
}

// Kind is what a command does.
type Kind uint8

// Kinds of commands.
const (
	KindModule          Kind = iota // instantiate Module, or only define it if it is a definition
	KindInstance                    // instantiate the definition Of as Instance
	KindRegister                    // make the exports of Instance importable as Name
	KindAction                      // do Action, and expect nothing of its results
	KindReturn                      // Action returns Results
	KindTrap                        // Action, or the instantiation of Module, traps
	KindExhaustion                  // Action exhausts a resource
	KindException                   // Action ends with an exception
	KindSuspension                  // Action ends with a suspension that nothing handles
	KindInvalid                     // Module does not validate
	KindMalformed                   // Module is malformed
	KindUnlinkable                  // Module cannot be linked
	KindInvalidCustom               // Module has an invalid custom section
	KindMalformedCustom             // Module has a malformed custom section
	KindThread                      // run Commands in a thread Name that knows the instance Shared
	KindWait                        // wait for the thread Name
	KindUnsupported                 // a command about something that this package does not know; Message says what
)

// String returns the keyword of the command.
func (k Kind) String() string {
	return [...]string{"module", "module instance", "register", "action", "assert_return", "assert_trap",
		"assert_exhaustion", "assert_exception", "assert_suspension", "assert_invalid", "assert_malformed",
		"assert_unlinkable", "assert_invalid_custom", "assert_malformed_custom", "thread", "wait", "unsupported"}[k]
}

// Command is a command of a script. Which fields count depends on its kind.
type Command struct {
	Kind     Kind
	Line     int
	Module   *Module
	Action   *Action
	Results  []Result
	Message  string // what the error says, or begins with
	Name     string
	Instance string // identifier of an instance, "" is the last one
	Of       string // identifier of a definition, "" is the last one
	Shared   string
	Commands []Command
}

// Form is how a script gives a module.
type Form uint8

// Forms of modules.
const (
	FormText   Form = iota // text that is part of the script
	FormBinary             // strings that are the binary
	FormQuote              // strings that are the text
)

// Module is a module in a script.
type Module struct {
	Line       int
	ID         string // "" if it has none
	Definition bool   // only defined, not instantiated
	Form       Form
	Source     []byte // text or binary
	Script     []byte // FormText: the text that Source is a part of
	Offset     int    // FormText: where it begins
}

// Binary returns the module in the binary format. An error is a [*wat.Error],
// with its place in the script if the form is FormText.
func (m *Module) Binary() ([]byte, error) {
	if m.Form == FormBinary {
		return m.Source, nil
	}
	b, err := wat.Compile(m.Source, nil)
	if e, ok := err.(*wat.Error); ok && m.Form == FormText {
		err = e.In(m.Script, m.Offset)
	}
	return b, err
}

// Action is an invocation, or the reading of a global.
type Action struct {
	Line     int
	Get      bool
	Instance string // identifier, "" is the last one
	Name     string
	Args     []Value
}

// RefKind says what a reference refers to.
type RefKind uint8

// Kinds of references.
const (
	RefNull   RefKind = iota
	RefExtern         // the host's value Lo
	RefHost           // the host's value Lo, as an internal reference
	RefFunc
	RefI31
	RefStruct
	RefArray
	RefExn
	RefOther // whatever else
)

// Value is a value. References that come out of an engine are described by
// their kind; of numbers and vectors, Lo and Hi are the bits.
type Value struct {
	Type   wasm.ValType
	Ref    RefKind // references
	Lo, Hi uint64  // bits; RefExtern and RefHost: the host's number
}

// String returns v as scripts write it, floats with their bits.
func (v Value) String() string {
	switch v.Type {
	case wasm.I32:
		return fmt.Sprintf("i32 %d (%#x)", int32(v.Lo), uint32(v.Lo))
	case wasm.I64:
		return fmt.Sprintf("i64 %d (%#x)", int64(v.Lo), v.Lo)
	case wasm.F32:
		return fmt.Sprintf("f32 %v (%#08x)", float32FromBits(v.Lo), uint32(v.Lo))
	case wasm.F64:
		return fmt.Sprintf("f64 %v (%#016x)", float64FromBits(v.Lo), v.Lo)
	case wasm.V128:
		return fmt.Sprintf("v128 %#016x %#016x", v.Lo, v.Hi)
	}
	names := [...]string{"null", "extern", "host", "func", "i31", "struct", "array", "exn", "other"}
	if v.Ref == RefExtern || v.Ref == RefHost {
		return fmt.Sprintf("ref.%s %d", names[v.Ref], v.Lo)
	}
	return "ref." + names[v.Ref]
}

// ResultKind says what a result must be.
type ResultKind uint8

// Kinds of expected results.
const (
	ResultExact         ResultKind = iota // exactly Value
	ResultNaNCanonical                    // a canonical NaN of the type of Value
	ResultNaNArithmetic                   // an arithmetic NaN of the type of Value
	ResultVector                          // lanes as Lanes say
	ResultEither                          // one of Alternatives
	ResultRef                             // any reference that is not null
	ResultRefNull                         // any null
	ResultRefKind                         // a reference as Value.Ref says
	ResultRefAny                          // an internal reference
	ResultRefEq                           // an internal reference that can be compared
)

// Result is a pattern for a result.
type Result struct {
	Kind         ResultKind
	Value        Value
	Lanes        []Result // ResultVector: one per lane, of kind ResultExact or NaN
	LaneBits     int
	Alternatives []Result
}

// parser reads a script.
type parser struct {
	wattext.Cursor
	unsupported   string // what the command has that is not supported
	line, lineOff int    // the line of offset lineOff: lines are asked for in order
}
