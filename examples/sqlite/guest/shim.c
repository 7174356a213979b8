// What the host calls: SQLite's interface in functions without pointers to
// pointers, so that the host needs to write nothing but strings. Strings are
// UTF-8 with a zero behind them.

#include <stdlib.h>
#include <string.h>

#include "sqlite3-binding.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

// A text is its address in the high half and its length in the low half.
static unsigned long long text(const void *p, size_t length) {
  return (unsigned long long)(size_t)p << 32 | length;
}

// The host puts its strings here.
void *EXPORT(db_alloc)(size_t size) { return malloc(size); }
void EXPORT(db_free)(void *p) { free(p); }

// db_open opens a file, for reading only if write is 0. The result is 0 if there
// is no memory; errors are left to db_error. WASI has no locks on files, so the
// file system without any is used: the host must not let two programs write.
sqlite3 *EXPORT(db_open)(const char *path, int write) {
  sqlite3 *db;
  int flags = write ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  sqlite3_open_v2(path, &db, flags, "unix-none");
  return db;
}

int EXPORT(db_close)(sqlite3 *db) { return sqlite3_close(db); }

// db_error is the message of the last call if it failed, else 0.
unsigned long long EXPORT(db_error)(sqlite3 *db) {
  if (sqlite3_errcode(db) == SQLITE_OK) return 0;
  const char *message = sqlite3_errmsg(db);
  return text(message, strlen(message));
}

// db_prepare makes a statement of the first one in sql; 0 if that fails or there is none.
sqlite3_stmt *EXPORT(db_prepare)(sqlite3 *db, const char *sql) {
  sqlite3_stmt *stmt;
  return sqlite3_prepare_v2(db, sql, -1, &stmt, 0) == SQLITE_OK ? stmt : 0;
}

int EXPORT(db_bind_text)(sqlite3_stmt *stmt, int i, const char *text, int length) {
  return sqlite3_bind_text(stmt, i, text, length, SQLITE_TRANSIENT);
}

// db_step is SQLITE_ROW (100), SQLITE_DONE (101), or another number: an error.
int EXPORT(db_step)(sqlite3_stmt *stmt) { return sqlite3_step(stmt); }
int EXPORT(db_finalize)(sqlite3_stmt *stmt) { return sqlite3_finalize(stmt); }

int EXPORT(db_columns)(sqlite3_stmt *stmt) { return sqlite3_column_count(stmt); }

unsigned long long EXPORT(db_column_name)(sqlite3_stmt *stmt, int i) {
  const char *name = sqlite3_column_name(stmt, i);
  return name ? text(name, strlen(name)) : 0;
}

// db_column_text is a column of the present row as text, until the next step.
unsigned long long EXPORT(db_column_text)(sqlite3_stmt *stmt, int i) {
  const void *p = sqlite3_column_text(stmt, i);
  return text(p, sqlite3_column_bytes(stmt, i));
}
