package artifact

import (
	"bytes"
	"crypto/ed25519"
	"debug/elf"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/davit-wasm/davit/internal/artifact/artifacttest"
	"github.com/davit-wasm/davit/internal/compile"
	"github.com/davit-wasm/davit/internal/image"
	"github.com/davit-wasm/davit/internal/testdata"
	"github.com/davit-wasm/davit/wasm"
	"github.com/davit-wasm/davit/wat"
)

// small is a module with something of everything.
const small = `(module $small
  (type $t (func (param i32 i64 f32 f64) (result i32)))
  (type $pair (sub (func (result i32 externref))))
  (import "env" "f" (func $f (type $t)))
  (import "env" "g" (global $g i32))
  (memory (export "memory") 1 4)
  (memory $second i64 2)
  (table (export "table") 8 funcref)
  (global (export "v") (mut i64) (i64.const -5))
  (global $n i32 (i32.add (global.get $g) (i32.const 3)))
  (tag $e (param i32))
  (elem (i32.const 2) $add $f $div)
  (elem $passive func $add)
  (elem (table 0) (i32.const 5) funcref (ref.func $add) (ref.null func))
  (elem declare func $div)
  (data (i32.const 16) "hello")
  (data $later "later")
  (data (memory $second) (i64.const 70000) "second")
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $div (export "div") (param $x i32) (param $y i32) (result i32) (i32.div_s (local.get $x) (local.get $y)))
  (func $load (export "load") (param i32) (result i64) (memory.init $later (i32.const 0) (i32.const 0) (i32.const 2)) (i64.load offset=4 (local.get 0)))
  (func $many (export "many") (type $pair) (i32.const 1) (ref.null extern))
  (func $start (drop (call $f (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4))))
  (start $start))`

func wasmOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := wat.Compile([]byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return append(b, append([]byte{0, 9, 4}, "mineDATA!"[:8]...)...)
}

// dense is small with data that artifacts hold as it lies in the memory.
var dense = strings.Replace(small, `"hello"`, `"`+strings.Repeat("hello, hello", 2000)+`"`, 1)

