// Calls: the naive recursion.
#include "bench.h"

static volatile int n = 35;

__attribute__((noinline)) static uint32_t fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

void run(void) {
	start();
	uint32_t r = fib(n);
	end();
	report(r);
}
