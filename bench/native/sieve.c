// Stores with strides: the sieve of Eratosthenes, several times.
#include "bench.h"

enum { limit = 1000000 };
static uint8_t composite[limit + 1];

void run(void) {
	uint64_t sum = 0;
	start();
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i <= limit; i++)
			composite[i] = 0;
		for (int i = 2; i * i <= limit; i++)
			if (!composite[i])
				for (int k = i * i; k <= limit; k += i)
					composite[k] = 1;
		for (int i = 2; i <= limit; i++)
			if (!composite[i])
				sum += i ^ round;
	}
	end();
	report(sum);
}
