package artifact

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/native"
)

// LoadOptions say how to read an artifact.
type LoadOptions struct {
	// Key makes the reader refuse what is not signed with it, if it is not nil.
	Key ed25519.PublicKey
	// Secret makes it refuse what is not authenticated with it, if it is not nil.
	Secret []byte
	// Unchecked leaves out the checksum of what is behind the head, so that the time
	// it takes to load does not depend on it. It has no effect with Key or Secret.
	Unchecked bool
	// Foreign lets artifacts through that this program cannot run, for tools. So
	// they must not be loaded into an engine.
	Foreign bool
}

// authenticated reports whether artifacts must show who made them.
func (o *LoadOptions) authenticated() bool { return o.Key != nil || o.Secret != nil }

// Is reports whether data, the first bytes of a file, may be those of an
// artifact of whatever version.
func Is(data []byte) bool {
	return len(data) >= noteAt+noteHeader && string(data[:4]) == "\x7fELF" && string(data[noteAt+12:noteAt+noteHeader]) == noteName
}

// PrefixSize is how many bytes Is wants to see.
const PrefixSize = noteAt + noteHeader

// Decode is the image in an artifact. It refers to data, which must not change
// while the image is used. Errors are of type [*Error].
func Decode(data []byte, o *LoadOptions) (*image.Image, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	f, err := open(data, o)
	if err != nil {
		return nil, err
	}
	return f.image()
}

// Open is the image in the file of that name, mapped: its text runs where the
// file is mapped, and its tables are used there. The file must not change while
// the image is used; to replace it, rename another one to its name. If artifacts
// have to be signed, the file is read instead, so that what was checked is what
// runs.
func Open(name string, o *LoadOptions) (*image.Image, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	im, err := openFile(file, o)
	if err != nil || im.File == nil {
		file.Close()
	}
	return im, err
}

func openFile(file *os.File, o *LoadOptions) (*image.Image, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	var data []byte
	var unmap func()
	if !o.authenticated() && info.Mode().IsRegular() && info.Size() > 0 && info.Size() < 1<<31 {
		if data, unmap, err = native.MapFile(file, int(info.Size()), !o.Unchecked); err != nil {
			unmap = nil
		}
	}
	if unmap == nil {
		if data, err = io.ReadAll(file); err != nil {
			return nil, err
		}
	}
	im, err := Decode(data, o)
	if unmap == nil {
		return im, err
	}
	if err != nil {
		unmap()
		return nil, err
	}
	im.Release = unmap
	im.File = file
	if im.Sites != nil {
		im.Sites.InPlace = true
	}
	return im, nil
}

// ReadInfo is the note of an artifact of this version of the format, which is
// checked no further.
func ReadInfo(data []byte) (*Info, error) {
	if !Is(data) {
		return nil, refuse(NotArtifact, "this is no artifact")
	}
	n := uint64(le.Uint32(data[noteAt+4:]))
	if n > uint64(len(data)-noteAt-noteHeader) {
		return nil, refuse(Truncated, "truncated")
	}
	return readInfo(data[noteAt+noteHeader:][:n])
}

// file is an artifact whose checksums are right.
type file struct {
	data     []byte // all of it
	head     []byte // its head, copied
	info     *Info
	sections [numSections]struct{ offset, size uint64 }
	options  *LoadOptions
}

