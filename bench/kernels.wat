;; Kernels for the first measurements: calls both ways, recursion, memory.
(module
  (import "env" "nop" (func $nop (param i32) (result i32)))
  (memory (export "memory") 64)
  (func (export "id") (param i32) (result i32) (local.get 0))
  ;; n calls of the host
  (func (export "g2h") (param $n i32) (result i32) (local $a i32)
    (loop $l
      (local.set $a (call $nop (local.get $a)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $a))
  ;; n passes over 256 KiB of i32
  (func (export "memsum") (param $n i32) (result i32) (local $p i32) (local $s i32)
    (loop $pass
      (local.set $p (i32.const 0))
      (loop $l
        (local.set $s (i32.add (local.get $s) (i32.load (local.get $p))))
        (br_if $l (i32.lt_u (local.tee $p (i32.add (local.get $p) (i32.const 4))) (i32.const 262144))))
      (br_if $pass (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $s))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add
        (call $fib (i32.sub (local.get 0) (i32.const 1)))
        (call $fib (i32.sub (local.get 0) (i32.const 2))))))))
