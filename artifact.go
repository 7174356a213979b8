package davit

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"

	"github.com/davit-wasm/davit/internal/artifact"
	"github.com/davit-wasm/davit/internal/image"
)

// Artifacts are compiled modules in the form of files: ELF files with the machine
// code and everything else that is needed, so that loading one takes next to no
// time, and no compiler. They are made by [Module.Serialize] and [Precompile], and
// loaded by [Engine.LoadModule] and [Engine.LoadModuleFile], by the same version
// of davit only.
//
// A loaded artifact is machine code that runs with all rights of the process:
// load none that you would not run as a program. [Config].VerifyKey makes an
// engine load those only that were signed with a key, and ArtifactSecret those of
// programs that share it.

// ArtifactReason is why an artifact was refused.
type ArtifactReason uint8

// Reasons.
const (
	ArtifactUnknown      = ArtifactReason(artifact.NotArtifact)    // it is something else
	ArtifactTruncated    = ArtifactReason(artifact.Truncated)      // it ends early
	ArtifactCorrupt      = ArtifactReason(artifact.Corrupt)        // it is damaged
	ArtifactKind         = ArtifactReason(artifact.OtherKind)      // it is of a component
	ArtifactVersion      = ArtifactReason(artifact.OtherVersion)   // it was made by another version of davit
	ArtifactTarget       = ArtifactReason(artifact.OtherTarget)    // it is for another architecture or system
	ArtifactProcessor    = ArtifactReason(artifact.OtherProcessor) // it is for processors with more than this one has
	ArtifactSettings     = ArtifactReason(artifact.OtherSettings)  // it was compiled with settings that do not fit the engine
	ArtifactBadSignature = ArtifactReason(artifact.BadSignature)   // it is not signed with the engine's key, or not authenticated with its secret
)

// ArtifactError says why an artifact was refused.
type ArtifactError struct {
	Reason ArtifactReason
	Detail string
}

// Error is the reason in words.
func (e *ArtifactError) Error() string { return "davit: artifact: " + e.Detail }

func artifactError(err error) error {
	var e *artifact.Error
	if errors.As(err, &e) {
		return &ArtifactError{ArtifactReason(e.Reason), e.Detail}
	}
	return err
}

// IsArtifact reports whether data, or the first 512 bytes of it, begins like an
// artifact, of whichever version.
func IsArtifact(data []byte) bool { return artifact.Is(data) }

// Serialize is the artifact of m.
func (m *Module) Serialize() ([]byte, error) {
	data, err := m.vm.Serialize(m.engine.config.signing())
	return data, apiError(err)
}

// WriteTo writes the artifact of m; see [Module.Serialize].
func (m *Module) WriteTo(w io.Writer) (int64, error) {
	data, err := m.Serialize()
	if err != nil {
		return 0, err
	}
	n, err := w.Write(data)
	return int64(n), err
}

// Precompile compiles a module to an artifact, for this machine, or, if target is
// not "", for another one: x86_64-linux is the only one that there is a runtime
// for at present. For another machine, config.CPU says what processors can be
// relied on; "" means the oldest that davit runs on. Precompile itself needs no
// native code, so it works on all systems. A nil config is the zero one; its cache
// is not used.
func Precompile(ctx context.Context, config *Config, target string, module []byte) ([]byte, error) {
	if compiler == nil {
		return nil, ErrNoCompiler
	}
	if config == nil {
		config = &Config{}
	}
	if err := config.checkKeys(); err != nil {
		return nil, err
	}
	settings, err := config.settings(true)
	if err != nil {
		return nil, err
	}
	if _, err := compiler.target(config, target); err != nil {
		return nil, fmt.Errorf("davit: %w", err)
	}
	img, err := compiler.compile(ctx, config, target, settings, module, nil)
	if err != nil {
		return nil, err
	}
	data, err := artifact.Encode(img, config.signing())
	if err != nil {
		return nil, fmt.Errorf("davit: %w", err)
	}
	return data, nil
}

