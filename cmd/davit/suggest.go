package main

import (
	"cmp"
	"slices"
	"strings"
)

// near are the names that someone who wrote name may have meant, the nearest
// first, at most three.
func near(name string, names []string) []string {
	type candidate struct {
		name     string
		distance int
	}
	var list []candidate
	if len(name) == 0 || len(name) > 100 {
		return nil
	}
	lower := strings.ToLower(name)
	for _, n := range names {
		if len(n) > 200 {
			continue
		}
		most := 1 + len(name)/4
		d := distance(lower, strings.ToLower(n))
		if len(name) >= 3 && (strings.Contains(strings.ToLower(n), lower) || len(n) >= 3 && strings.Contains(lower, strings.ToLower(n))) {
			d = min(d, most)
		}
		if d <= most {
			list = append(list, candidate{n, d})
		}
	}
	slices.SortStableFunc(list, func(a, b candidate) int { return cmp.Compare(a.distance, b.distance) })
	var best []string
	for _, c := range list[:min(len(list), 3)] {
		if c.distance > list[0].distance+1 {
			break
		}
		best = append(best, c.name)
	}
	return best
}

// distance is how many characters must be inserted, removed, replaced or swapped
// with their neighbours to make b of a (the restricted Damerau-Levenshtein
// distance).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

// didYouMean is the question for suggestions, each behind prefix, or "".
func didYouMean(names []string, prefix string) string {
	if len(names) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("did you mean ")
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString("'" + prefix + n + "'")
	}
	return b.String() + "?"
}