func open(data []byte, o *LoadOptions) (*file, error) {
	info, err := ReadInfo(data)
	if err != nil {
		// The note may be damaged like anything else; it only tells more if it is not.
		var refused *Error
		if seal, serr := sealOf(data); errors.As(err, &refused) && refused.Reason != NotArtifact && serr != nil {
			return nil, serr
		} else if seal != nil && checksum(data[:le.Uint64(seal[sealHead:])]) != le.Uint32(seal[sealHeadSum:]) {
			return nil, corrupt("wrong checksum of the head")
		}
		return nil, err
	}
	seal, err := sealOf(data)
	if err != nil {
		return nil, err
	}
	f := &file{data: data, info: info, options: o, head: aligned(data[:le.Uint64(seal[sealHead:])])}
	if checksum(f.head) != le.Uint32(seal[sealHeadSum:]) {
		return nil, corrupt("wrong checksum of the head")
	}
	if o.Key != nil {
		if len(o.Key) != ed25519.PublicKeySize {
			return nil, refuse(BadSignature, "the key for signatures has %d bytes, it should have %d", len(o.Key), ed25519.PublicKeySize)
		}
		if le.Uint32(seal[sealKind:]) != signatureEd25519 {
			return nil, refuse(BadSignature, "it is not signed")
		}
		if ed25519.VerifyWithOptions(o.Key, digest(data), seal[sealSignature:][:ed25519.SignatureSize], signing) != nil {
			return nil, refuse(BadSignature, "it is not signed with the key of this engine, or it is damaged")
		}
	}
	if o.Secret != nil {
		if kind := le.Uint32(seal[sealKind:]); kind != signatureHMAC {
			return nil, refuse(BadSignature, "it is not authenticated")
		}
		if !hmac.Equal(authentication(o.Secret, data), seal[sealSignature:][:sha256.Size]) {
			return nil, refuse(BadSignature, "it is not authenticated with the secret of this engine, or it is damaged")
		}
	}
	if !o.Unchecked || o.authenticated() {
		if bulkSum(data[len(f.head):len(data)-sealSize]) != le.Uint32(seal[sealBulkSum:]) {
			return nil, corrupt("wrong checksum of code or tables")
		}
	}
	switch kind := le.Uint32(f.head[48:]); kind {
	case kindModule:
	case kindComponent:
		return nil, refuse(OtherKind, "it is of a component, a module is wanted")
	default:
		return nil, corrupt("kind %d", kind)
	}
	if !o.Foreign {
		if err := info.check(); err != nil {
			return nil, err
		}
	}
	return f, f.findSections()
}

// sealOf finds the seal, and makes sure of it.
func sealOf(data []byte) ([]byte, error) {
	if len(data) < PrefixSize+sealSize {
		return nil, refuse(Truncated, "truncated")
	}
	s := data[len(data)-sealSize:]
	if string(s[:8]) != sealMagic {
		return nil, refuse(Truncated, "truncated, or damaged at its end")
	}
	if checksum(s[:sealSum]) != le.Uint32(s[sealSum:]) {
		return nil, corrupt("wrong checksum of the seal")
	}
	if n := le.Uint64(s[sealFile:]); n != uint64(len(data)) {
		return nil, refuse(Truncated, "it has %d bytes, it should have %d", len(data), n)
	}
	if n := le.Uint64(s[sealHead:]); n < PrefixSize || n > uint64(len(data)-sealSize) {
		return nil, corrupt("a head of %d bytes", n)
	}
	return s, nil
}

// findSections reads the section headers: there must be ours, in order, within
// the file.
func (f *file) findSections() error {
	at := le.Uint64(f.head[40:])
	if n := le.Uint16(f.head[60:]); n != numSections || at > uint64(len(f.head)) || uint64(len(f.head))-at < numSections*sectionHeaderSize {
		return corrupt("%d section headers at %#x", n, at)
	}
	end := uint64(0)
	for i := 1; i < numSections; i++ {
		h := f.head[at+uint64(i)*sectionHeaderSize:]
		s := &f.sections[i]
		s.offset, s.size = le.Uint64(h[24:]), le.Uint64(h[32:])
		limit := uint64(len(f.data))
		if i < secText {
			limit = uint64(len(f.head))
		}
		each := max(sections[i].entrySize, 1)
		if s.offset < end || s.offset > limit || s.size > limit-s.offset || s.size%each != 0 || sections[i].align > 0 && s.offset%sections[i].align != 0 {
			return corrupt("section %s at %#x with %#x bytes", sections[i].name, s.offset, s.size)
		}
		end = s.offset + s.size
	}
	if f.sections[secText].offset != uint64(len(f.head)) || end != uint64(len(f.data)) {
		return corrupt("the sections do not fill the file")
	}
	return nil
}

// section is the content of a section: in the copy, if it is in the head.
func (f *file) section(i int) []byte {
	s := &f.sections[i]
	all := f.data
	if i < secText {
		all = f.head
	}
	return all[s.offset:][:s.size:s.size]
}

