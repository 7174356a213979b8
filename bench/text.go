package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// digits is a measurement with three digits that count.
func digits(x float64) string {
	switch {
	case x >= 1e6:
		return digits(x/1e6) + "M"
	case x >= 100 || x == 0:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// text is a cell's median, and what stands behind it.
func (c *cell) text() string {
	switch {
	case c.Error != "":
		return "failed"
	case c.Absent:
		return "–"
	case !c.ok():
		return ""
	case c.Note != "":
		return digits(median(c.Samples)) + " (" + c.Note + ")"
	}
	return digits(median(c.Samples))
}

// spreadText is a cell's spread in percent; "" if there is nothing that spreads.
func (c *cell) spreadText() string {
	if !c.ok() || len(c.Samples) < 2 {
		return ""
	}
	return fmt.Sprintf("±%.0f%%", 50*spread(c.Samples))
}

// ratioText is a ratio to the base; in parentheses if it is not part of means.
func (t *table) ratioText(r *row, col int) string {
	x, ok := t.ratio(r, col)
	switch {
	case !ok:
		return ""
	case t.small(r):
		return fmt.Sprintf("(%.2f)", x)
	}
	return fmt.Sprintf("%.2f", x)
}

func ratioOrNothing(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// print writes a table for terminals.
func (t *table) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s (%s)\n%s\n\n", t.Title, t.Unit, t.About)
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(out, "\t")
	for _, c := range t.Cols {
		fmt.Fprintf(out, "%s\tspread\t", c)
	}
	others := func(do func(i int)) {
		for i := range t.Cols {
			if i != t.Base {
				do(i)
			}
		}
	}
	others(func(i int) { fmt.Fprintf(out, "%s/%s\t", t.Cols[i], t.Cols[t.Base]) })
	fmt.Fprintln(out)
	for _, r := range t.Rows {
		fmt.Fprintf(out, "%s\t", r.Name)
		for i := range r.Cells {
			fmt.Fprintf(out, "%s\t%s\t", r.Cells[i].text(), r.Cells[i].spreadText())
		}
		others(func(i int) { fmt.Fprintf(out, "%s\t", t.ratioText(r, i)) })
		fmt.Fprintln(out)
	}
	for _, m := range t.means() {
		fmt.Fprintf(out, "%s\t%s", m.Name, strings.Repeat("\t", 2*len(t.Cols)))
		others(func(i int) { fmt.Fprintf(out, "%s\t", ratioOrNothing(m.Ratios[i])) })
		fmt.Fprintln(out)
	}
	out.Flush()
	for _, s := range t.Skipped {
		fmt.Fprintln(w, "not run:", s)
	}
}

// markdown writes a table in the form of the guides: the base's medians, then the
// ratios of the others.
func (t *table) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n%s", t.Title, t.About)
	if len(t.Cols) > 1 {
		fmt.Fprintf(w, " Relative to %s.", t.Cols[t.Base])
	}
	fmt.Fprintf(w, "\n\n| | %s, %s |", t.Cols[t.Base], t.Unit)
	for i, c := range t.Cols {
		if i != t.Base {
			fmt.Fprintf(w, " %s |", c)
		}
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(t.Cols)))
	ratio := func(r *row, i int) string {
		if !r.Cells[t.Base].ok() {
			return r.Cells[i].text() + " " + t.Unit
		}
		if note := r.Cells[i].Note; note != "" {
			return t.ratioText(r, i) + " (" + note + ")"
		}
		return t.ratioText(r, i)
	}
	for _, r := range t.Rows {
		fmt.Fprintf(w, "| %s | %s |", escapeMarkdown(r.Name), r.Cells[t.Base].text())
		for i := range r.Cells {
			c := &r.Cells[i]
			switch {
			case i == t.Base:
			case !c.ok():
				fmt.Fprintf(w, " %s |", c.text())
			default:
				fmt.Fprintf(w, " %s |", ratio(r, i))
			}
		}
		fmt.Fprintln(w)
	}
	for _, m := range t.means() {
		fmt.Fprintf(w, "| **%s** | |", m.Name)
		for i := range t.Cols {
			if i != t.Base {
				fmt.Fprintf(w, " **%s** |", ratioOrNothing(m.Ratios[i]))
			}
		}
		fmt.Fprintln(w)
	}
	if len(t.Skipped) > 0 {
		fmt.Fprintf(w, "\nNot run: %s.\n", strings.Join(t.Skipped, "; "))
	}
}

func escapeMarkdown(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(s)
}
