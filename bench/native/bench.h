// What kernels are made with: a kernel defines run, which calls start and end
// around what is to be timed, and reports what it has computed.
//
// Without a C library, as WebAssembly for WASI 0.1, or natively as a program that
// writes the processor time in nanoseconds to the standard error stream.
#include <stddef.h>
#include <stdint.h>

void run(void);

#ifdef __wasm__

__attribute__((import_module("bench"), import_name("start"))) void start(void);
__attribute__((import_module("bench"), import_name("end"))) void end(void);

struct iovec {
	const void *base;
	size_t len;
};

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write"))) int
fd_write(int fd, const struct iovec *list, size_t n, size_t *written);

static void put(const char *text, size_t len) {
	struct iovec v = {text, len};
	size_t written;
	fd_write(1, &v, 1, &written);
}

void _start(void) { run(); }

#else

#include <stdio.h>
#include <time.h>

static struct timespec started;
static long long took;

static void start(void) { clock_gettime(CLOCK_THREAD_CPUTIME_ID, &started); }

static void end(void) {
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	took += (now.tv_sec - started.tv_sec) * 1000000000LL + (now.tv_nsec - started.tv_nsec);
}

static void put(const char *text, size_t len) { fwrite(text, 1, len, stdout); }

int main(void) {
	run();
	fprintf(stderr, "%lld\n", took);
	return 0;
}

#endif

// report prints a result, which must be the same everywhere.
static inline void report(uint64_t x) {
	char text[21];
	size_t at = sizeof text;
	text[--at] = '\n';
	do
		text[--at] = '0' + x % 10;
	while (x /= 10);
	put(text + at, sizeof text - at);
}

// A source of numbers (xorshift64).
static uint64_t seed = 88172645463325252ULL;

static inline uint64_t next(void) {
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}
