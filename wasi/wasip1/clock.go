package wasip1

// Clocks.
const (
	clockRealtime = iota
	clockMonotonic
	clockProcessCPU
	clockThreadCPU
)

// clock is the time of a clock in nanoseconds.
func (c *call) clock(id uint32) (uint64, Errno) {
	switch id {
	case clockRealtime:
		return uint64(max(c.now().UnixNano(), 0)), ErrnoSuccess
	case clockMonotonic:
		return uint64(max(c.monotonic(), 0)), ErrnoSuccess
	case clockProcessCPU, clockThreadCPU:
		return 0, ErrnoNotSup // a goroutine's share of the processor is not known
	}
	return 0, ErrnoInval
}

func (c *call) clockResGet(a []uint64) Errno {
	if _, e := c.clock(uint32(a[0])); e != ErrnoSuccess {
		return e
	}
	return c.putU64(a[1], 1)
}

func (c *call) clockTimeGet(a []uint64) Errno {
	t, e := c.clock(uint32(a[0]))
	if e != ErrnoSuccess {
		return e
	}
	return c.putU64(a[2], t)
}
