(module
  (memory 1)
  ;; The function's beginning and each turn are charged at once and asked for; the
  ;; store, which may trap, finds memory up to date.
  (func (param $n i32)
    (loop $l
      (i32.store (local.get $n) (i32.const 0))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; A branch splits segments. Memory is written once, before the function ends.
  (func (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.const 1))
      (else (i32.add (local.get $n) (i32.const 2)))))
  ;; What is left is written before a call, and read after it.
  (func (param $n i32) (result i32)
    (call 1 (i32.add (call 1 (local.get $n)) (i32.const 1)))))
