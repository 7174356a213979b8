// Floating point: products of matrices whose elements are small whole numbers, so
// that the order of additions does not matter.
#include "bench.h"

enum { size = 200 };
static double a[size][size], b[size][size], c[size][size];

void run(void) {
	for (int i = 0; i < size; i++)
		for (int k = 0; k < size; k++) {
			a[i][k] = next() % 16;
			b[i][k] = next() % 16;
		}
	start();
	for (int round = 0; round < 8; round++) {
		for (int i = 0; i < size; i++)
			for (int k = 0; k < size; k++) {
				double sum = 0;
				for (int j = 0; j < size; j++)
					sum += a[i][j] * b[j][k];
				c[i][k] = sum;
			}
		a[round][round] += 1;
	}
	end();
	uint64_t sum = 0;
	for (int i = 0; i < size; i++)
		for (int k = 0; k < size; k++)
			sum = sum * 31 + (uint64_t)c[i][k];
	report(sum);
}
