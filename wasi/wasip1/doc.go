// Package wasip1 gives WebAssembly programs the system interface that WASI 0.1
// (wasi_snapshot_preview1, and its forerunner wasi_unstable) describes:
// arguments, environment, standard streams, clocks, random numbers, sockets that
// they are handed, and files below directories that they are given.
//
// A [Process] is the world of one program. [New] makes it from a [Config],
// [Process.Define] gives its functions to a linker, and calling the program's
// export "_start" runs it: the call ends with a [*davit.ExitError] if the
// program exits with a code, or is ended by a signal that it raises (128 and the
// signal's number).
//
// # Nothing is reachable that was not given
//
// The zero Config is a program without arguments, variables, input, files and
// network. Each [Mount] makes one directory visible, which may be a directory of
// the host, an [fs.FS], or any file system of the embedder's (package
// [github.com/davit-wasm/davit/wasi/vfs], which has one in memory). Whatever
// paths a program uses, with "..", slashes and symbolic links in them,
// absolute ones and links that something else replaces meanwhile, it stays
// below the directory: those of the host are confined by [os.Root], and others
// are walked by this package. Read-only mounts and missing rights are refused in
// every function.
//
// Devices and mount points below a directory of the host can be reached like
// files; do not mount directories that have some a program should not use.
//
// # Waiting
//
// A program that waits, for input, output, time or connections, is ended with
// the context of its call, whose cause is then the error of the call. Long
// reads, writes and listings look at the context too.
//
// # Limits
//
// [Limits] bound descriptors, listings, buffers and paths; the defaults are
// stated there. Addresses outside a program's memory are EFAULT.
//
// # Concurrency
//
// A process serves one program at a time. Its functions may be called from any
// goroutine, and [Process.Close] at any time.
package wasip1
