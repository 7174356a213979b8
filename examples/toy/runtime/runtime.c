/* What programs of examples/toy call, and their main. The same functions are in
   session.go for programs that run in the compiler's process. */

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void toy_main(void);

void rt_print_int(int64_t v) { printf("%" PRId64, v); }
void rt_print_bool(uint8_t v) { fputs(v ? "true" : "false", stdout); }
void rt_print_text(const char *text, uint64_t n) { fwrite(text, 1, n, stdout); }

void rt_print_float(double v) {
  if (isnan(v))
    fputs("nan", stdout);
  else if (isinf(v))
    fputs(v > 0 ? "inf" : "-inf", stdout);
  else {
    char text[32];
    snprintf(text, sizeof text, "%.10g", v);
    fputs(text, stdout);
  }
}

void rt_fail(uint32_t line, uint32_t column) {
  fflush(stdout);
  fprintf(stderr, "%u:%u: division by zero\n", line, column);
  exit(1);
}

/* The guard page below the stack is how too deep calls are noticed. */
static void overflow(int sig) {
  static const char text[] = "the calls are nested too deep\n";
  if (write(2, text, sizeof text - 1) < 0)
    _exit(2);
  _exit(1);
}

int main(void) {
  static char stack[65536];
  stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_handler = overflow, .sa_flags = SA_ONSTACK};
  setvbuf(stdout, NULL, _IOLBF, 1 << 16); /* what was printed must not get lost then */
  sigaltstack(&alternative, NULL);
  sigaction(SIGSEGV, &action, NULL);
  toy_main();
  return 0;
}
