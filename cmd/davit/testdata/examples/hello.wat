;; A program that greets: a WASI 0.1 command, written by hand.
;; Run it with: go run ./cmd/davit run examples/hello/hello.wat
(module $hello
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param $fd i32) (param $iovs i32) (param $len i32) (param $written i32) (result i32)))

  (memory (export "memory") 1)

  ;; What to write: one buffer, its address and its length, and then the text.
  (data (i32.const 0) "\08\00\00\00\18\00\00\00")
  (data (i32.const 8) "Hello from WebAssembly!\n")

  (func $start (export "_start")
    ;; 1 is the standard output; the number of bytes written goes to address 64.
    (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))
    (if (then unreachable))))
