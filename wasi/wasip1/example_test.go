//go:build linux && amd64

// The examples run programs, which not every system can.

package wasip1_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/vfs"
	"github.com/davit-wasm/davit/wasi/wasip1"
	"github.com/davit-wasm/davit/wat"
)

// runText runs a program, given as text, and returns its exit code.
func runText(source string, config *wasip1.Config) uint32 {
	ctx := context.Background()
	code, err := wat.Compile([]byte(source), nil)
	if err != nil {
		log.Fatal(err)
	}
	engine, err := davit.NewEngine(nil)
	if err != nil {
		log.Fatal(err)
	}
	module, err := engine.Compile(ctx, code)
	if err != nil {
		log.Fatal(err)
	}
	defer module.Close()
	store, err := davit.NewStore(engine, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	process, err := wasip1.New(config)
	if err != nil {
		log.Fatal(err)
	}
	defer process.Close()
	linker := davit.NewLinker(engine)
	if err := process.Define(linker); err != nil {
		log.Fatal(err)
	}
	instance, err := linker.Instantiate(ctx, store, module)
	if err != nil {
		log.Fatal(err)
	}
	_, err = instance.Func("_start").Call(ctx)
	var exit *davit.ExitError
	switch {
	case errors.As(err, &exit):
		return exit.Code
	case err != nil:
		log.Fatal(err)
	}
	return 0
}

// hello is a program that prints a line and exits with code 3.
const hello = `(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello\n")
  (data (i32.const 0) "\10\00\00\00\06\00\00\00")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (call $exit (i32.const 3))))`

// The output of a program can go to any io.Writer.
func Example_output() {
	var stdout bytes.Buffer
	code := runText(hello, &wasip1.Config{Args: []string{"hello"}, Stdout: &stdout})
	fmt.Printf("%q, exit code %d\n", stdout.String(), code)
	// Output: "hello\n", exit code 3
}

// copyProgram is a program that copies the first 1000 bytes of file "in" in its
// first directory to file "out" in its second one.
const copyProgram = `(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 100) "inout")
  (data (i32.const 0) "\00\10\00\00\e8\03\00\00") ;; a buffer at 4096: its length, 1000, becomes what was read
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $exit (local.get $errno)))))
  (func (export "_start")
    (call $check (call $open (i32.const 3) (i32.const 1) (i32.const 100) (i32.const 2) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))
    (call $check (call $open (i32.const 4) (i32.const 1) (i32.const 102) (i32.const 3) (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 12)))
    (call $check (call $read (i32.load (i32.const 8)) (i32.const 0) (i32.const 1) (i32.const 4)))
    (call $check (call $write (i32.load (i32.const 12)) (i32.const 0) (i32.const 1) (i32.const 16)))))`

// A program gets directories of the host, each under a name of its own, and
// nothing else of the host's files.
func Example_directories() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	data, results := filepath.Join(dir, "data"), filepath.Join(dir, "results")
	for _, d := range []string{data, results} {
		if err := os.Mkdir(d, 0o777); err != nil {
			log.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(data, "in"), []byte("some data"), 0o666); err != nil {
		log.Fatal(err)
	}
	code := runText(copyProgram, &wasip1.Config{Mounts: []wasip1.Mount{
		{Guest: "/data", Host: data, ReadOnly: true},
		{Guest: "/results", Host: results},
	}})
	out, err := os.ReadFile(filepath.Join(results, "out"))
	fmt.Printf("%q, %v, exit code %d\n", out, err, code)
	// Output: "some data", <nil>, exit code 0
}

// Files need not be on the host: input can come from an fs.FS, such as an
// embed.FS, and results can stay in memory.
func Example_inMemory() {
	input := fstest.MapFS{"in": {Data: []byte("some data")}}
	results := vfs.NewMem(&vfs.MemOptions{MaxBytes: 1 << 20})
	code := runText(copyProgram, &wasip1.Config{Mounts: []wasip1.Mount{
		{Guest: "/data", FS: input},
		{Guest: "/results", Dir: results.Root()},
	}})
	out, err := results.ReadFile("out")
	fmt.Printf("%q, %v, exit code %d\n", out, err, code)
	// Output: "some data", <nil>, exit code 0
}

// seconds is a program whose exit code is the time, in seconds since 1970.
const seconds = `(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $time (i32.const 0) (i64.const 0) (i32.const 0)))
    (call $exit (i32.wrap_i64 (i64.div_u (i64.load (i32.const 0)) (i64.const 1000000000))))))`

// Time, and with it everything that a program does, can be made the same in
// every run: by clocks that stand still but for sleeping, and random numbers
// that are none.
func Example_clock() {
	var elapsed time.Duration
	code := runText(seconds, &wasip1.Config{
		Now:       func() time.Time { return time.Unix(42, 0).Add(elapsed) },
		Monotonic: func() time.Duration { return elapsed },
		Sleep:     func(ctx context.Context, d time.Duration) error { elapsed += d; return ctx.Err() },
		Random:    zeros{},
	})
	fmt.Println("exit code", code)
	// Output: exit code 42
}

// zeros is a source of numbers that are not random at all.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
