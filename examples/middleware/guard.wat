;; Middleware for examples/middleware. The host calls handle for each request;
;; it answers 0 to let the request pass, or a status to refuse it with.
(module
  ;; Copies the path into memory, at most cap bytes; the result is its length.
  (import "http" "path" (func $path (param $at i32) (param $cap i32) (result i32)))
  ;; Sets a header of the response.
  (import "http" "set_header"
    (func $set_header (param $name i32) (param $name_len i32) (param $value i32) (param $value_len i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "/admin")
  (data (i32.const 16) "x-guard")
  (data (i32.const 32) "wasm")
  (global $buffer i32 (i32.const 1024))

  ;; Whether the path begins with "/admin".
  (func $is_admin (param $len i32) (result i32) (local $i i32)
    (if (i32.lt_u (local.get $len) (i32.const 6)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.ne (i32.load8_u (i32.add (global.get $buffer) (local.get $i))) (i32.load8_u (local.get $i)))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 6))))
    (i32.const 1))

  (func (export "handle") (result i32)
    (call $set_header (i32.const 16) (i32.const 7) (i32.const 32) (i32.const 4))
    (if (result i32) (call $is_admin (call $path (global.get $buffer) (i32.const 2048)))
      (then (i32.const 403))
      (else (i32.const 0)))))
