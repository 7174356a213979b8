package davit

import (
	"cmp"

	"github.com/davit-wasm/davit/internal/perf"
	"github.com/davit-wasm/davit/internal/vm"
)

// tellPerf is the function that tells perf of modules, as c says.
func tellPerf(c *Config) (func(m *vm.Module) error, error) {
	var symbols *perf.Map
	var dump *perf.Dump
	var err error
	if c.PerfMap {
		if symbols, err = perf.OpenMap(); err != nil {
			return nil, err
		}
	}
	if c.JITDump != "" {
		if dump, err = perf.OpenDump(c.JITDump); err != nil {
			return nil, err
		}
	}
	return func(m *vm.Module) (err error) {
		list := m.Symbols(dump != nil)
		if symbols != nil {
			err = symbols.Add(list)
		}
		if dump != nil {
			err = cmp.Or(err, dump.Add(list))
		}
		return err
	}, nil
}
