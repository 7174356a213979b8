package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// stdinName is the name of a file that stands for standard input.
const stdinName = "-"

// Sizes of the largest files that are read: modules may have 1 GiB; what is no
// ordinary file might never end.
const (
	maxFile   = 1 << 30
	maxStream = 256 << 20
)

// readFile reads a file, or standard input.
func readFile(cmd *cobra.Command, file string) ([]byte, error) {
	if file == stdinName {
		return readAll(cmd.InOrStdin(), "standard input", maxStream)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, withHint(err, missingFileHint(file, err))
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, fmt.Errorf("%s is a folder, want a file", file)
	case !info.Mode().IsRegular():
		return readAll(f, file, maxStream)
	case info.Size() > maxFile:
		return nil, tooLarge(file, maxFile)
	}
	b := bytes.NewBuffer(make([]byte, 0, info.Size()+bytes.MinRead))
	if _, err := b.ReadFrom(io.LimitReader(f, maxFile+1)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// readAll reads what must not be longer than limit.
func readAll(r io.Reader, name string, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = tooLarge(name, limit)
	}
	return data, err
}

func tooLarge(name string, limit int64) error {
	return fmt.Errorf("%s is too large for a module: at most %d MiB are read", name, limit>>20)
}

// missingFileHint says which file of the folder may have been meant.
func missingFileHint(file string, err error) string {
	if !errors.Is(err, os.ErrNotExist) {
		return ""
	}
	dir, name := "", file
	if i := strings.LastIndexByte(file, '/'); i >= 0 {
		dir, name = file[:i+1], file[i+1:]
	}
	if strings.HasPrefix(name, "-") {
		return "flags go before the file"
	}
	folder, err := os.Open(orElse(dir, "."))
	if err != nil {
		return ""
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(10_000)
	return didYouMean(near(name, names), dir)
}

// module is a module as read from a file.
type module struct {
	file     string
	binary   []byte // nil of an artifact
	text     []byte // what it was in the text format, or nil
	artifact []byte // the beginning of an artifact, or all of it if it came from standard input

	decoded   *wasm.Module  // for place
	positions wat.Positions // for place
}

// readModule reads a module in the binary or text format, as is told by what is
// in the file.
func readModule(cmd *cobra.Command, file string) (*module, error) {
	data, err := readFile(cmd, file)
	if err != nil {
		return nil, err
	}
	return moduleOf(file, data)
}

// moduleOf is the module that data holds.
func moduleOf(file string, data []byte) (*module, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\x00asm")):
		if len(data) >= 8 && data[6] != 0 { // the layer, where the version of modules has zeros
			return nil, componentError(file)
		}
		return &module{file: file, binary: data}, nil
	case !isText(data):
		what := describeFile(data)
		return nil, withHint(fmt.Errorf("%s is no WebAssembly module: it has neither the binary format's magic number nor text", file), what)
	}
	code, err := wat.Compile(data, nil)
	if err != nil {
		return nil, textError(file, data, err)
	}
	return &module{file: file, binary: code, text: data}, nil
}

// readProgram is readModule for what is to be run: an artifact will do too.
func readProgram(cmd *cobra.Command, file string) (*module, error) {
	if file == stdinName {
		data, err := readFile(cmd, file)
		if err != nil {
			return nil, err
		}
		if davit.IsArtifact(data) {
			return &module{file: file, artifact: data}, nil
		}
		return moduleOf(file, data)
	}
	if f, err := os.Open(file); err == nil {
		start := make([]byte, 512)
		n, err := io.ReadFull(f, start)
		f.Close()
		if (err == nil || err == io.ErrUnexpectedEOF) && davit.IsArtifact(start[:n]) {
			return &module{file: file, artifact: start[:n]}, nil
		}
	}
	return readModule(cmd, file)
}

// load loads an artifact.
func (code *module) load(engine *davit.Engine) (*davit.Module, error) {
	if code.file == stdinName {
		return engine.LoadModule(code.artifact)
	}
	return engine.LoadModuleFile(code.file)
}

// textError is an error of the parser with advice.
func textError(file string, text []byte, err error) error {
	rest := skipSpace(text)
	word := func(s string) bool { return bytes.HasPrefix(rest, []byte("("+s)) }
	switch {
	case word("component"):
		return componentError(file)
	case bytes.Contains(text, []byte("(assert_")) || bytes.Contains(text, []byte("(invoke ")) || strings.HasSuffix(file, ".wast"):
		return withHint(inFile(file, err), "if it is a test script: 'davit wast "+file+"' runs it")
	}
	return inFile(file, err)
}

// componentError refuses a component.
func componentError(file string) error {
	return withHint(fmt.Errorf("%s is a component; davit runs core modules", file),
		"build the program for WASI 0.1 instead: wasm32-wasip1 as the target in Rust and C, GOOS=wasip1 GOARCH=wasm in Go")
}

// isText reports whether data may be a module in the text format: its first
// character that is no space begins a list or a comment.
func isText(data []byte) bool {
	data = bytes.TrimPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("\xef\xbb\xbf"))
	return len(data) > 0 && (data[0] == '(' || bytes.HasPrefix(data, []byte(";;")))
}

// skipSpace is what follows the spaces and comments that text begins with.
func skipSpace(text []byte) []byte {
	for {
		text = bytes.TrimLeft(text, " \t\r\n")
		switch {
		case bytes.HasPrefix(text, []byte(";;")):
			end := bytes.IndexByte(text, '\n')
			if end < 0 {
				return nil
			}
			text = text[end:]
		case bytes.HasPrefix(text, []byte("(;")):
			end := bytes.Index(text, []byte(";)"))
			if end < 0 {
				return nil
			}
			text = text[end+2:]
		default:
			return text
		}
	}
}

// describeFile says what a file seems to be that is no module, or nothing.
func describeFile(data []byte) string {
	if davit.IsArtifact(data) {
		return "it is a compiled module: 'davit run' runs it, 'davit objdump' shows what is in it"
	}
	for _, f := range []struct{ magic, what string }{
		{"\x7fELF", "it is a program or object file for this or another machine; build it for the target wasm32-wasip1"},
		{"MZ", "it is a program for Windows; build it for the target wasm32-wasip1"},
		{"\xcf\xfa\xed\xfe", "it is a program or object file for macOS; build it for the target wasm32-wasip1"},
		{"\x1f\x8b", "it is compressed with gzip; unpack it first"},
		{"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"},
		{"PK\x03\x04", "it is a zip archive; unpack it first"},
		{"!<arch>\n", "it is an archive of object files; link it to a module first"},
		{"\xff\xfe", "it is text in UTF-16; the text format is UTF-8"},
		{"\xfe\xff", "it is text in UTF-16; the text format is UTF-8"},
		{"#!", "it is a script for a shell or another interpreter"},
		{"<", "it is a page or document; was it downloaded from the right place?"},
		{"version https://git-lfs", "it is a pointer of Git LFS; 'git lfs pull' fetches the file"},
	} {
		if bytes.HasPrefix(data, []byte(f.magic)) {
			return f.what
		}
	}
	switch {
	case len(data) == 0:
		return "the file is empty"
	case !utf8.Valid(data):
		return ""
	}
	return "a module in the text format begins with (module"
}

func isFile(name string) bool {
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}
