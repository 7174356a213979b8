package main

import (
	"fmt"
	"math"
	"slices"
)

// A table has a row for each thing measured, and a column for each engine. Of all
// that is measured, less is better.
type table struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	About string   `json:"about"` // what is measured, in a sentence or two
	Unit  string   `json:"unit"`
	Cols  []string `json:"columns"`
	Base  int      `json:"base"` // the column that others are compared with
	Rows  []*row   `json:"rows"`
	// Floor is the median, of the base, below which a row is left out of means.
	Floor float64 `json:"floor,omitempty"`
	// Skipped says what is not in the table, and why, a line each.
	Skipped []string `json:"skipped,omitempty"`
}

type row struct {
	Name   string `json:"name"`
	Vector bool   `json:"vector,omitempty"` // the program has vector instructions
	Cells  []cell `json:"cells"`
}

// A cell is what was measured of a column, or why it was not.
type cell struct {
	Samples []float64 `json:"samples,omitempty"`
	Note    string    `json:"note,omitempty"`   // stands behind the median
	Error   string    `json:"error,omitempty"`  // a failure
	Absent  bool      `json:"absent,omitempty"` // there is nothing to measure
}

// ok reports whether there is a number.
func (c *cell) ok() bool { return len(c.Samples) > 0 && c.Error == "" }

// ratio is the median of a column relative to that of the base.
func (t *table) ratio(r *row, col int) (float64, bool) {
	c, base := &r.Cells[col], &r.Cells[t.Base]
	if !c.ok() || !base.ok() {
		return 0, false
	}
	x := median(c.Samples) / median(base.Samples)
	return x, x > 0 && !math.IsInf(x, 0)
}

// small reports whether r is too small to be measured well.
func (t *table) small(r *row) bool {
	b := &r.Cells[t.Base]
	return b.ok() && median(b.Samples) < t.Floor
}

// A mean is the geometric means of the ratios of a group of rows, by columns; 0
// where there is none.
type mean struct {
	Name   string
	Ratios []float64
}

// means are those of all rows, of those with vectors, and of all without
// outliers, each where it says something of its own.
func (t *table) means() (list []mean) {
	if len(t.Cols) < 2 {
		return nil
	}
	group := func(name string, in func(r *row) bool, filter func([]float64) []float64) {
		m := mean{Ratios: make([]float64, len(t.Cols))}
		least, most, rows := math.MaxInt, 0, 0
		for i := range t.Cols {
			var ratios []float64
			for _, r := range t.Rows {
				if x, ok := t.ratio(r, i); ok && !t.small(r) && in(r) {
					ratios = append(ratios, x)
				}
			}
			all := len(ratios)
			if ratios = filter(ratios); i != t.Base && all > 0 {
				least, most, rows = min(least, len(ratios)), max(most, len(ratios)), max(rows, all)
			}
			if len(ratios) > 0 {
				m.Ratios[i] = geometricMean(ratios)
			}
		}
		switch {
		case rows < 2, name != "" && len(list) == 0:
			return
		case least == most:
			m.Name = fmt.Sprintf("mean of %d%s", most, name)
		default:
			m.Name = fmt.Sprintf("mean of %d to %d%s", least, most, name)
		}
		if name == "" {
			m.Name = "geometric " + m.Name
		}
		list = append(list, m)
	}
	all := func(r *row) bool { return true }
	group("", all, func(x []float64) []float64 { return x })
	if slices.ContainsFunc(t.Rows, func(r *row) bool { return r.Vector }) {
		group(" with vectors", func(r *row) bool { return r.Vector }, func(x []float64) []float64 { return x })
	}
	if len(t.Rows) >= 8 {
		group(" without outliers", all, withoutOutliers)
	}
	return list
}

// failures are the cells that failed, a line each.
func (t *table) failures() (list []string) {
	for _, r := range t.Rows {
		for i := range r.Cells {
			if e := r.Cells[i].Error; e != "" {
				list = append(list, fmt.Sprintf("%s: %s: %s: %s", t.ID, t.Cols[i], r.Name, e))
			}
		}
	}
	return list
}
