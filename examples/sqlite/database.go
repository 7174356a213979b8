package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/davit-wasm/davit"
	"github.com/davit-wasm/davit/wasi/wasip1"
)

// SQLite with the functions in guest/shim.c; guest/build.sh makes it.
//
//go:embed sqlite.wasm
var sqlite []byte

// Library is SQLite, compiled once for any number of databases.
type Library struct {
	engine *davit.Engine
	module *davit.Module
}

// NewLibrary compiles SQLite.
func NewLibrary() (*Library, error) {
	engine, err := davit.NewEngine(nil)
	if err != nil {
		return nil, err
	}
	module, err := engine.Compile(context.Background(), sqlite)
	if err != nil {
		return nil, err
	}
	return &Library{engine, module}, nil
}

// Database is an open database file, in an instance of its own. It may be used
// by one goroutine at a time.
type Database struct {
	system *wasip1.Process
	store  *davit.Store
	memory *davit.Memory

	handle uint32

	alloc      func(ctx context.Context, size uint32) (uint32, error)
	free       func(ctx context.Context, p uint32) error
	open       func(ctx context.Context, path, write uint32) (uint32, error)
	close      func(ctx context.Context, db uint32) (uint32, error)
	message    func(ctx context.Context, db uint32) (uint64, error)
	prepare    func(ctx context.Context, db, sql uint32) (uint32, error)
	bindText   func(ctx context.Context, stmt uint32, i int32, text, length uint32) (uint32, error)
	step       func(ctx context.Context, stmt uint32) (uint32, error)
	finalize   func(ctx context.Context, stmt uint32) (uint32, error)
	columns    func(ctx context.Context, stmt uint32) (int32, error)
	columnName func(ctx context.Context, stmt uint32, i int32) (uint64, error)
	columnText func(ctx context.Context, stmt uint32, i int32) (uint64, error)
}

