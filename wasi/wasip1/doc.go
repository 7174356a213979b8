// Package wasip1 gives WebAssembly programs the system interface that WASI 0.1
// (`wasi_snapshot_preview1`) describes: arguments, environment, standard
// streams, clocks, random numbers, and files below directories that the
// embedder hands in.
//
// A [Process] is the world of one program. Nothing is reachable that is not
// named in its [Config]: no file outside the given directories (they are
// confined by [os.Root], whatever symbolic links and `..` say), no environment
// variable, no network.
package wasip1
