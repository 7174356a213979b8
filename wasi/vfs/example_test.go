package vfs_test

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/davit-wasm/davit/wasi/vfs"
)

// Go code prepares a file system in memory, hands its root to a guest, and
// afterwards reads it like any other [fs.FS].
func ExampleMem() {
	m := vfs.NewMem(&vfs.MemOptions{MaxBytes: 1 << 20})
	if err := m.WriteFile("config/settings", []byte("verbose")); err != nil {
		fmt.Println(err)
	}

	// What a guest does through its mount comes down to this.
	f, err := m.Root().OpenFile("log", os.O_WRONLY|os.O_CREATE)
	if err != nil {
		fmt.Println(err)
	}
	f.Append([]byte("done\n"))
	f.Close()

	fs.WalkDir(m, ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			content, _ := m.ReadFile(path)
			fmt.Printf("%s: %q\n", path, content)
		}
		return err
	})
	// Output:
	// config/settings: "verbose"
	// log: "done\n"
}
