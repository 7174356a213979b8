package native

import (
	"fmt"
	"sync/atomic"
)

// The kernel limits the number of mappings of a process. At the limit Go's heap
// can't grow either, which ends the process; so davit stops some way before and
// returns an error. Counted are the mappings that there may be many of.

const (
	mappingsPerMemory = 3 // before, in and behind what is usable
	mappingsPerStack  = 2 // guard, stack
)

// mappings is the count and its limit, 0 if there is none.
var mappings struct {
	n     atomic.Int64
	limit int64
}

// setMappingLimit leaves a sixteenth of the process's mappings, and at least
// 2,048, to others.
func setMappingLimit(limit int) {
	if limit > 0 {
		mappings.limit = max(int64(limit)-max(int64(limit)/16, 2048), 64)
	}
}

// takeMappings counts n more mappings, or returns an error if they would be too
// many.
func takeMappings(n int64) error {
	if now := mappings.n.Add(n); mappings.limit > 0 && now > mappings.limit {
		mappings.n.Add(-n)
		return fmt.Errorf("native: too many memories and stacks: they take %d mappings, near the limit of the process; raise vm.max_map_count", now-n)
	}
	return nil
}

func giveMappings(n int64) { mappings.n.Add(-n) }
