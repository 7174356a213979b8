package x64

import "github.com/davit-wasm/davit/codegen/ir"

// Calls come with the calling conventions.

func (c *lower) callDirect(ir.FuncRef) out                { panic("x64: no calls yet") }
func (c *lower) callRegister(ir.SigRef, ir.Value) out     { panic("x64: no calls yet") }
func (c *lower) tailCallDirect(ir.FuncRef) out            { panic("x64: no calls yet") }
func (c *lower) tailCallRegister(ir.SigRef, ir.Value) out { panic("x64: no calls yet") }
func (c *lower) ret() out                                 { panic("x64: no calls yet") }
