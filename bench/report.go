package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// A report is all that a run has measured.
type report struct {
	Started time.Time `json:"started"`
	Took    float64   `json:"took"` // seconds
	Machine string    `json:"machine"`
	Engines []string  `json:"engines"` // with their versions
	Noise   *noise    `json:"noise"`
	Absent  []string  `json:"absent,omitempty"` // what is not installed
	Tables  []*table  `json:"tables"`
}

func (r *report) write(path string) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}

func readReport(path string) (*report, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if r.Noise == nil {
		r.Noise = &noise{}
	}
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			if len(row.Cells) != len(t.Cols) || t.Base < 0 || t.Base >= len(t.Cols) {
				return nil, fmt.Errorf("%s: table %s: row %s has %d cells for %d columns", path, t.ID, row.Name, len(row.Cells), len(t.Cols))
			}
		}
	}
	return r, nil
}

// failures are the cells of all tables that failed, a line each.
func (r *report) failures() (list []string) {
	for _, t := range r.Tables {
		list = append(list, t.failures()...)
	}
	return list
}

// machine describes the processor.
func machine() string {
	model := runtime.GOARCH
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d processors, %s, %s", model, runtime.NumCPU(), runtime.GOOS, runtime.Version())
}

// versions are those of the peers.
func versions(specs []string) (list []string) {
	modules := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			modules[m.Path] = m.Version
		}
	}
	for _, spec := range specs {
		kind, _, _ := strings.Cut(spec, ":")
		version := ""
		switch kind {
		case "davit":
			version = output("git", "describe", "--always", "--dirty")
		case "wasmtime":
			version = modules["github.com/bytecodealliance/wasmtime-go/v39"]
		case "wazero":
			version = modules["github.com/tetratelabs/wazero"]
		case "v8":
			version = output("node", "-p", "process.versions.v8 + ' in node ' + process.versions.node")
		}
		list = append(list, strings.TrimSpace(spec+" "+version))
	}
	return list
}

// output is what a program prints; "" if it cannot be run.
func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
