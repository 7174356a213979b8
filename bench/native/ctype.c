// Tables and branches on bytes: words, numbers and lines are counted in a text.
#include "bench.h"

enum { size = 1 << 20 };
static uint8_t text[size];

enum { letter = 1, digit = 2, space = 4, other = 8 };
static uint8_t class[256];

void run(void) {
	for (int c = 0; c < 256; c++)
		class[c] = (c | 32) >= 'a' && (c | 32) <= 'z' ? letter : c >= '0' && c <= '9' ? digit : c == ' ' || c == '\n' ? space : other;
	for (int i = 0; i < size; i++) {
		uint64_t r = next() >> 20;
		text[i] = r % 11 == 0 ? ' ' : r % 97 == 0 ? '\n' : r % 7 == 0 ? '0' + r % 10 : r % 53 == 0 ? '.' : 'a' + r % 26;
	}
	uint32_t words = 0, numbers = 0, lines = 0, upper = 0;
	start();
	for (int round = 0; round < 20; round++) {
		int before = space;
		for (int i = 0; i < size; i++) {
			uint8_t c = text[i];
			int k = class[c];
			if (k == letter && before != letter)
				words++;
			else if (k == digit && before != digit && before != letter)
				numbers++;
			if (c == '\n')
				lines++;
			if (k & letter)
				upper += c & 32 ? 0 : 1;
			switch (c) {
			case '.':
				before = other;
				break;
			case 'e':
				text[i] = 'E';
				before = k;
				break;
			case 'E':
				text[i] = 'e';
				// fall through
			default:
				before = k;
			}
		}
	}
	end();
	report(words);
	report(numbers);
	report(lines);
	report(upper);
}
