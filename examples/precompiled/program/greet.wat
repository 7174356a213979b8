(module
  (import "go" "print" (func $print (param i32)))
  (func (export "greet") (param $n i32) (result i32)
    (local.set $n (i32.add (i32.const 2) (i32.mul (i32.const 2) (local.get $n))))
    (call $print (local.get $n))
    (local.get $n)))