// LoadModule loads an artifact. The bytes must not change as long as the module is
// used. An artifact that cannot be used is refused with an [*ArtifactError]. Limits
// of [Config] for modules are not applied.
func (e *Engine) LoadModule(data []byte) (*Module, error) {
	img, err := artifact.Decode(data, &artifact.LoadOptions{Key: e.config.VerifyKey, Secret: e.config.ArtifactSecret})
	if err != nil {
		return nil, artifactError(err)
	}
	return e.loadArtifact(img)
}

// LoadModuleFile loads an artifact from a file, which is mapped: code runs where
// the file is in memory, and processes that load the same file share it. The file
// must not be written to as long as the module is used: that can end the process.
// Give a new one its name instead. An engine with a VerifyKey or ArtifactSecret reads
// the file, so that what it has verified cannot change.
func (e *Engine) LoadModuleFile(name string) (*Module, error) {
	img, err := artifact.Open(name, e.config.verifying())
	if err != nil {
		var refused *artifact.Error
		if errors.As(err, &refused) {
			return nil, fmt.Errorf("%s: %w", name, artifactError(err))
		}
		return nil, err
	}
	m, err := e.loadArtifact(img)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// loadArtifact loads an image that comes from an artifact.
func (e *Engine) loadArtifact(img *image.Image) (*Module, error) {
	if err := e.checkSettings(img); err != nil {
		if img.File != nil {
			img.File.Close()
		}
		if img.Release != nil {
			img.Release()
		}
		return nil, err
	}
	return e.load(img)
}

// minSecret is the least length of a secret that is worth the name.
const minSecret = 16

// checkKeys refuses keys that cannot be keys.
func (c *Config) checkKeys() error {
	switch {
	case c.SigningKey != nil && len(c.SigningKey) != ed25519.PrivateKeySize:
		return fmt.Errorf("davit: Config.SigningKey has %d bytes, it should have %d", len(c.SigningKey), ed25519.PrivateKeySize)
	case c.VerifyKey != nil && len(c.VerifyKey) != ed25519.PublicKeySize:
		return fmt.Errorf("davit: Config.VerifyKey has %d bytes, it should have %d", len(c.VerifyKey), ed25519.PublicKeySize)
	case c.ArtifactSecret != nil && len(c.ArtifactSecret) < minSecret:
		return fmt.Errorf("davit: Config.ArtifactSecret has %d bytes, it should have at least %d", len(c.ArtifactSecret), minSecret)
	case c.ArtifactSecret != nil && (c.SigningKey != nil || c.VerifyKey != nil):
		return errors.New("davit: Config has both an ArtifactSecret and a key for signatures: artifacts have one of them")
	}
	return nil
}

// signing is how artifacts are made.
func (c *Config) signing() *artifact.Options {
	return &artifact.Options{Key: c.SigningKey, Secret: c.ArtifactSecret}
}

// verifying is how files are loaded.
func (c *Config) verifying() *artifact.LoadOptions {
	return &artifact.LoadOptions{Key: c.VerifyKey, Secret: c.ArtifactSecret, Unchecked: c.UncheckedFiles}
}

// checkSettings refuses an image that was compiled with settings that the engine
// does not allow.
func (e *Engine) checkSettings(img *image.Image) error {
	want, err := e.settings()
	if err != nil {
		return err
	}
	bad := func(f string, args ...any) error {
		return &ArtifactError{ArtifactSettings, fmt.Sprintf(f, args...)}
	}
	switch have := img.Settings; {
	case want.Epoch && !have.Epoch:
		return bad("its code can be interrupted by signals only, which this engine does not use")
	case want.ExplicitBounds && !have.ExplicitBounds:
		return bad("its code does not check the bounds of memories, as this engine wants")
	case want.DeterministicRelaxedSIMD && !have.DeterministicRelaxedSIMD:
		return bad("the results of its relaxed vector instructions may differ between machines, which this engine does not allow")
	}
	switch have := img.Settings; {
	case want.Fuel && !have.Fuel:
		return bad("its code does not count fuel, as this engine wants")
	case have.Fuel && !want.Fuel:
		return bad("its code counts fuel, which this engine does not give")
	}
	if allowed := e.config.Features; allowed != 0 && img.Features&^allowed != 0 {
		return bad("its module was allowed to use %v, which this engine does not allow", img.Features&^allowed)
	}
	return nil
}