// Open opens a database file, or makes it if it may be written.
func (l *Library) Open(ctx context.Context, file string, write bool) (_ *Database, err error) {
	db := &Database{}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	// SQLite sees the file's directory, as it needs a journal beside the file.
	db.system, err = wasip1.New(&wasip1.Config{
		Mounts: []wasip1.Mount{{Guest: "/", Host: filepath.Dir(file), ReadOnly: !write}},
		Stderr: os.Stderr,
	})
	if err != nil {
		return nil, err
	}
	if db.store, err = davit.NewStore(l.engine, &davit.StoreConfig{MaxMemoryBytes: 64 << 20}); err != nil {
		return nil, err
	}
	linker := davit.NewLinker(l.engine)
	if err := db.system.Define(linker); err != nil {
		return nil, err
	}
	instance, err := linker.Instantiate(ctx, db.store, l.module)
	if err != nil {
		return nil, err
	}
	if err := db.bind(ctx, instance); err != nil {
		return nil, err
	}
	path, err := db.newString(ctx, "/"+filepath.Base(file))
	if err != nil {
		return nil, err
	}
	defer db.free(ctx, path)
	var writable uint32
	if write {
		writable = 1
	}
	if db.handle, err = db.open(ctx, path, writable); err != nil {
		return nil, err
	}
	if err := db.lastError(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return db, nil
}

// bind finds the functions of the library and initializes it.
func (db *Database) bind(ctx context.Context, instance *davit.Instance) error {
	var errs [13]error
	f := instance.Func
	db.memory = instance.Memory("memory")
	db.alloc, errs[0] = davit.Func1[uint32, uint32](f("db_alloc"))
	db.free, errs[1] = davit.Proc1[uint32](f("db_free"))
	db.open, errs[2] = davit.Func2[uint32, uint32, uint32](f("db_open"))
	db.close, errs[3] = davit.Func1[uint32, uint32](f("db_close"))
	db.message, errs[4] = davit.Func1[uint32, uint64](f("db_error"))
	db.prepare, errs[5] = davit.Func2[uint32, uint32, uint32](f("db_prepare"))
	db.bindText, errs[6] = davit.Func4[uint32, int32, uint32, uint32, uint32](f("db_bind_text"))
	db.step, errs[7] = davit.Func1[uint32, uint32](f("db_step"))
	db.finalize, errs[8] = davit.Func1[uint32, uint32](f("db_finalize"))
	db.columns, errs[9] = davit.Func1[uint32, int32](f("db_columns"))
	db.columnName, errs[10] = davit.Func2[uint32, int32, uint64](f("db_column_name"))
	db.columnText, errs[11] = davit.Func2[uint32, int32, uint64](f("db_column_text"))
	initialize, err := davit.Proc0(f("_initialize"))
	errs[12] = err
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	return initialize(ctx)
}

// Close closes the database.
func (db *Database) Close() error {
	var errs []error
	if db.handle != 0 {
		_, err := db.close(context.Background(), db.handle)
		errs = append(errs, err)
	}
	if db.store != nil {
		errs = append(errs, db.store.Close())
	}
	if db.system != nil {
		errs = append(errs, db.system.Close())
	}
	return errors.Join(errs...)
}

// Results of db_step.
const (
	stepRow  = 100
	stepDone = 101
)

// Query runs the first statement in sql, with parameters for its question
// marks, and calls row for each row of the result, with the columns' names and
// values as texts. ctx ends a query that takes too long.
func (db *Database) Query(ctx context.Context, sql string, parameters []string, row func(names, values []string) error) error {
	text, err := db.newString(ctx, sql)
	if err != nil {
		return err
	}
	defer db.free(ctx, text)
	statement, err := db.prepare(ctx, db.handle, text)
	if err != nil {
		return err
	}
	if statement == 0 {
		return db.lastError(ctx)
	}
	defer db.finalize(ctx, statement)
	for i, parameter := range parameters {
		p, err := db.newString(ctx, parameter)
		if err != nil {
			return err
		}
		failed, err := db.bindText(ctx, statement, int32(i+1), p, uint32(len(parameter)))
		if err := errors.Join(err, db.free(ctx, p)); err != nil {
			return err
		}
		if failed != 0 {
			return db.lastError(ctx)
		}
	}
	columns, err := db.columns(ctx, statement)
	if err != nil {
		return err
	}
	for {
		result, err := db.step(ctx, statement)
		if err != nil {
			return err
		}
		switch result {
		case stepDone:
			return nil
		default:
			return db.lastError(ctx)
		case stepRow:
		}
		names, values := make([]string, columns), make([]string, columns)
		for i := range columns {
			if names[i], err = db.text(db.columnName(ctx, statement, i)); err != nil {
				return err
			}
			if values[i], err = db.text(db.columnText(ctx, statement, i)); err != nil {
				return err
			}
		}
		if err := row(names, values); err != nil {
			return err
		}
	}
}

// lastError is the error of the last call, or nil.
func (db *Database) lastError(ctx context.Context) error {
	if db.handle == 0 {
		return errors.New("SQLite is out of memory")
	}
	s, err := db.text(db.message(ctx, db.handle))
	if err != nil || s == "" {
		return err
	}
	return errors.New(s)
}

// newString is a copy of s in SQLite's memory, with a zero behind it. The caller
// must free it.
func (db *Database) newString(ctx context.Context, s string) (uint32, error) {
	p, err := db.alloc(ctx, uint32(len(s)+1))
	if err != nil {
		return 0, err
	}
	if p == 0 {
		return 0, errors.New("SQLite is out of memory")
	}
	_, err = db.memory.WriteAt([]byte(s+"\x00"), int64(p))
	return p, err
}

// text is a text of SQLite's: its address in the high half of r, its length in
// the low half. It takes what a call has returned.
func (db *Database) text(r uint64, err error) (string, error) {
	if err != nil {
		return "", err
	}
	s, ok := db.memory.ReadString(r>>32, r&(1<<32-1))
	if !ok {
		return "", davit.ErrOutOfBounds
	}
	return s, nil
}
