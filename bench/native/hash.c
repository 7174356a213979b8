// Integer arithmetic: a hash of four lanes with rotations and products, over
// blocks of 32 bytes.
#include "bench.h"

enum { size = 1 << 16 };
static uint8_t data[size];

static inline uint64_t rotate(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline uint64_t load(const uint8_t *p) {
	uint64_t x;
	__builtin_memcpy(&x, p, sizeof x);
	return x;
}

__attribute__((noinline)) static uint64_t hash(const uint8_t *p, size_t n, uint64_t key) {
	uint64_t v[4] = {key, ~key, key * 3, rotate(key, 32)};
	for (; n >= 32; p += 32, n -= 32)
		for (int i = 0; i < 4; i++) {
			v[i] ^= load(p + 8 * i) * 0x9e3779b97f4a7c15ULL;
			v[i] = rotate(v[i], 31 - i) + v[(i + 1) & 3];
		}
	uint64_t h = 0;
	for (int i = 0; i < 4; i++)
		h = rotate(h ^ v[i], 27) * 0xff51afd7ed558ccdULL;
	return h ^ h >> 29;
}

void run(void) {
	for (int i = 0; i < size; i++)
		data[i] = next();
	uint64_t h = 1;
	start();
	for (int round = 0; round < 2000; round++)
		h = hash(data, size, h);
	end();
	report(h);
}
