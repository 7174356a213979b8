// Package wattext is the lexical layer of WebAssembly's text format, shared by
// modules and by test scripts: tokens, strings, numbers, identifiers and
// annotations.
//
// A source is cut into tokens at once. Every parenthesis knows its partner, so
// that a parser can step over what it does not look at yet, and a script can be
// cut into commands before any of them is understood.
package wattext
