(module
  ;; Without loops and calls, nothing is written: the function's beginning is counted by
  ;; who calls it.
  (func (param $n i32) (result i32) (local.get $n))
  ;; Turns are counted in a register, and memory learns of them at the end.
  (func (param $n i32)
    (loop $l
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  ;; Or before a call; what is left is read after it.
  (func (param $n i32)
    (loop $l
      (drop (call 0 (local.get $n)))
      (br $l)))
  ;; Calls alone count, too.
  (func (result i32) (return_call 3)))
