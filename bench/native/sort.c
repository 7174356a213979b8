// Comparisons that cannot be predicted: quicksort with insertion sort for short
// ranges, and a comparison by pointer.
#include "bench.h"

enum { size = 400000 };
static uint32_t list[size];

typedef int compare(uint32_t, uint32_t);

static int ascending(uint32_t a, uint32_t b) { return a < b; }
static int by_low_bits(uint32_t a, uint32_t b) { return (a & 0xffff) != (b & 0xffff) ? (a & 0xffff) < (b & 0xffff) : a < b; }

static compare *volatile orders[] = {ascending, by_low_bits};

static void sort(uint32_t *a, int n, compare *less) {
	while (n > 16) {
		uint32_t pivot = a[n / 2];
		int i = 0, k = n - 1;
		while (i <= k) {
			while (less(a[i], pivot))
				i++;
			while (less(pivot, a[k]))
				k--;
			if (i <= k) {
				uint32_t t = a[i];
				a[i++] = a[k];
				a[k--] = t;
			}
		}
		if (k + 1 < n - i) {
			sort(a, k + 1, less);
			a += i;
			n -= i;
		} else {
			sort(a + i, n - i, less);
			n = k + 1;
		}
	}
	for (int i = 1; i < n; i++) {
		uint32_t x = a[i];
		int k = i;
		for (; k > 0 && less(x, a[k - 1]); k--)
			a[k] = a[k - 1];
		a[k] = x;
	}
}

void run(void) {
	for (int i = 0; i < size; i++)
		list[i] = next();
	start();
	sort(list, size, orders[0]);
	sort(list, size, orders[1]);
	end();
	uint64_t sum = 0;
	for (int i = 0; i < size; i++)
		sum = sum * 31 + list[i];
	report(sum);
}
