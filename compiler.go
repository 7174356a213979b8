//go:build !davit_nocompile

package davit

import (
	"context"
	"fmt"

	"github.com/davit-wasm/davit/codegen/isa"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/wasm"
)

func init() { compiler = moduleCompiler{} }

// moduleCompiler is the compiler of package compile. This file is the only
// place where this package reaches it.
type moduleCompiler struct{}

// targetOf is the target that c compiles for, the machine of that name or this one.
func targetOf(c *Config, name string) (*isa.TargetISA, error) {
	var settings []string
	if c.QuickCompile {
		settings = append(settings, "opt_level=none", "regalloc_algorithm=single_pass")
	}
	return compile.TargetOf(name, c.CPU, append(settings, c.Settings...)...)
}

func (moduleCompiler) compile(ctx context.Context, c *Config, target string, s image.Settings, module []byte, text image.TextMemory) (*image.Image, error) {
	t, err := targetOf(c, target)
	if err != nil {
		return nil, err
	}
	return compile.Module(module, &compile.Options{
		Context: ctx, Target: t, Settings: s, Features: c.Features, Limits: c.ModuleLimits, Workers: c.CompileWorkers,
		Progress: c.CompileProgress, Text: text,
	})
}

func (moduleCompiler) target(c *Config, name string) (settings string, err error) {
	t, err := targetOf(c, name)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%+v", *t), nil
}

// trampolines compiles a module that has nothing but one function type.
func (m moduleCompiler) trampolines(c *Config, s image.Settings, params, results []image.Slot) (*image.Image, error) {
	module := wasm.Encode(&wasm.Module{
		Types: []wasm.SubType{{Final: true, CompositeType: wasm.CompositeType{
			Kind: wasm.CompositeFunc, Func: wasm.FuncType{Params: slotTypes(params), Results: slotTypes(results)},
		}}},
		RecGroups: []wasm.RecGroup{{Start: 0, Len: 1}},
	})
	target, err := targetOf(c, "")
	if err != nil {
		return nil, err
	}
	return compile.Module(module, &compile.Options{Target: target, Settings: s, Workers: 1})
}

// slotTypes are value types with the given slots.
func slotTypes(slots []image.Slot) []wasm.ValType {
	types := make([]wasm.ValType, len(slots))
	for i, s := range slots {
		types[i] = [...]wasm.ValType{
			image.SlotI32: I32, image.SlotI64: I64, image.SlotF32: F32, image.SlotF64: F64,
			image.SlotV128: V128, image.SlotRef: FuncRef,
		}[s]
	}
	return types
}
