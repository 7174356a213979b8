package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/davit-wasm/davit/wat"
)

// readModule reads a module in the binary or text format and returns it in the
// binary format.
func readModule(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(data, []byte("\x00asm")) {
		return data, nil
	}
	if !isText(data) {
		return nil, fmt.Errorf("%s is no WebAssembly module: it has neither the binary format's magic number nor text", file)
	}
	code, err := wat.Compile(data, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return code, nil
}

// isText reports whether data may be a module in the text format: its first
// character that is no space begins a list or a comment.
func isText(data []byte) bool {
	data = bytes.TrimLeft(data, " \t\r\n")
	return len(data) > 0 && (data[0] == '(' || data[0] == ';')
}
