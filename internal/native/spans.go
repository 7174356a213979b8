package native

import "slices"

// spans allocates runs of equal units from a range, first fit. Its zero value
// with a limit is an empty range; units above the highest ever used are not
// listed.
type spans struct {
	limit int // number of units
	used  int // units below this have been handed out before
	free  []span
}

// span is a free run of n units, from first on.
type span struct{ first, n int }

// take returns the first of n consecutive units, and whether any of them has
// been in use before.
func (s *spans) take(n int) (first int, reused, ok bool) {
	for i, f := range s.free {
		if f.n < n {
			continue
		}
		if f.n == n {
			s.free = slices.Delete(s.free, i, i+1)
		} else {
			s.free[i] = span{f.first + n, f.n - n}
		}
		return f.first, true, true
	}
	if s.limit-s.used < n {
		return 0, false, false
	}
	first = s.used
	s.used += n
	return first, false, true
}

// give returns n units from first on.
func (s *spans) give(first, n int) {
	i, _ := slices.BinarySearchFunc(s.free, first, func(f span, first int) int { return f.first - first })
	joinsLeft := i > 0 && s.free[i-1].first+s.free[i-1].n == first
	joinsRight := i < len(s.free) && first+n == s.free[i].first
	switch {
	case joinsLeft && joinsRight:
		s.free[i-1].n += n + s.free[i].n
		s.free = slices.Delete(s.free, i, i+1)
	case joinsLeft:
		s.free[i-1].n += n
	case joinsRight:
		s.free[i] = span{first, n + s.free[i].n}
	default:
		s.free = slices.Insert(s.free, i, span{first, n})
	}
}

// untake returns n units from first on that have not been in use, if nothing behind
// them has been either.
func (s *spans) untake(first, n int) bool {
	if first+n != s.used {
		return false
	}
	s.used = first
	return true
}
