package ir

// An instruction that has been inlined has two things to say of where it comes
// from: the place in its own source, and the call that it came in by. A function
// keeps the calls in one table, the pairs in another, and the instruction's
// location is the number of its pair. So a location stays one number for whoever
// only hands it on, and code that nothing was inlined into costs nothing.

// InlineSite is a call that has been replaced by the body of what it called.
type InlineSite struct {
	Callee Name
	Call   SourceLoc // of the call
	// Outer is the site whose body the call was in, or [NoInlineSite] if it was the
	// function's own.
	Outer uint32
	// Tail is set if it was a tail call: the callee is there in place of the
	// function, which nobody would see among the callers. Outer is NoInlineSite.
	// (A tail call in a body in the place of a call that is none counts as being
	// where that call was.)
	Tail bool
}

// NoInlineSite says that code is the function's own.
const NoInlineSite = None

// inlineLoc is what a location from inlinedLocs on stands for.
type inlineLoc struct {
	loc  SourceLoc
	site uint32
}

const inlinedLocs = 1 << 31

// AddInlineSite adds a site; an outer one must be there already.
func (f *Function) AddInlineSite(s InlineSite) uint32 {
	f.sites = append(f.sites, s)
	return uint32(len(f.sites) - 1)
}

// InlineSites are the calls that have been replaced, each after the one that it
// was within.
func (f *Function) InlineSites() []InlineSite { return f.sites }

// InlinedLoc is a location for instructions that came in by a site, from loc.
func (f *Function) InlinedLoc(site uint32, loc SourceLoc) SourceLoc {
	f.inlineLocs = append(f.inlineLocs, inlineLoc{loc, site})
	return SourceLoc(inlinedLocs + len(f.inlineLocs) - 1)
}

// Locate is the place in the source that l stands for, and the site by which it
// came in, or [NoInlineSite].
func (f *Function) Locate(l SourceLoc) (loc SourceLoc, site uint32) {
	if i := int(l) - inlinedLocs; i >= 0 && i < len(f.inlineLocs) {
		return f.inlineLocs[i].loc, f.inlineLocs[i].site
	}
	return l, NoInlineSite
}
