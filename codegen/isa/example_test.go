package isa_test

import (
	"fmt"
	"log"

	"github.com/davit-wasm/davit/codegen/isa"
)

// A target with settings and instruction set extensions.
func ExampleLookup() {
	b, err := isa.Lookup("x86_64-linux")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range []string{"opt_level=speed", "enable_verifier=false", "has_avx2", "haswell"} {
		if err := b.Set(s); err != nil {
			log.Fatal(err)
		}
	}
	t, err := b.Finish()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(t.Triple, t.Shared.OptLevel == isa.OptSpeed, t.X64.HasBMI2)
	fmt.Println(b.Set("opt_level=fastest"))
	// Output:
	// x86_64-linux true true
	// setting opt_level: "fastest" is none of none, speed, speed_and_size
}
