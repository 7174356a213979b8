// Command gen writes the files that package reference makes. It is run by go
// generate in that package's folder.
package main

import (
	"log"
	"os"
	"path/filepath"

	"github.com/davit-wasm/davit/codegen/internal/reference"
)

func main() {
	log.SetFlags(0)
	files, err := reference.Files()
	if err != nil {
		log.Fatal(err)
	}
	for path, text := range files {
		if err := os.WriteFile(filepath.Join("..", "..", "..", filepath.FromSlash(path)), text, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}
