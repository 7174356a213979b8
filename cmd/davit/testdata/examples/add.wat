(module
  (func)
  (func)
  (func)
  (func $sub (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
