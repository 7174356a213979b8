// Command mistakes shows what is said of functions that are wrong.
package main

import (
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/clif"
	"github.com/davit-wasm/davit/codegen/jit"
)

func main() {
	m, err := jit.NewHost(jit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	for _, source := range []string{
		"function %a(i64) -> i64 {\nblock0(v0: i64):\n    v1 = iad v0, v0\n    return v1\n}",
		"function %b(i64) -> i64 {\nblock0(v0: i64):\n    v1 = iconst.i32 1\n    v2 = iadd v0, v1\n    return v2\n}",
		"function %c() -> i64 {\n    fn0 = %missing() -> i64\nblock0:\n    v0 = call fn0()\n    return v0\n}",
	} {
		f, err := clif.ParseFunction(source)
		if err == nil {
			_, err = m.Define(f)
		}
		if err == nil {
			err = m.Finalize()
		}
		fmt.Println(err)
	}
}
