// Command precompiled shows a Go program with a module inside that was compiled
// before. It needs no compiler, so it can be built without:
//
//	go generate ./examples/precompiled
//	go run -tags davit_nocompile ./examples/precompiled
//
// The artifact is made for the version of davit that the program is built with, so
// it is made anew, as here by go generate, rather than checked in.
package main

import (
	"context"
	"embed"
	"fmt"
	"log"

	"github.com/davit-wasm/davit"
)

//go:generate go run github.com/davit-wasm/davit/cmd/davit compile -o program/greet.cwasm program/greet.wat

//go:embed program
var program embed.FS

func main() {
	artifact, err := program.ReadFile("program/greet.cwasm")
	if err != nil {
		log.Fatal("there is no artifact yet: run go generate ./examples/precompiled")
	}
	ctx := context.Background()
	engine, err := davit.NewEngine(nil)
	check(err)
	module, err := engine.LoadModule(artifact)
	check(err)
	store, err := davit.NewStore(engine, nil)
	check(err)
	defer store.Close()

	// The module brings the ways into Go for the types of its imports and exports.
	linker := davit.NewLinker(engine)
	err = linker.Define("go", "print", davit.HostProc1(func(ctx context.Context, c *davit.Caller, n int32) error {
		fmt.Println("the module says:", n)
		return nil
	}))
	check(err)
	instance, err := linker.Instantiate(ctx, store, module)
	check(err)
	greet, err := davit.Func1[int32, int32](instance.Func("greet"))
	check(err)
	n, err := greet(ctx, 20)
	check(err)
	fmt.Println(n)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
