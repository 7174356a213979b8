package native

import "github.com/davit-wasm/davit/internal/layout"

// Signals by their numbers on Linux. They are constants of their own because
// tables may be prepared on another system than the one they are for.
const (
	linuxSIGILL  = 4
	linuxSIGBUS  = 7
	linuxSIGFPE  = 8
	linuxSIGSEGV = 11
)

// SiteFlags is what [PreparedTables] says of a trap site for a platform, by Go's
// names for it; code begins with the site's instruction. ok is false if native
// code cannot be run on that platform.
func SiteFlags(goos, goarch string, s TrapSite, code []byte) (flags uint32, ok bool) {
	if goos != "linux" || goarch != "amd64" {
		return 0, false
	}
	return siteFlags(s, linuxAMD64Signals(code)), true
}

func siteFlags(s TrapSite, signals uint32) uint32 {
	flags := signals | uint32(s.Code)<<layout.SiteCodeShift
	if s.Null {
		flags |= layout.SiteNull
	}
	return flags
}

// linuxAMD64Signals is the set of signals that can make a trap site of the
// instruction that code begins with: SIGILL for ud2, else those of memory
// accesses and divisions.
func linuxAMD64Signals(code []byte) uint32 {
	if len(code) >= 2 && code[0] == 0x0F && code[1] == 0x0B {
		return 1 << linuxSIGILL
	}
	return 1<<linuxSIGSEGV | 1<<linuxSIGBUS | 1<<linuxSIGFPE
}

// Bounds are bodies as [PreparedTables] has them.
func Bounds(bodies []Range) []uint32 {
	return appendBounds(make([]uint32, 0, 2*len(bodies)), bodies)
}

// appendBounds appends the edges of bodies, joining those that touch.
func appendBounds(edges []uint32, bodies []Range) []uint32 {
	for _, b := range bodies {
		switch n := len(edges); {
		case b.Start == b.End:
		case n > 0 && edges[n-1] == b.Start:
			edges[n-1] = b.End
		default:
			edges = append(edges, b.Start, b.End)
		}
	}
	return edges
}
