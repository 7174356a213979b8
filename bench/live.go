package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/bytecodealliance/wasmtime-go/v39"
	"github.com/davit-wasm/davit"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// liveModule is a small module with a bit of everything.
func liveModule() []byte {
	return compileText(`(module
		(memory (export "memory") 1 10) (data (i32.const 1000) "some data of the module")
		(table 10 funcref) (elem (i32.const 1) $f)
		(global (mut i64) (i64.const 1))
		(func $f (export "f") (param i32) (result i32)
			(i32.store (i32.const 2000) (local.get 0))
			(i32.add (i32.load (i32.const 2000)) (i32.load8_u (i32.const 1000)))))`)
}

// footprint is what a process holds: memory in use, and that of page tables, in KB,
// and mappings.
type footprint struct{ Memory, Tables, Mappings float64 }

// Live is the footprint of an instance, as a part of many that are alive: after they
// were made, and after each was called once.
type live struct{ Made, Called footprint }

func measureFootprint() (f footprint, err error) {
	runtime.GC()
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return f, err
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		switch name {
		case "VmRSS":
			f.Memory = n * 1.024
		case "VmPTE":
			f.Tables = n * 1.024
		}
	}
	maps, err := os.ReadFile("/proc/self/maps")
	f.Mappings = float64(bytes.Count(maps, []byte("\n")))
	if err == nil && (f.Memory == 0 || f.Tables == 0) {
		err = errors.New("/proc/self/status does not tell what the process holds")
	}
	return f, err
}

func (f footprint) minus(g footprint, n int) footprint {
	each := func(a, b float64) float64 { return max(a-b, 0) / float64(n) }
	return footprint{each(f.Memory, g.Memory), each(f.Tables, g.Tables), each(f.Mappings, g.Mappings)}
}

// liveChild is the process in which n instances are alive at a time: it prints a
// live.
func liveChild(spec string, n int) error {
	ctx := context.Background()
	code := liveModule()
	var create func() (call func() error, err error)
	switch spec {
	case "davit":
		e, err := davit.NewEngine(nil)
		if err != nil {
			return err
		}
		m, err := e.Compile(ctx, code)
		if err != nil {
			return err
		}
		pre, err := davit.NewLinker(e).InstancePre(m)
		if err != nil {
			return err
		}
		create = func() (func() error, error) {
			s, err := davit.NewStore(e, nil)
			if err != nil {
				return nil, err
			}
			in, err := pre.Instantiate(ctx, s)
			return func() error { return in.Func("f").CallRaw(ctx, make([]uint64, 1)) }, err
		}
	case "wazero":
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
		m, err := r.CompileModule(ctx, code)
		if err != nil {
			return err
		}
		create = func() (func() error, error) {
			in, err := r.InstantiateModule(ctx, m, wazero.NewModuleConfig().WithName(""))
			var f api.Function
			return func() error {
				if f == nil {
					f = in.ExportedFunction("f") // which has a stack, and is kept
				}
				return f.CallWithStack(ctx, make([]uint64, 1))
			}, err
		}
	case "wasmtime":
		c, _, err := newWasmtimeConfig("")
		if err != nil {
			return err
		}
		e := wasmtime.NewEngineWithConfig(c)
		m, err := wasmtime.NewModule(e, code)
		if err != nil {
			return err
		}
		l := wasmtime.NewLinker(e)
		create = func() (func() error, error) {
			s := wasmtime.NewStore(e)
			in, err := l.Instantiate(s, m)
			return func() error { _, err := in.GetFunc(s, "f").Call(s, 1); return err }, err
		}
	default:
		return fmt.Errorf("instances of %q are not counted", spec)
	}
	for range 2 { // what is made once does not count
		call, err := create()
		if err == nil {
			err = call()
		}
		if err != nil {
			return err
		}
	}
	calls := make([]func() error, n)
	before, err := measureFootprint()
	if err != nil {
		return err
	}
	for i := range calls {
		if calls[i], err = create(); err != nil {
			return fmt.Errorf("instance %d: %w", i, err)
		}
	}
	made, err := measureFootprint()
	if err != nil {
		return err
	}
	for i, call := range calls {
		if err := call(); err != nil {
			return fmt.Errorf("calling instance %d: %w", i, err)
		}
	}
	called, err := measureFootprint()
	if err != nil {
		return err
	}
	runtime.KeepAlive(calls)
	return json.NewEncoder(os.Stdout).Encode(live{made.minus(before, n), called.minus(before, n)})
}

// liveApart measures instances in a process of its own.
func liveApart(spec string, n int) (l live, err error) {
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	out, err := exec.Command(self, "-child", spec, "-live", strconv.Itoa(n)).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return l, errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return l, err
	}
	return l, json.Unmarshal(out, &l)
}

// liveInstances measures what instances take that are alive at the same time.
func (b *bench) liveInstances() ([]*table, error) {
	n := 10_000
	if b.quick {
		n = 1000
	}
	specs := []string{"davit", "wazero", "wasmtime"}
	memory := b.newTable("live-memory", fmt.Sprintf("Memory of one of %d instances", n), "KB", specs)
	memory.About = "A small module with a memory of one page, each instance in a store of its own where there are stores, all alive in a process of its own: the growth of its resident set, and of the system's page tables, for each instance; when all were made, and when each was called once and has written to its memory."
	memory.Floor = 0.1
	mappings := b.newTable("live-mappings", fmt.Sprintf("Mappings of one of %d instances", n), "mappings", specs)
	mappings.About = "Of these, how many parts of the address space each takes, of which a process has no more than vm.max_map_count."
	addRow := func(t *table, name string) *row { b.progress(t, name); return t.add(name) }
	rows := []struct {
		row  *row
		what func(l live) float64
	}{
		{addRow(memory, "made"), func(l live) float64 { return l.Made.Memory }},
		{addRow(memory, "called"), func(l live) float64 { return l.Called.Memory }},
		{addRow(memory, "made: page tables"), func(l live) float64 { return l.Made.Tables }},
		{addRow(memory, "called: page tables"), func(l live) float64 { return l.Called.Tables }},
		{addRow(mappings, "made"), func(l live) float64 { return l.Made.Mappings }},
		{addRow(mappings, "called"), func(l live) float64 { return l.Called.Mappings }},
	}
	all := make([][]live, len(specs))
	b.sampleApart(rows[0].row.Cells, func(i int) (float64, error) {
		l, err := liveApart(specs[i], n)
		all[i] = append(all[i], l)
		return rows[0].what(l), err
	})
	for _, x := range rows[1:] {
		for i := range specs {
			if !rows[0].row.Cells[i].ok() {
				x.row.Cells[i].Absent = true
				continue
			}
			for _, l := range all[i] {
				x.row.Cells[i].Samples = append(x.row.Cells[i].Samples, x.what(l))
			}
		}
	}
	return []*table{memory, mappings}, nil
}
