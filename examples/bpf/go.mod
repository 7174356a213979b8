module github.com/davit-wasm/davit/examples/bpf

go 1.26.0

replace github.com/davit-wasm/davit => ../..

require github.com/davit-wasm/davit v0.0.0-00010101000000-000000000000

require (
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0 // indirect
)
