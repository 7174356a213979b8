package main

import (
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// writePage writes a report as a web page that needs nothing but itself.
func (r *report) writePage(path string) error {
	p := &page{
		Started: r.Started.Format("2006-01-02 15:04"), Took: (time.Duration(r.Took) * time.Second).String(),
		Machine: r.Machine, Engines: strings.Join(r.Engines, " · "), Verdict: r.Noise.verdict(), Absent: r.Absent, Failures: r.failures(),
	}
	p.Noisy = strings.HasPrefix(p.Verdict, "NOISY")
	for _, t := range r.Tables {
		p.Tables = append(p.Tables, t.page())
		if s, ok := t.summary(); ok {
			p.Summary = append(p.Summary, s)
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pageTemplate.Execute(f, p); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// page is what page.html shows.
type page struct {
	Started, Took, Machine, Engines, Verdict string
	Noisy                                    bool
	Absent, Failures                         []string
	Summary                                  []summary
	Tables                                   []pageTable
}

// A summary is the first column's mean of a table.
type summary struct {
	ID, Title, Ratio, Than, Of string
	Better                     bool
}

type pageTable struct {
	ID, Title, About, Unit string
	Base                   string
	Heads                  []pageHead
	Rows                   []pageRow
	Skipped                []string
	Chart                  *chart
}

type pageHead struct {
	Name   string
	Series int
}

type pageRow struct {
	Name  string
	Mean  bool
	Cells []pageCell
}

type pageCell struct {
	Median, Note, Spread, Ratio, Error string
	Best                               bool
}

// summary is that of the first column, relative to the base.
func (t *table) summary() (summary, bool) {
	means := t.means()
	if t.Base == 0 || len(t.Rows) == 0 {
		return summary{}, false
	}
	s := summary{ID: t.ID, Title: t.Title, Than: t.Cols[t.Base]}
	ratio, ok := t.ratio(t.Rows[0], 0)
	if len(means) > 0 {
		ratio, s.Of = means[0].Ratios[0], means[0].Name
	} else {
		s.Of = t.Rows[0].Name
		if !ok {
			return s, false
		}
	}
	s.Ratio, s.Better = fmt.Sprintf("%.2f", ratio), ratio <= 1
	return s, ratio > 0
}

func (t *table) page() pageTable {
	p := pageTable{ID: t.ID, Title: t.Title, About: t.About, Unit: t.Unit, Base: t.Cols[t.Base], Skipped: t.Skipped, Chart: t.chart()}
	for i, c := range t.Cols {
		p.Heads = append(p.Heads, pageHead{c, i % seriesColors})
	}
	for _, r := range t.Rows {
		row := pageRow{Name: r.Name}
		best := math.Inf(1)
		for i := range r.Cells {
			if r.Cells[i].ok() {
				best = min(best, median(r.Cells[i].Samples))
			}
		}
		for i := range r.Cells {
			c := &r.Cells[i]
			x := pageCell{Note: c.Note, Spread: c.spreadText(), Error: c.Error}
			if c.Absent {
				x.Median = c.text()
			}
			if c.ok() {
				x.Median, x.Best = digits(median(c.Samples)), median(c.Samples) == best
			}
			if i != t.Base {
				x.Ratio = t.ratioText(r, i)
			}
			row.Cells = append(row.Cells, x)
		}
		p.Rows = append(p.Rows, row)
	}
	for _, m := range t.means() {
		row := pageRow{Name: m.Name, Mean: true}
		for i, x := range m.Ratios {
			c := pageCell{}
			if i != t.Base {
				c.Ratio = ratioOrNothing(x)
			}
			row.Cells = append(row.Cells, c)
		}
		p.Rows = append(p.Rows, row)
	}
	return p
}

// seriesColors is how many colours page.html has for columns.
const seriesColors = 8

// A chart shows ratios to the base on a logarithmic axis: a line for each row, a
// dot for each column, and a bar from quartile to quartile.
type chart struct {
	Width, Height int
	Left, Right   int // the ends of the axis
	Top, Bottom   int
	Ticks         []tick
	Lines         []chartLine
}

type tick struct {
	X    float64
	Text string
	One  bool
}

type chartLine struct {
	Y      int
	Name   string
	Mean   bool
	Dim    bool // not part of the mean
	Marks  []mark
	Shaded bool
}

type mark struct {
	X, Low, High float64
	Series       int
	Tip          string
}

// The layout of a chart, in pixels.
const (
	chartWidth  = 960
	chartLabels = 250
	chartLine1  = 46 // the first line
	chartStep   = 22
)

func (t *table) chart() *chart {
	if len(t.Cols) < 2 {
		return nil
	}
	low, high := 0.8, 1.25
	see := func(x float64) {
		low, high = min(low, x), max(high, x)
	}
	for _, r := range t.Rows {
		for i := range t.Cols {
			if x, ok := t.ratio(r, i); ok {
				see(x)
			}
		}
	}
	// What is far away would press all else together.
	low, high = max(low, 1.0/50)/1.05, min(high, 50)*1.05
	c := &chart{Width: chartWidth, Left: chartLabels, Right: chartWidth - 20, Top: chartLine1 - chartStep}
	at := func(x float64) float64 {
		x = min(max(x, low), high)
		return math.Round(10*(chartLabels+math.Log(x/low)/math.Log(high/low)*float64(c.Right-c.Left))) / 10
	}
	ticks := []float64{0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50}
	if high/low > 30 {
		ticks = []float64{0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50}
	}
	for _, x := range ticks {
		if x > low && x < high {
			c.Ticks = append(c.Ticks, tick{at(x), fmt.Sprintf("%g×", x), x == 1})
		}
	}
	y := chartLine1
	line := func(name string) *chartLine {
		c.Lines = append(c.Lines, chartLine{Y: y, Name: name, Shaded: len(c.Lines)%2 == 1})
		y += chartStep
		return &c.Lines[len(c.Lines)-1]
	}
	for _, r := range t.Rows {
		l := line(r.Name)
		l.Dim = t.small(r)
		// The base is drawn first, and davit last, on top of others.
		for k := range t.Cols {
			i := len(t.Cols) - 1 - k
			x, ok := t.ratio(r, i)
			if !ok {
				continue
			}
			s, b := r.Cells[i].Samples, median(r.Cells[t.Base].Samples)
			l.Marks = append(l.Marks, mark{
				at(x), at(quantile(s, 0.25) / b), at(quantile(s, 0.75) / b), i % seriesColors,
				fmt.Sprintf("%s: %s %s, %.2f of %s", t.Cols[i], digits(median(s)), t.Unit, x, t.Cols[t.Base]),
			})
		}
	}
	for _, m := range t.means() {
		l := line(m.Name)
		l.Mean = true
		for k := range t.Cols {
			if i := len(t.Cols) - 1 - k; m.Ratios[i] > 0 {
				x := at(m.Ratios[i])
				l.Marks = append(l.Marks, mark{x, x, x, i % seriesColors, fmt.Sprintf("%s: %.2f of %s", t.Cols[i], m.Ratios[i], t.Cols[t.Base])})
			}
		}
	}
	c.Bottom = y - chartStep/2
	c.Height = c.Bottom + 8
	return c
}
