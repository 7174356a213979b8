// Functions that call each other on the way to a function of the host, which may call them again.
// clang++ --target=wasm32 -O1 -g -nostdlib -fno-exceptions -Wl,--no-entry -ffile-prefix-map=$PWD=. -o nested.wasm nested.cpp
extern "C" __attribute__((import_module("go"), import_name("down"))) int down(int level);

namespace nested {

struct Walk {
  int left, level;
  __attribute__((always_inline)) int leave() const {
    return down(level) + 1; // the call of the host
  }
};

__attribute__((noinline)) int right(Walk &w);

__attribute__((noinline)) int left(Walk &w) {
  if (w.left == 0)
    return w.leave();
  w.left--;
  return right(w) + 1;
}

__attribute__((noinline)) int right(Walk &w) {
  w.left--;
  return left(w) + 1;
}

} // namespace nested

extern "C" __attribute__((export_name("run"))) int run(int n, int level) {
  nested::Walk w{n, level};
  return nested::left(w) + 1;
}