// image makes the image.
func (f *file) image() (*image.Image, error) {
	im := &image.Image{
		Target: f.info.Target, CPU: f.info.CPU, Settings: f.info.Settings, Features: f.info.Features, Hash: f.info.Hash,
		Text:      f.section(secText),
		TextAt:    int64(f.sections[secText].offset),
		Functions: functions(f.section(secFunctions)),
		Bodies:    uint32s(f.section(secBodies)),
		AddrMap:   addresses(f.section(secAddresses)),
		Unwind:    unwinds(f.section(secUnwind)),
		Inlined:   inlined(f.section(secInlined)), InlineSites: inlineSites(f.section(secInlineSites)),
	}
	traps := uint32s(f.section(secTraps))
	n := len(traps) / 2
	im.Sites = &image.Sites{Offsets: traps[:n:n], Flags: traps[n:], Bounds: uint32s(f.section(secBounds))}
	if len(traps)%2 != 0 || len(im.Sites.Bounds)%2 != 0 {
		return nil, corrupt("tables of traps or bounds of odd length")
	}
	err := readMetadata(im, f.section(secMeta), funcs(f.section(secTypes)), uint32s(f.section(secElements)), f.section(secData), f.section(secCustoms))
	if err != nil {
		return nil, err
	}
	if im.Initial.Data != nil {
		im.Initial.FileAt = int64(f.sections[secData].offset)
	}
	if err := checkFunctions(im); err != nil {
		return nil, err
	}
	return im, nil
}

// checkFunctions checks that the functions lie in the text one behind the other,
// that each function of the module, each trampoline and each body is there once,
// and makes the list of code.
func checkFunctions(im *image.Image) error {
	imported, defined := im.Module.NumImportedFuncs, len(im.Module.Funcs)-im.Module.NumImportedFuncs
	if len(im.Bodies) != defined {
		return corrupt("%d functions, but %d bodies", defined, len(im.Bodies))
	}
	im.Code = make([]uint32, defined)
	bodies, trampolines, direct, end := 0, 0, 0, uint64(0)
	for i := range im.Signatures {
		if im.Signatures[i].Direct != image.NoDirect {
			direct++
		}
	}
	for i := range im.Functions {
		f := &im.Functions[i]
		ok := uint64(f.Offset) >= end && f.Size > 0
		end = uint64(f.Offset) + uint64(f.Size)
		ok = ok && end <= uint64(len(im.Text))
		switch f.Kind {
		case image.FunctionWasm:
			ok = ok && int64(f.Index) == int64(imported+bodies) && bodies < defined
			if ok {
				im.Code[bodies] = f.Offset
			}
			bodies++
		case image.FunctionEntry, image.FunctionExit:
			// In pairs behind the bodies.
			ok = ok && int64(f.Index) == int64(trampolines/2) && int(f.Index) < len(im.Signatures)
			if ok && f.Kind == image.FunctionEntry {
				ok = im.Signatures[f.Index].Entry == f.Offset && trampolines%2 == 0
			} else if ok {
				ok = im.Signatures[f.Index].Exit == f.Offset && trampolines%2 == 1
			}
			trampolines++
		case image.FunctionDirect:
			ok = ok && int(f.Index) < len(im.Signatures) && im.Signatures[f.Index].Direct == f.Offset
			direct--
		case image.FunctionRoutine:
		default:
			ok = false
		}
		if !ok {
			return corrupt("function %d in the text, at %#x with %#x bytes", i, f.Offset, f.Size)
		}
	}
	if bodies != defined || trampolines != 2*len(im.Signatures) || direct != 0 {
		return corrupt("%d of %d functions and %d of %d trampolines are in the text, and %d direct ones are missing", bodies, defined, trampolines, 2*len(im.Signatures), direct)
	}
	return nil
}

// Section is a section of an artifact, for tools.
type Section struct {
	Name         string
	Offset, Size uint64
}

// Inspect is the note and the sections of an artifact, whoever can run it, and
// its image.
func Inspect(data []byte) (*Info, []Section, *image.Image, error) {
	f, err := open(data, &LoadOptions{Foreign: true})
	if err != nil {
		return nil, nil, nil, err
	}
	list := make([]Section, 0, numSections)
	for i := 1; i < numSections; i++ {
		list = append(list, Section{sections[i].name, f.sections[i].offset, f.sections[i].size})
	}
	im, err := f.image()
	return f.info, list, im, err
}

// String is the note in lines.
func (x *Info) String() string {
	interruption := "signal"
	if x.Settings.Epoch {
		interruption = "epoch"
	}
	bounds := "guard pages"
	if x.Settings.ExplicitBounds {
		bounds = "explicit checks"
	}
	return fmt.Sprintf("version: %s (contract %s)\ntarget: %s\nprocessor: %s\ninterruption: %s\nmemory bounds: %s\nfuel: %v\ndeterministic relaxed SIMD: %v\nfeatures: %v\nmodule: sha256 %x\n",
		x.Version, x.Contract, x.Target, x.CPU, interruption, bounds, x.Settings.Fuel, x.Settings.DeterministicRelaxedSIMD, x.Features, x.Hash)
}
