package main

import (
	"fmt"
	"maps"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/codegen/module"
)

// compiler turns source text into IR, unit after unit, and defines it in a
// module: one in this process, or an object file.
type compiler struct {
	scope scope
	texts map[string]int
	gen   generator
}

func newCompiler(target *isa.TargetISA) *compiler {
	return &compiler{
		scope: scope{funcs: map[string]*signature{}, globals: map[string]typ{}},
		texts: map[string]int{},
		gen:   generator{cc: target.DefaultCallConv()},
	}
}

// target is this machine with optimization, and other settings if there are
// any.
func target(settings ...string) (*isa.TargetISA, error) {
	b, err := isa.Host()
	if err != nil {
		return nil, err
	}
	for _, s := range append([]string{"opt_level=speed"}, settings...) {
		if err := b.Set(s); err != nil {
			return nil, err
		}
	}
	return b.Finish()
}

// compile makes IR of a unit. If there is a mistake, an *Error, what is known of earlier
// units is as it was.
func (c *compiler) compile(file, src string, mainName ir.Name, echo bool) (p *program, err error) {
	trial := scope{maps.Clone(c.scope.funcs), maps.Clone(c.scope.globals)}
	texts := maps.Clone(c.texts)
	defer func() {
		if e := recover(); e != nil {
			f, ok := e.(failure)
			if !ok {
				panic(e)
			}
			p, err = nil, &Error{file, f.pos, f.msg, f.incomplete}
		}
	}()
	u := parse(src)
	c.gen.scope, c.gen.texts, c.gen.echo = &trial, texts, echo
	p = c.gen.generate(u, mainName)
	c.scope, c.texts = trial, texts
	return p, nil
}

// define defines a unit's data and functions. replace, if not nil, is asked
// first for functions that may be there already.
func define(m module.Module, p *program, replace func(*ir.Function) (done bool, err error)) (main module.ID, err error) {
	for _, name := range p.globals {
		id, err := m.DeclareData(globalName(name), module.Local, module.DataAttr{Writable: true})
		if err != nil {
			return 0, err
		}
		if err := m.DefineData(id, &module.Data{Size: 8}); err != nil {
			return 0, err
		}
	}
	for _, t := range p.texts {
		id, err := m.DeclareData(t.name, module.Local, module.DataAttr{})
		if err != nil {
			return 0, err
		}
		if err := m.DefineData(id, &module.Data{Bytes: []byte(t.value), Align: 1}); err != nil {
			return 0, err
		}
	}
	for _, f := range p.funcs {
		if replace != nil {
			if done, err := replace(f); done || err != nil {
				if err != nil {
					return 0, err
				}
				continue
			}
		}
		if _, err := m.Define(f); err != nil {
			return 0, fmt.Errorf("%v: %w", f.Name, err)
		}
	}
	return m.Define(p.main)
}
