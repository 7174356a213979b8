;; Without guard pages accesses are checked, by a choice that speculation does not get around.
(module
  (memory 1)

  (func $load (param i32) (result i32)
    (i32.load offset=8 (local.get 0)))

  ;; Not where index and offset are below the least size of the memory.
  (func $masked (param i32) (result i32)
    (i32.load offset=64512 (i32.shl (i32.and (local.get 0) (i32.const 255)) (i32.const 2))))

  ;; The accesses to one object choose alike, so that the optimizer leaves one choice.
  (func $object (param i32) (result i32)
    (i32.add (i32.load offset=8 (local.get 0)) (i32.load offset=12 (local.get 0)))))
