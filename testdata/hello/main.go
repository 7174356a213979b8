// Command hello is a small program that embeds davit, for the test of its size:
// it runs the export "main" of the module that is its argument.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/davit-wasm/davit"
)

func run() error {
	ctx := context.Background()
	code, err := os.ReadFile(os.Args[1])
	if err != nil {
		return err
	}
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return err
	}
	module, err := engine.Compile(ctx, code)
	if err != nil {
		return err
	}
	store, err := davit.NewStore(engine, nil)
	if err != nil {
		return err
	}
	defer store.Close()
	linker := davit.NewLinker(engine)
	err = linker.Define("go", "print", davit.HostProc1(func(_ context.Context, _ *davit.Caller, x int32) error {
		_, err := fmt.Println("hello,", x)
		return err
	}))
	if err != nil {
		return err
	}
	instance, err := linker.Instantiate(ctx, store, module)
	if err != nil {
		return err
	}
	main, err := davit.Proc0(instance.Func("main"))
	if err != nil {
		return err
	}
	return main(ctx)
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
