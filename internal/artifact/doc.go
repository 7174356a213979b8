// Package artifact gives images the form of a file, and brings them back.
//
// An artifact is one ELF file of the machine that its code is for. Tools such as
// readelf, objdump and gdb read it; the runtime maps it and runs the code where it
// lies. Its parts, in this order:
//
//	ELF header, program headers
//	.note.davit       who made it, for what: version, target, processor, settings
//	section headers
//	.davit.meta       the module without its functions, segments, custom sections; signatures
//	.davit.functions  16 bytes for each function in the text: offset, size, index, kind
//	.davit.types      type by function index
//	.davit.bodies     offset in the module's bytes by defined function
//	.davit.elements   function indexes of element segments
//	.shstrtab         section names
//	.text             at the start of a page
//	.davit.traps      trap sites: offsets, then what the signal handlers want to know of each
//	.davit.bounds     where code may be interrupted: start, end, start, …
//	.davit.addresses  text offset, offset in the module's bytes
//	.davit.unwind     text offset, frame state
//	.davit.inlined    text offset, number of the inline site
//	.davit.sites      calls that bodies have taken the place of: function, offset of the call in the module's bytes, outer site
//	.davit.data       data segments, from the start of a page: those that a memory begins with at their places in it, if that is worth it
//	.davit.customs    custom sections, the name section among them
//	.symtab .strtab   functions by name, for tools
//	.davit.seal       length, checksums, signature
//
// All numbers are little-endian, records have a fixed size and are aligned. What
// comes before the text is the head: it is copied and checked when an artifact
// is loaded. Its size depends on the number of functions. All behind is used in
// place, and what is never needed is never read, if the checksum is left out.
//
// # Trust
//
// Text is machine code, and whoever makes an artifact can make it do anything. The
// checksums find damage, not malice; the signature finds both. The reader makes
// sure that damage which the checksums missed does not make Go code fail: every
// offset and index that it or the runtime uses is checked when it is read, or
// where it is used.
package artifact