// compiled is the image of a module for the target that artifacts exist for, on
// whatever machine the test runs.
func compiled(t testing.TB, module []byte, s image.Settings) *image.Image {
	t.Helper()
	target, err := compile.TargetOf("x86_64-linux", "")
	if err != nil {
		t.Fatal(err)
	}
	im, err := compile.Module(module, &compile.Options{Target: target, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

func encode(t testing.TB, im *image.Image, o *Options) []byte {
	t.Helper()
	data, err := Encode(im, o)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestRoundTrip: what is decoded says what was encoded, and gives the same
// artifact again.
func TestRoundTrip(t *testing.T) {
	modules := map[string][]byte{"small": wasmOf(t, small), "dense": wasmOf(t, dense), "empty": wasmOf(t, "(module)")}
	if dir := filepath.Join(testdata.Root(), "..", "shared", "real"); os.Getenv("DAVIT_REAL") != "" || isDir(dir) {
		for _, name := range []string{"hello-c.wasm", "rust-calc.wasm", "sqlite3.wasm", "goapp.wasm", "lz4-memory64.wasm", "simd-c.wasm"} {
			data, err := os.ReadFile(filepath.Join(testdata.Real(t), name))
			if err != nil {
				t.Fatal(err)
			}
			modules[name] = data
		}
	}
	for name, module := range modules {
		for _, s := range []image.Settings{{}, {ExplicitBounds: true, Epoch: true, DeterministicRelaxedSIMD: true}, {Fuel: true}} {
			if len(module) > 1<<20 && s.Epoch {
				continue
			}
			want := compiled(t, module, s)
			data := encode(t, want, nil)
			have, err := Decode(data, &LoadOptions{Foreign: true})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compareImages(t, name, want, have)
			if !bytes.Equal(artifacttest.Reseal(bytes.Clone(data)), data) {
				t.Errorf("%s: package artifacttest seals differently", name)
			}
			if again := encode(t, have, nil); !bytes.Equal(data, again) {
				t.Errorf("%s: a decoded image is encoded differently", name)
			}
			file := filepath.Join(t.TempDir(), "x.cwasm")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			if have, err = Open(file, &LoadOptions{Foreign: true, Unchecked: true}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compareImages(t, name, want, have)
			release(have)
			// Bytes anywhere will do.
			if have, err = Decode(append(make([]byte, 1), data...)[1:], &LoadOptions{Foreign: true}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			compareImages(t, name, want, have)
		}
	}
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func release(im *image.Image) {
	if im.File != nil {
		im.File.Close()
	}
	if im.Release != nil {
		im.Release()
	}
}

func compareImages(t *testing.T, name string, want, have *image.Image) {
	t.Helper()
	if !slices.Equal(want.TrapSites(), have.TrapSites()) {
		t.Errorf("%s: trap sites differ", name)
	}
	if !slices.Equal(want.AddrMap, have.AddrMap) || !slices.Equal(want.Unwind, have.Unwind) || !slices.Equal(want.Functions, have.Functions) {
		t.Errorf("%s: tables differ", name)
	}
	if !reflect.DeepEqual(want.Names(), have.Names()) {
		t.Errorf("%s: names differ", name)
	}
	if !bytes.Equal(want.Text, have.Text) {
		t.Errorf("%s: the text differs", name)
	}
	for i := range want.Module.Customs {
		if i < len(have.Module.Customs) && !bytes.Equal(want.Module.Customs[i].Data, have.Module.Customs[i].Data) {
			t.Errorf("%s: custom section %d differs", name, i)
		}
	}
	if !slices.Equal(want.Code, have.Code) || !slices.Equal(want.Bodies, have.Bodies) || !slices.Equal(want.Module.Funcs, have.Module.Funcs) {
		t.Errorf("%s: functions differ", name)
	}
	for i := range want.Module.Datas {
		if i < len(have.Module.Datas) && !bytes.Equal(want.Module.Datas[i].Init, have.Module.Datas[i].Init) {
			t.Errorf("%s: data segment %d differs", name, i)
		}
	}
	d := cmp.Diff(want, have, cmpopts.IgnoreUnexported(image.Image{}), cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(image.Image{}, "Text", "Traps", "Sites", "AddrMap", "Unwind", "Functions", "Code", "Bodies", "TextAt", "File", "Release", "Initial"),
		// Where the offsets of expressions lie in the module matters to messages only.
		cmpopts.IgnoreFields(wasm.ConstExpr{}, "Offset"),
		cmpopts.IgnoreFields(wasm.Data{}, "Init"), cmpopts.IgnoreFields(wasm.Custom{}, "Data"),
		cmpopts.IgnoreFields(wasm.Module{}, "Funcs", "Code", "CodeSize", "Names", "HasDataCount", "DataCount"))
	if d != "" {
		t.Errorf("%s: images differ:\n%.2000s", name, d)
	}
}

// TestELF: other readers of ELF understand artifacts.
func TestELF(t *testing.T) {
	im := compiled(t, wasmOf(t, small), image.Settings{})
	f, err := elf.NewFile(bytes.NewReader(encode(t, im, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if f.Machine != elf.EM_X86_64 || f.Type != elf.ET_DYN {
		t.Errorf("machine %v, type %v", f.Machine, f.Type)
	}
	text := f.Section(".text")
	if b, err := text.Data(); err != nil || !bytes.Equal(b, im.Text) || text.Offset%4096 != 0 || text.Addr != text.Offset {
		t.Errorf(".text at %#x, address %#x: %v", text.Offset, text.Addr, err)
	}
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]elf.Symbol{}
	for _, s := range symbols {
		found[s.Name] = s
	}
	for i, name := range []string{"add", "div", "load", "many", "start"} {
		s := found[name]
		if s.Value != text.Addr+uint64(im.Code[i]) || elf.ST_TYPE(s.Info) != elf.STT_FUNC || f.Sections[s.Section] != text {
			t.Errorf("symbol %s: %+v", name, s)
		}
	}
	for _, p := range f.Progs {
		if p.Flags&elf.PF_W != 0 || p.Flags&elf.PF_X != 0 && (p.Off != text.Offset || p.Filesz != text.Size) {
			t.Errorf("segment %+v", p.ProgHeader)
		}
	}
}

// TestRefusals: everything that does not fit is refused for the reason it has.
func TestRefusals(t *testing.T) {
	im := compiled(t, wasmOf(t, small), image.Settings{})
	data := encode(t, im, nil)
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signed := encode(t, im, &Options{Key: private})
	secret := []byte("sixteen bytes or more")
	authenticated := encode(t, im, &Options{Secret: secret})
	badAuthenticated := bytes.Clone(authenticated)
	badAuthenticated[len(badAuthenticated)-sealSize-100] ^= 1
	shortCode := bytes.Clone(authenticated)
	clear(shortCode[len(shortCode)-sealSize+sealSignature+16:][:16])
	change := func(f func(x *Info)) []byte {
		x := infoOf(im)
		f(x)
		changed := bytes.Clone(data)
		note := changed[noteAt+noteHeader:]
		n := le.Uint32(changed[noteAt+4:])
		b := x.append(nil)
		if uint32(len(b)) != n {
			t.Fatalf("the note's size changes from %d to %d", n, len(b))
		}
		copy(note, b)
		return artifacttest.Reseal(changed)
	}
	component := bytes.Clone(data)
	component[48] = kindComponent
	old := bytes.Clone(data)
	le.PutUint32(old[noteAt+noteHeader:], 77)
	badText := bytes.Clone(data)
	badText[len(badText)-sealSize-100] ^= 1
	badSigned := bytes.Clone(signed)
	copy(badSigned[len(badSigned)-1000:], "something else")
	none, withSecret := LoadOptions{}, LoadOptions{Secret: secret}
	for _, c := range []struct {
		name   string
		data   []byte
		load   LoadOptions
		reason Reason
		text   string
	}{
		{"empty", nil, none, NotArtifact, "no artifact"},
		{"module", wasmOf(t, small), none, NotArtifact, "no artifact"},
		{"cut", data[:len(data)-1], none, Truncated, "truncated"},
		{"cut to the page", data[:len(data)&^4095], none, Truncated, "truncated"},
		{"longer", append(bytes.Clone(data), 0), none, Truncated, "truncated"},
		{"component", artifacttest.Reseal(component), none, OtherKind, "component"},
		{"old format", artifacttest.Reseal(old), none, OtherVersion, "version 77 of the format"},
		{"version", change(func(x *Info) { x.Version = strings.Repeat("9", len(x.Version)) }), none, OtherVersion, "another version"},
		{"contract", change(func(x *Info) { x.Contract = strings.Repeat("9", len(x.Contract)) }), none, OtherVersion, "another version"},
		{"target", change(func(x *Info) { x.Target = "s390x--linux" }), none, OtherTarget, "it is for s390x--linux"},
		{"damaged", badText, none, Corrupt, "checksum"},
		{"unsigned", data, LoadOptions{Key: public}, BadSignature, "not signed"},
		{"other key", signed, LoadOptions{Key: other}, BadSignature, "not signed with the key"},
		{"damaged and signed", badSigned, LoadOptions{Key: public}, BadSignature, "damaged"},
		{"short key", signed, LoadOptions{Key: public[:5]}, BadSignature, "5 bytes"},
		{"authenticated, not signed", authenticated, LoadOptions{Key: public}, BadSignature, "not signed"},
		{"signed, not authenticated", signed, withSecret, BadSignature, "not authenticated"},
		{"neither", data, withSecret, BadSignature, "not authenticated"},
		{"other secret", encode(t, im, &Options{Secret: append(secret, 1)}), withSecret, BadSignature, "not authenticated with the secret"},
		{"damaged and authenticated", artifacttest.Reseal(badAuthenticated), withSecret, BadSignature, "not authenticated with the secret of this engine, or it is damaged"},
		{"half a code", artifacttest.Reseal(shortCode), withSecret, BadSignature, "not authenticated with the secret"},
		{"cut and authenticated", authenticated[:len(authenticated)-200], withSecret, Truncated, "truncated"},
	} {
		_, err := Decode(c.data, &c.load)
		var refused *Error
		if !errors.As(err, &refused) || refused.Reason != c.reason || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v, want reason %d and %q", c.name, err, c.reason, c.text)
		}
	}
	if _, err := Decode(signed, &LoadOptions{Key: public, Foreign: true}); err != nil {
		t.Errorf("signed: %v", err)
	}
	for _, o := range []*LoadOptions{{Secret: secret, Foreign: true}, {Foreign: true}} {
		if _, err := Decode(authenticated, o); err != nil {
			t.Errorf("authenticated: %v", err)
		}
	}
	if _, err := Decode(signed, &LoadOptions{Foreign: true}); err != nil {
		t.Errorf("signed, and no key asked for: %v", err)
	}
	x := *infoOf(im)
	x.CPU += ",warp_drive"
	if err := x.check(); runtime.GOOS == "linux" && runtime.GOARCH == "amd64" && (err == nil || !strings.Contains(err.Error(), "warp_drive")) {
		t.Errorf("a processor that does not exist: %v", err)
	}
}

// TestMutations: every artifact in which something was changed is refused.
func TestMutations(t *testing.T) {
	data := encode(t, compiled(t, wasmOf(t, small), image.Settings{}), nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	file := filepath.Join(t.TempDir(), "x.cwasm")
	for i := range 2000 {
		m := mutate(rnd, data)
		if bytes.Equal(m, data) {
			continue
		}
		_, err := Decode(m, &LoadOptions{Foreign: true})
		if i%4 == 0 {
			if werr := os.WriteFile(file, m, 0o600); werr != nil {
				t.Fatal(werr)
			}
			_, err = Open(file, &LoadOptions{Foreign: true})
		}
		var refused *Error
		if !errors.As(err, &refused) {
			t.Fatalf("mutation %d: %v", i, err)
		}
	}
}

// mutate is data with a few changes.
func mutate(rnd *rand.Rand, data []byte) []byte {
	m := bytes.Clone(data)
	for range 1 + rnd.IntN(4) {
		if len(m) == 0 {
			break
		}
		at := rnd.IntN(len(m))
		if rnd.IntN(2) == 0 {
			at %= min(8192, len(m)) // where structure is dense
		}
		switch rnd.IntN(6) {
		case 0:
			m[at] ^= 1 << rnd.IntN(8)
		case 1:
			m[at] = byte(rnd.Uint32())
		case 2:
			m[at] = [...]byte{0, 1, 0x7f, 0x80, 0xff}[rnd.IntN(5)]
		case 3:
			m = m[:at]
		case 4:
			n := min(rnd.IntN(64), len(m)-at)
			copy(m[rnd.IntN(len(m)-n+1):], m[at:at+n])
		default:
			m = append(m, m[at:min(at+100, len(m))]...)
		}
	}
	return m
}

// TestHostile: with checksums that are right, what is changed is refused or can
// be used without any harm to Go code.
func TestHostile(t *testing.T) {
	data := encode(t, compiled(t, wasmOf(t, small), image.Settings{}), nil)
	large := encode(t, compiled(t, wasmOf(t, dense), image.Settings{}), nil)
	if im, err := Decode(large, &LoadOptions{Foreign: true}); err != nil || im.Initial.Data == nil {
		t.Fatalf("the data segments are not in one piece: %v", err)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	refused := 0
	for i := range 5000 {
		data := data
		if i%5 == 4 {
			data = large
		}
		if !exercise(t, artifacttest.Reseal(mutate(rnd, data))) {
			refused++
		}
	}
	t.Logf("%d of 5000 refused", refused)
	if refused == 0 || refused == 5000 {
		t.Error("all or none are refused")
	}
}

// exercise does with an artifact what the runtime does, but for running it.
func exercise(t testing.TB, data []byte) bool {
	_, _, im, err := Inspect(data)
	if err != nil {
		var refused *Error
		if !errors.As(err, &refused) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return false
	}
	m := im.Module
	for i := range m.Funcs {
		if sig := im.TypeSignatures[m.Funcs[i].Type]; int(sig) >= len(im.Signatures) {
			t.Fatalf("function %d: signature %d", i, sig)
		}
		_ = im.Names().FuncName(uint32(i))
		if i >= m.NumImportedFuncs {
			off := im.Code[i-m.NumImportedFuncs]
			if f, ok := im.FunctionAt(off); !ok || f.Index != uint32(i) || f.Kind != image.FunctionWasm {
				t.Fatalf("function %d at %#x", i, off)
			}
			_ = im.Bodies[i-m.NumImportedFuncs]
			im.WasmOffset(off)
			im.FrameAt(off)
		}
	}
	for _, trap := range im.TrapSites() {
		_ = trap.Code.String()
	}
	for _, x := range m.Exports {
		if x.Kind == wasm.KindFunc {
			_ = m.FuncTypeOf(x.Index)
		}
	}
	for i := range m.Datas {
		_ = bytes.Count(m.Datas[i].Init, []byte{0})
	}
	new(wasm.TypeRegistry).Intern(m)
	return true
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(f, compiled(f, wasmOf(f, small), image.Settings{}), nil))
	f.Add(encode(f, compiled(f, wasmOf(f, dense), image.Settings{}), nil))
	f.Add(encode(f, compiled(f, wasmOf(f, "(module)"), image.Settings{Epoch: true}), nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		exercise(t, data)
		exercise(t, artifacttest.Reseal(bytes.Clone(data)))
	})
}

// TestInterruptible: code of functions and of routines may be interrupted, a guest that does
// nothing but copy included, and trampolines may not.
func TestInterruptible(t *testing.T) {
	im := compiled(t, wasmOf(t, `(module (import "a" "b" (func (param i32))) (memory 1)
		(func (export "f") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)) (call 0 (local.get 0))))`), image.Settings{Fuel: true})
	sites, err := Sites(im, newTables)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[image.FunctionKind]int)
	for i := range im.Functions {
		f := &im.Functions[i]
		kinds[f.Kind]++
		want := f.Kind == image.FunctionWasm || f.Kind == image.FunctionRoutine
		for _, at := range []uint32{f.Offset, f.Offset + f.Size - 1} {
			n := sort.Search(len(sites.Bounds), func(i int) bool { return sites.Bounds[i] > at })
			if have := n%2 == 1; have != want {
				t.Errorf("function %d of kind %d at %#x may be interrupted: %v", i, f.Kind, at, have)
			}
		}
	}
	if len(kinds) != 5 || kinds[image.FunctionRoutine] != 3 {
		t.Errorf("the module has functions of kinds %v", kinds)
	}
}
