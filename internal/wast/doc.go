// Package wast reads and runs test scripts of WebAssembly: .wast files, which
// hold modules and assertions about them.
//
// [Parse] turns a script into commands; modules in it stay text until they are
// wanted, so that a module that cannot be parsed fails its command only.
// [Runner] runs commands on an [Engine]; package engine below this one has the
// one of this module.
package wast
