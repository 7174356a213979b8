//go:build !linux

package native

// Nothing here is reached: Supported fails first.

type timers struct{}

func startTimers(rate int, value uintptr) (*timers, error) { return nil, unsupported() }

func (t *timers) stop() {}
