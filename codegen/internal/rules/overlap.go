package rules

import (
	"slices"
	"sort"
)

// exclusive reports whether no input can match both rules: they want different constants of the same binding, or things of it
// that were declared disjoint.
func (mt *matchTable) exclusive(a, b *matcher) bool {
	for _, c := range a.conds {
		if v, ok := b.has[c.site]; ok && v != c.value {
			return true
		}
		on, sets := mt.disjointSets(c)
		if sets == nil {
			continue
		}
		for _, d := range b.conds {
			if c == d {
				continue
			}
			if on2, sets2 := mt.disjointSets(d); on == on2 && intersect(sets, sets2) {
				return true
			}
		}
	}
	return false
}

// disjointSets returns the disjoint sets that the test c belongs to and the binding that it is a test of.
func (mt *matchTable) disjointSets(c cond) (on int, sets []int) {
	switch s := &mt.sites[c.site]; s.kind {
	case siteValue:
		if k := mt.p.constSets[c.value]; k != nil && k.typ == mt.binds[s.b].typ {
			return s.b, k.disjoint
		}
	case siteOK:
		if x := &mt.binds[s.b]; !x.construct {
			return x.src, x.term.disjoint
		}
	}
	return -1, nil
}

func intersect(a, b []int) bool {
	for _, x := range a {
		if slices.Contains(b, x) {
			return true
		}
	}
	return false
}

// covers reports whether a matches whatever b matches, as far as the tests show: each of a's is one of b's.
func covers(a, b *matcher) bool {
	if len(a.conds) > len(b.conds) {
		return false
	}
	for _, c := range a.conds {
		if v, ok := b.has[c.site]; !ok || v != c.value {
			return false
		}
	}
	return true
}

// sortRules puts the rules of a term in the order in which they would be tried one by one.
func sortRules(rules []*rule) {
	sort.SliceStable(rules, func(i, j int) bool { return rules[i].prio > rules[j].prio })
}

// checkOverlap reports rules of equal priority that can match the same input, and rules that are never reached because one
// tried before matches whatever they match. Neither is a mistake in a multi term, where all rules that match apply.
func (p *Program) checkOverlap(mt *matchTable) {
	t := mt.term
	sortRules(t.rules)
	if t.multi {
		return
	}
	for i, a := range t.rules {
		for _, b := range t.rules[i+1:] {
			if a.prio == b.prio && !t.ordered {
				if !mt.exclusive(a.m, b.m) {
					first, second := a, b
					if second.index < first.index {
						first, second = second, first
					}
					p.errorf(second.pos, "matches some of what %s matches, at the same priority", first.describe())
				}
				continue
			}
			if covers(a.m, b.m) {
				p.errorf(b.pos, "never reached: %s is tried before and matches all of it", a.describe())
			}
		}
	}
}

// checkRecursion reports internal constructors that can call themselves without being declared rec.
func (p *Program) checkRecursion() {
	calls := map[*term]map[*term]bool{}
	for _, t := range p.order {
		set := map[*term]bool{}
		for _, r := range t.rules {
			if r.m != nil && r.m.rhs != nil {
				addCalls(set, r.m.rhs)
			}
		}
		if t.table != nil {
			for i := range t.table.binds {
				if b := &t.table.binds[i]; b.kind == bindCall && b.construct {
					set[b.term] = true
				}
			}
		}
		calls[t] = set
	}
	for _, t := range p.order {
		if t.rec || len(t.rules) == 0 {
			continue
		}
		seen := map[*term]bool{}
		work := []*term{t}
		for len(work) > 0 {
			x := work[len(work)-1]
			work = work[:len(work)-1]
			for y := range calls[x] {
				// A cycle is in order once one of its terms says so.
				if !seen[y] && !y.rec {
					seen[y] = true
					work = append(work, y)
				}
			}
		}
		if seen[t] {
			p.errorf(t.pos, "%s can call itself but isn't declared rec", t.name)
		}
	}
}

func addCalls(set map[*term]bool, e *expr) {
	switch e.kind {
	case exprCall:
		set[e.term] = true
		for _, a := range e.args {
			addCalls(set, a)
		}
	case exprLet:
		for _, l := range e.lets {
			addCalls(set, l.val)
		}
		addCalls(set, e.body)
	}
}
