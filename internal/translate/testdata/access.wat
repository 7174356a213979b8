;; Guard pages confine a memory: what is accessed takes no check. Its base is read where a
;; function begins.
(module
  (type $unary (func (param i32) (result i32)))
  (memory 1)
  (table 4 funcref)
  (global $g (mut i32) (i32.const 0))

  (func $load (param i32) (result i32)
    (i32.load offset=8 (local.get 0)))

  ;; Known small sizes are copied and filled in place.
  (func $copy (param i32 i32)
    (memory.copy (local.get 0) (local.get 1) (i32.const 20)))

  (func $fill (param i32)
    (memory.fill (local.get 0) (i32.const 0) (i32.const 16)))

  ;; Others call a routine.
  (func $move (param i32 i32 i32)
    (memory.copy (local.get 0) (local.get 1) (local.get 2)))

  ;; Functions of the module are called directly, with the same context.
  (func $direct (param i32) (result i32)
    (call $load (local.get 0)))

  ;; The element chosen is at address 0 beyond the end of the table; that it is null is found
  ;; by the fault when its type is read.
  (func $indirect (param i32 i32) (result i32)
    (call_indirect (type $unary) (local.get 0) (local.get 1)))

  ;; An index that is inside, whatever its operands are, is not looked at.
  (func $inside (param i32 i32) (result i32)
    (call_indirect (type $unary) (local.get 0) (i32.and (local.get 1) (i32.const 3))))

  ;; Globals lie in the context.
  (func $global (result i32)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (global.get $g))

  ;; Vectors keep their lanes from one instruction to the next.
  (func $vector (param v128 v128) (result v128)
    (i32x4.mul (i32x4.add (local.get 0) (local.get 1)) (i32x4.abs (local.get 1)))))
