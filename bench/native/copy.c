// Copies: of overlapping ranges, byte by byte in the direction that is right, and
// of ranges apart, by whatever the compiler makes of the loop.
#include "bench.h"

enum { size = 1 << 16 };
static uint8_t buffer[2 * size];

__attribute__((noinline)) static void move(uint8_t *to, const uint8_t *from, size_t n) {
	if (to < from)
		for (size_t i = 0; i < n; i++)
			to[i] = from[i];
	else
		for (size_t i = n; i-- > 0;)
			to[i] = from[i];
}

__attribute__((noinline)) static void copy(uint8_t *restrict to, const uint8_t *restrict from, size_t n) {
	for (size_t i = 0; i < n; i++)
		to[i] = from[i];
}

void run(void) {
	for (int i = 0; i < 2 * size; i++)
		buffer[i] = next();
	start();
	for (int round = 0; round < 200; round++) {
		move(buffer + 7, buffer, size);
		move(buffer + round, buffer + 3 * round, size);
		for (int n = 1; n < 64; n++)
			copy(buffer + size + n, buffer + n * 5, n);
		copy(buffer + size, buffer, size - 1);
	}
	end();
	uint64_t sum = 0;
	for (int i = 0; i < 2 * size; i++)
		sum = sum * 31 + buffer[i];
	report(sum);
}
