module github.com/davit-wasm/davit/bench

go 1.26.0

replace github.com/davit-wasm/davit => ../

require (
	github.com/bytecodealliance/wasmtime-go/v39 v39.0.1
	github.com/davit-wasm/davit v0.0.0-00010101000000-000000000000
	github.com/tetratelabs/wazero v1.12.0
	golang.org/x/sys v0.49.0
)
