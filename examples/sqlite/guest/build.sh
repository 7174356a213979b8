#!/bin/sh
# Builds ../sqlite.wasm: SQLite as a library for WASI 0.1.
#
#	apt-get install clang lld wasi-libc libclang-rt-dev-wasm32
#
# SQLite's source comes from a Go module that carries it.
set -e
cd "$(dirname "$0")"
source=$(cd "$(mktemp -d)" && go mod init x 2>/dev/null &&
	go mod download -json github.com/mattn/go-sqlite3@v1.14.52 | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
clang --target=wasm32-wasi -mexec-model=reactor -Os -flto -I "$source" \
	-mbulk-memory \
	-DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_DEPRECATED \
	-DSQLITE_OMIT_SHARED_CACHE -DSQLITE_OMIT_UTF16 -DSQLITE_OMIT_TRACE \
	-DSQLITE_DQS=0 -DSQLITE_DEFAULT_MEMSTATUS=0 -DSQLITE_TEMP_STORE=3 \
	-DSQLITE_MAX_MMAP_SIZE=0 \
	shim.c "$source/sqlite3-binding.c" -Wl,--strip-all,--lto-O2 -o ../sqlite.wasm
