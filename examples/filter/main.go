// Command filter finds records by conditions that its users write, such as
//
//	go run ./examples/filter 'status >= 500 && path startsWith "/api/" && millis > 250.0'
//
// and shows three ways to run one: interpreted, as Go closures, and compiled.
package main

import (
	"context"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
)

// Request is a record: a line of a web server's log.
type Request struct {
	Status int32
	Method string
	Path   string
	User   string
	Owner  string
	Bytes  int64
	Millis float64
	Cached bool
	Tries  uint8
}

// requests makes up n records, the same ones each time.
func requests(n int) []Request {
	r := rand.New(rand.NewPCG(1, 2))
	statuses := []int32{200, 200, 200, 301, 404, 500, 503}
	methods := []string{"GET", "GET", "POST", "PUT", "DELETE"}
	paths := []string{"/", "/api/users", "/api/orders/recent", "/static/logo.png", "/api/orders/2024/archive/page.html", "/search"}
	users := []string{"ada", "grace", "linus", ""}
	all := make([]Request, n)
	for i := range all {
		all[i] = Request{
			Status: statuses[r.IntN(len(statuses))],
			Method: methods[r.IntN(len(methods))],
			Path:   paths[r.IntN(len(paths))],
			User:   users[r.IntN(len(users))],
			Owner:  users[r.IntN(len(users))],
			Bytes:  r.Int64N(1 << 20),
			Millis: r.ExpFloat64() * 100,
			Cached: r.IntN(3) == 0,
			Tries:  uint8(r.IntN(4)),
		}
	}
	return all
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: filter CONDITION\n" +
			"fields: status method path user owner bytes millis cached tries\n" +
			"operators: || && ! == != < <= > >= startsWith endsWith + - * / % ( )")
	}
	expr, err := Parse[Request](os.Args[1])
	check(err)
	records := requests(1000)

	compiler, err := NewCompiler()
	check(err)
	defer compiler.Close()
	program, err := Compile(compiler, expr)
	check(err)
	out := make([]int32, len(records))
	n, err := program.Select(context.Background(), records, out)
	check(err)
	fmt.Printf("%d of %d records match\n", n, len(records))
	for _, i := range out[:min(n, 5)] {
		fmt.Printf("%+v\n", records[i])
	}
}

func check(err error) {
	if err != nil {
		log.Fatal("filter: ", err)
	}
}
