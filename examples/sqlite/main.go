// Command sqlite queries a database file through SQLite, compiled to
// WebAssembly: without cgo, and with nothing of the host's files but the one
// directory that the database is in.
//
//	go run ./examples/sqlite [-db FILE] [SQL [PARAMETER]...]
//
// Without -db it makes a database of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
)

// demo fills the database that is queried if there is no other.
var demo = []string{
	"create table planets (name text, moons integer)",
	"insert into planets values ('Mercury', 0), ('Earth', 1), ('Mars', 2), ('Neptune', 16)",
}

func main() {
	file := flag.String("db", "", "database to query")
	flag.Parse()
	query, parameters := "select name, moons from planets where moons >= ? order by name", []string{"1"}
	if flag.NArg() > 0 {
		query, parameters = flag.Arg(0), flag.Args()[1:]
	}
	if err := run(context.Background(), *file, query, parameters); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, file, query string, parameters []string) error {
	library, err := NewLibrary()
	if err != nil {
		return err
	}
	if file == "" {
		dir, err := os.MkdirTemp("", "sqlite")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		file = filepath.Join(dir, "planets.db")
		db, err := library.Open(ctx, file, true)
		if err != nil {
			return err
		}
		defer db.Close()
		for _, statement := range demo {
			if err := db.Query(ctx, statement, nil, nil); err != nil {
				return err
			}
		}
	}
	db, err := library.Open(ctx, file, false)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Query(ctx, query, parameters, func(names, values []string) error {
		for i, name := range names {
			names[i] = name + "=" + values[i]
		}
		fmt.Println(strings.Join(names, " "))
		return nil
	})
}
