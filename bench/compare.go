package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// compare prints what is different from an older report: for each column that
// both have, the ratio of the medians, new to old, of the rows that changed, and
// the geometric mean of all. A row has changed if the ratio is off by more than
// 3 %, and the middle halves of the samples do not touch.
func compare(w io.Writer, old, now *report) {
	fmt.Fprintf(w, "\nSince %s (less is better)\n", old.Started.Format("2006-01-02 15:04"))
	fmt.Fprintf(w, "then: %s\nnow:  %s\n\n", old.Noise.verdict(), now.Noise.verdict())
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer out.Flush()
	for _, t := range now.Tables {
		before := old.table(t.ID)
		if before == nil {
			continue
		}
		for col, name := range t.Cols {
			var ratios []float64
			var changed []string
			for _, r := range t.Rows {
				a, b := before.cell(r.Name, name), &r.Cells[col]
				if a == nil || !a.ok() || !b.ok() {
					continue
				}
				x := median(b.Samples) / median(a.Samples)
				if !(x > 0) {
					continue
				}
				if !t.small(r) {
					ratios = append(ratios, x)
				}
				if apart(a.Samples, b.Samples) && (x > 1.03 || x < 1/1.03) {
					changed = append(changed, fmt.Sprintf("  %s\t%s → %s %s\t%.2f", r.Name, digits(median(a.Samples)), digits(median(b.Samples)), t.Unit, x))
				}
			}
			if len(ratios) == 0 {
				continue
			}
			fmt.Fprintf(out, "%s: %s\tgeometric mean of %d\t%.3f\n", t.ID, name, len(ratios), geometricMean(ratios))
			for _, line := range changed {
				fmt.Fprintln(out, line)
			}
		}
	}
}

// apart reports whether the middle halves of samples do not touch.
func apart(a, b []float64) bool {
	return quantile(a, 0.75) < quantile(b, 0.25) || quantile(b, 0.75) < quantile(a, 0.25)
}

func (r *report) table(id string) *table {
	for _, t := range r.Tables {
		if t.ID == id {
			return t
		}
	}
	return nil
}

// cell is that of a row and a column by their names; nil if there is none.
func (t *table) cell(row, col string) *cell {
	for _, r := range t.Rows {
		if r.Name != row {
			continue
		}
		for i, c := range t.Cols {
			if c == col {
				return &r.Cells[i]
			}
		}
	}
	return nil
}
