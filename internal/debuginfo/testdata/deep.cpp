// Functions that call each other to a trap, some of them inlined into their callers.
// clang++ --target=wasm32 -O1 -g -nostdlib -fno-exceptions -Wl,--no-entry -ffile-prefix-map=$PWD=. -o deep.wasm deep.cpp
namespace deep {

struct Counter {
  int left;
  __attribute__((always_inline)) bool done() { return left == 0; }
  __attribute__((always_inline)) void fail(int divisor) {
    last = 100 / divisor; // the trap, if divisor is 0
  }
  volatile int last;
};

template <typename T>
__attribute__((noinline)) int odd(T &c);

template <typename T>
__attribute__((noinline)) int even(T &c) {
  if (c.done())
    c.fail(c.left);
  c.left--;
  return odd(c) + 1;
}

template <typename T>
__attribute__((noinline)) int odd(T &c) {
  c.left--;
  return even(c) + 1;
}

} // namespace deep

extern "C" __attribute__((export_name("run"))) int run(int n) {
  deep::Counter c{n, 0};
  return deep::even(c);
}
