//go:build !linux || !amd64

package native

import "fmt"

// Nothing here is reached: Supported fails first.

const supportedPlatform = false

var stubText [0]byte

const stubExit, stubResume, stubLand, stubGoroutine, stubClaim, stubBounds = 0, 0, 0, 0, 0, 0

func handlerFlags() uintptr { return 0 }

func probe() error { return fmt.Errorf("native: %w", ErrUnsupported) }

func installHandlers() error { return fmt.Errorf("native: %w", ErrUnsupported) }

func installProfileHandler() error { return fmt.Errorf("native: %w", ErrUnsupported) }

func siteSignals([]byte) uint32 { return 0 }
