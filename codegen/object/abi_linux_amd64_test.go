package object

import (
	"path/filepath"
	"testing"
)

// TestConventionOfC calls functions in C and is called by C with what the
// System V convention has rules of its own for: integers of 128 bits in registers
// and on the stack, variadic functions, structs in memory, both ways.
func TestConventionOfC(t *testing.T) {
	gcc := tool(t, "gcc")
	const program = `
#include <stdarg.h>
#include <stdio.h>
typedef __int128 wide;
typedef struct { long a, b, c; } big;
wide c_wide(long a, wide p, long b, wide q, wide r, long c, wide s) { return p + 2*q + 3*r + 5*s + 7*a + 11*b + 13*c; }
double c_sum(int n, ...) {
	double sum = 0;
	va_list l;
	va_start(l, n);
	for (int i = 0; i < n; i++) sum += va_arg(l, double) * (va_arg(l, long) + 1);
	va_end(l);
	return sum;
}
big c_make(long x) { return (big){x, x + 1, x + 2}; }
long c_take(int k, big s, double d, big t) { return k + s.a + 10*s.b + 100*s.c + 1000*(t.c - t.a) + (long)d; }
int c_narrow(signed char a, unsigned short b) { return a * 1000 + b; }

extern wide our_wide(long a, wide p, long b, wide q, wide r, long c, wide s), through_wide(long a, wide p, long b, wide q, wide r, long c, wide s);
extern big our_make(long x);
extern long our_take(int k, big s, double d, big t), through_take(big *s, long k, double d);
extern double through_sum(double, double, long);
extern long through_make(long x, big *to);
extern int through_narrow(int a, int b);

int main(void) {
	wide x = ((wide)0x0123456789abcdef << 64) | 0xfedcba9876543210, y = -x * 3;
	if (our_wide(1, x, 2, y, x + y, 3, -y) != c_wide(1, x, 2, y, x + y, 3, -y)) return 1;
	if (through_wide(1, x, 2, y, x + y, 3, -y) != c_wide(1, x, 2, y, x + y, 3, -y)) return 2;
	big b = our_make(40);
	if (b.a != 40 || b.b != 41 || b.c != 42) return 3;
	big c = {0, 0, 0};
	if (through_make(50, &c) != (long)&c || c.a != 50 || c.c != 52) return 4;
	if (our_take(1, b, 2.5, c) != c_take(1, b, 2.5, c)) return 5;
	if (through_take(&b, 3, 4.5) != c_take(3, b, 4.5, b) || b.a != 40) return 6;
	if (through_sum(1.5, 2.5, 3) != c_sum(4, 1.5, 3L, 2.5, 4L, 1.5, 3L, 1.0, 0L)) return 7;
	if (through_narrow(0x1ff80, 0x12345) != c_narrow(-128, 0x2345)) return 8;
	puts("fine");
	return 0;
}`
	m := newModule(t, "x86_64-linux", Options{})
	define(t, m, `
function %our_wide(i64, i128, i64, i128, i128, i64, i128) -> i128 system_v {
block0(v0: i64, v1: i128, v2: i64, v3: i128, v4: i128, v5: i64, v6: i128):
    v7 = iconst.i64 2
    v8 = uextend.i128 v7
    v9 = imul v3, v8
    v10 = iadd v1, v9
    v11 = iconst.i64 3
    v12 = uextend.i128 v11
    v13 = imul v4, v12
    v14 = iadd v10, v13
    v15 = iconst.i64 5
    v16 = uextend.i128 v15
    v17 = imul v6, v16
    v18 = iadd v14, v17
    v19 = iconst.i64 7
    v20 = imul v0, v19
    v21 = iconst.i64 11
    v22 = imul v2, v21
    v23 = iconst.i64 13
    v24 = imul v5, v23
    v25 = iadd v20, v22
    v26 = iadd v25, v24
    v27 = sextend.i128 v26
    v28 = iadd v18, v27
    return v28
}
function %through_wide(i64, i128, i64, i128, i128, i64, i128) -> i128 system_v {
    fn0 = %c_wide(i64, i128, i64, i128, i128, i64, i128) -> i128 system_v
block0(v0: i64, v1: i128, v2: i64, v3: i128, v4: i128, v5: i64, v6: i128):
    v7 = call fn0(v0, v1, v2, v3, v4, v5, v6)
    return v7
}
function %our_make(i64 sret, i64) system_v {
block0(v0: i64, v1: i64):
    v2 = iconst.i64 1
    v3 = iadd v1, v2
    v4 = iadd v3, v2
    store v1, v0
    store v3, v0+8
    store v4, v0+16
    return
}
function %through_make(i64, i64) -> i64 system_v {
    fn0 = %c_make(i64 sret, i64) system_v
block0(v0: i64, v1: i64):
    call fn0(v1, v0)
    return v1
}
function %our_take(i32, i64 sarg(24), f64, i64 sarg(24)) -> i64 system_v {
    fn0 = %c_take(i32, i64 sarg(24), f64, i64 sarg(24)) -> i64 system_v
block0(v0: i32, v1: i64, v2: f64, v3: i64):
    v4 = call fn0(v0, v1, v2, v3)
    return v4
}
function %through_take(i64, i64, f64) -> i64 system_v {
    fn0 = %our_take(i32, i64 sarg(24), f64, i64 sarg(24)) -> i64 system_v
block0(v0: i64, v1: i64, v2: f64):
    v3 = ireduce.i32 v1
    v4 = call fn0(v3, v0, v2, v0)
    return v4
}
function %through_sum(f64, f64, i64) -> f64 system_v {
    fn0 = %c_sum(i32, f64, i64, f64, i64, f64, i64, f64, i64) -> f64 system_v
block0(v0: f64, v1: f64, v2: i64):
    v3 = iconst.i32 4
    v4 = iconst.i64 1
    v5 = iadd v2, v4
    v6 = f64const 1.0
    v7 = iconst.i64 0
    v8 = call fn0(v3, v0, v2, v1, v5, v0, v2, v6, v7)
    return v8
}
function %through_narrow(i32, i32) -> i32 system_v {
    fn0 = %c_narrow(i8 sext, i16 uext) -> i32 system_v
block0(v0: i32, v1: i32):
    v2 = ireduce.i8 v0
    v3 = ireduce.i16 v1
    v4 = call fn0(v2, v3)
    return v4
}`)
	dir := files(t, m, map[string]string{"main.c": program})
	run(t, dir, gcc, "-O2", "-Wall", "-Werror", "main.c", "ours.o", "-o", "program")
	if out := run(t, dir, filepath.Join(dir, "program")); out != "fine\n" {
		t.Errorf("output %q", out)
	}
}
