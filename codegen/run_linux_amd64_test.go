package codegen_test

import "testing"

func TestFib(t *testing.T) {
	m := build(t, `
function %fib(i32) -> i32 tail {
  fn0 = colocated %fib(i32) -> i32 tail
block0(v0: i32):
  v1 = iconst.i32 2
  v2 = icmp ult v0, v1
  brif v2, block1, block2
block1:
  return v0
block2:
  v3 = iconst.i32 -1
  v4 = iadd v0, v3
  v5 = call fn0(v4)
  v6 = iconst.i32 -2
  v7 = iadd v0, v6
  v8 = call fn0(v7)
  v9 = iadd v5, v8
  return v9
}`)
	if got := uint32(m.call1("fib", 20)); got != 6765 {
		t.Errorf("fib(20) = %d", got)
	}
}
