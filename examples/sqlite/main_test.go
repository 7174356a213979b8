package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/davit-wasm/davit"
)

// TestDatabase: what is written can be read, what may only be read cannot be
// written, nothing outside the directory is reached, and queries can be ended.
func TestDatabase(t *testing.T) {
	library, err := NewLibrary()
	if err != nil {
		t.Skip(err)
	}
	ctx := context.Background()
	dir := t.TempDir()
	file := filepath.Join(dir, "given", "test.db")
	if err := os.Mkdir(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	rows := func(db *Database, sql string, parameters ...string) (string, error) {
		var b strings.Builder
		err := db.Query(ctx, sql, parameters, func(names, values []string) error {
			b.WriteString(strings.Join(values, ",") + ";")
			return nil
		})
		return b.String(), err
	}

	db, err := library.Open(ctx, file, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"create table t (n integer, s text)", "insert into t values (1, 'é'), (2, null)"} {
		if _, err := rows(db, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, copied := range []string{filepath.Join(dir, "outside.db"), filepath.Join(dir, "given", "beside.db")} {
		if err := os.WriteFile(copied, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}

	db, err = library.Open(ctx, file, false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, err := rows(db, "select n, s from t where n < ? order by n", "9"); err != nil || got != "1,é;2,;" {
		t.Errorf("rows %q, %v", got, err)
	}
	if _, err := rows(db, "attach '/beside.db' as beside"); err != nil {
		t.Error(err)
	}
	for sql, want := range map[string]string{
		"insert into t values (3, '')":       "readonly",
		"select":                             "incomplete input",
		"attach '/../outside.db' as outside": "unable to open",
		"select json('{')":                   "malformed JSON",
		"select length(zeroblob(50000000)) + randomblob(90e6)": "out of memory",
	} {
		if _, err := rows(db, sql); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", sql, err, want)
		}
	}

	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	err = db.Query(short, "with recursive n(i) as (select 1 union all select i+1 from n) select max(i) from n", nil, nil)
	if !errors.Is(err, davit.TrapInterrupt) {
		t.Errorf("an endless query: %v", err)
	}
}
