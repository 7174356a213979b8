package wast

import (
	"errors"
	"fmt"

	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// Engine is what runs the modules of one script. Its errors should be of type
// [*Error]; others count as failures of the engine.
type Engine interface {
	// Compile decodes and validates a module.
	Compile(binary []byte) (Compiled, error)
	// HostFunc makes a function of type t that calls f with its arguments and
	// returns zeros.
	HostFunc(t wasm.FuncType, f func(args []Value)) Extern
	// Instantiate makes an instance of m, and gives it what resolve has for its
	// imports.
	Instantiate(m Compiled, resolve func(module, name string) (Extern, bool)) (Instance, error)
	// Close frees everything.
	Close() error
}

// Compiled is a compiled module of an engine.
type Compiled any

// Extern is something of an engine that can be imported.
type Extern any

// Instance is an instance of an engine.
type Instance interface {
	// Export finds what is exported under a name.
	Export(name string) (Extern, bool)
	// Call calls an exported function.
	Call(name string, args []Value) ([]Value, error)
	// Global reads an exported global.
	Global(name string) (Value, error)
}

// Class is the class of an error.
type Class uint8

// Classes of errors.
const (
	ClassOther Class = iota
	ClassMalformed
	ClassInvalid
	ClassUnsupported
	ClassUnlinkable
	ClassTrap
	ClassExhaustion
	ClassException
	ClassSuspension
)

// String names c.
func (c Class) String() string {
	return [...]string{"error", "malformed", "invalid", "unsupported", "unlinkable", "trap", "exhaustion",
		"exception", "suspension"}[c]
}

// Error is an error with its class.
type Error struct {
	Class Class
	Msg   string // in the words of the specification's tests, at least at its beginning
}

// Error returns class and message.
func (e *Error) Error() string { return e.Class.String() + ": " + e.Msg }

func errorf(c Class, format string, args ...any) error {
	return &Error{Class: c, Msg: fmt.Sprintf(format, args...)}
}

// classOf returns class and message of err.
func classOf(err error) (Class, string) {
	var e *Error
	if errors.As(err, &e) {
		return e.Class, e.Msg
	}
	var we *wasm.Error
	if errors.As(err, &we) {
		return wasmClass(we), we.Msg
	}
	return ClassOther, err.Error()
}

// wasmClass is the class of an error of package wasm.
func wasmClass(e *wasm.Error) Class {
	switch e.Kind {
	case wasm.Malformed:
		return ClassMalformed
	case wasm.Invalid:
		return ClassInvalid
	}
	return ClassUnsupported
}

// textMessage is the message of an error of package wat, without its place.
func textMessage(err error) string {
	var e *wat.Error
	if errors.As(err, &e) {
		return e.Msg
	}
	return err.Error()
}
