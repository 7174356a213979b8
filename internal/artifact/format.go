package artifact

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// format is the version of the form of artifacts. The ELF header, the place of
// the note and its first field, and the seal are the same in all versions.
const format = 5

// Sections by their index.
const (
	secNull = iota
	secNote
	secMeta
	secFunctions
	secTypes
	secBodies
	secElements
	secSectionNames
	secText // the head ends here
	secTraps
	secBounds
	secAddresses
	secUnwind
	secInlined
	secInlineSites
	secData
	secCustoms
	secSymbols
	secStrings
	secSeal
	numSections
)

// Section types and flags, as ELF has them.
const (
	shtProgBits = 1
	shtSymTab   = 2
	shtStrTab   = 3
	shtNote     = 7

	shfAlloc = 2
	shfExec  = 4
)

// sections describes the sections; align 0 means a page of the target.
var sections = [numSections]struct {
	name             string
	typ, flags       uint32
	align, entrySize uint64
}{
	secNull:         {},
	secNote:         {".note.davit", shtNote, shfAlloc, 4, 0},
	secMeta:         {".davit.meta", shtProgBits, shfAlloc, 8, 0},
	secFunctions:    {".davit.functions", shtProgBits, shfAlloc, 8, 16},
	secTypes:        {".davit.types", shtProgBits, shfAlloc, 8, 4},
	secBodies:       {".davit.bodies", shtProgBits, shfAlloc, 8, 4},
	secElements:     {".davit.elements", shtProgBits, shfAlloc, 8, 4},
	secSectionNames: {".shstrtab", shtStrTab, 0, 1, 0},
	secText:         {".text", shtProgBits, shfAlloc | shfExec, 0, 0},
	secTraps:        {".davit.traps", shtProgBits, shfAlloc, 0, 4}, // not in a page with code
	secBounds:       {".davit.bounds", shtProgBits, shfAlloc, 8, 4},
	secAddresses:    {".davit.addresses", shtProgBits, shfAlloc, 8, 8},
	secUnwind:       {".davit.unwind", shtProgBits, shfAlloc, 8, 8},
	secInlined:      {".davit.inlined", shtProgBits, shfAlloc, 8, 8},
	secInlineSites:  {".davit.sites", shtProgBits, shfAlloc, 8, 12},
	secData:         {".davit.data", shtProgBits, shfAlloc, 0, 0},
	secCustoms:      {".davit.customs", shtProgBits, shfAlloc, 8, 0},
	secSymbols:      {".symtab", shtSymTab, 0, 8, symbolSize},
	secStrings:      {".strtab", shtStrTab, 0, 1, 0},
	secSeal:         {".davit.seal", shtProgBits, 0, 8, 0},
}

// Sizes and places of ELF's structures.
const (
	elfHeaderSize     = 64
	programHeaderSize = 56
	sectionHeaderSize = 64
	symbolSize        = 24
	numSegments       = 4

	noteAt     = elfHeaderSize + numSegments*programHeaderSize
	noteHeader = 20 // sizes, type, and the name with its padding
)

const noteName = "davit\x00\x00\x00" // its size is 6

// Kinds of artifacts, in e_flags.
const (
	kindModule    = 1
	kindComponent = 2
)

// The seal ends every artifact.
const (
	sealSize      = 128
	sealMagic     = "davitEND"
	sealFile      = 8  // uint64: size of the file
	sealHead      = 16 // uint64: size of the head
	sealHeadSum   = 24 // uint32: CRC-32C of the head
	sealBulkSum   = 28 // uint32: checksum of what is between head and seal, see bulkSum
	sealKind      = 32 // uint32: signatureNone and so on
	sealSignature = 40 // 64 bytes, zeros behind a shorter one
	sealSum       = 124
)

const (
	signatureNone    = 0
	signatureEd25519 = 1
	signatureHMAC    = 2 // HMAC-SHA-256
)

// target is what depends on the target in the file's form.
type target struct {
	goos, goarch string
	machine      uint16
	page         uint64 // the largest that its systems have
	pad          byte   // for the space behind the text
}

// targets are those that there is a runtime for, by the code generator's name.
var targets = map[string]target{
	"x86_64-linux": {"linux", "amd64", 62, 4096, 0xcc},
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var le = binary.LittleEndian

// Reason is why an artifact was refused.
type Reason uint8

// Reasons.
const (
	NotArtifact    Reason = iota // something else
	Truncated                    // it ends early
	Corrupt                      // its contents are damaged
	OtherKind                    // of a component, where a module is wanted
	OtherVersion                 // made by another version
	OtherTarget                  // for another architecture or system
	OtherProcessor               // for processors with more than this one has
	OtherSettings                // compiled with settings that do not fit
	BadSignature                 // not signed, or not with the key
)

// Error says why an artifact was refused.
type Error struct {
	Reason Reason
	Detail string
}

func (e *Error) Error() string { return "artifact: " + e.Detail }

func refuse(r Reason, f string, args ...any) error {
	return &Error{r, fmt.Sprintf(f, args...)}
}

func corrupt(f string, args ...any) error { return refuse(Corrupt, "corrupt: "+f, args...) }
