package main

import (
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// progress is a line about a compilation that takes long. It appears when that
// has taken a while, is written again and again, and disappears at the end.
type progress struct {
	t     *terminal
	what  string
	delay time.Duration // before it appears
	every time.Duration // the least time between updates
	now   func() time.Time

	start, last time.Time
	shown       bool
}

// newProgress follows the flag --progress; nil means that there is none.
func newProgress(cmd *cobra.Command, when, what string) (*progress, error) {
	t := sessionOf(cmd).stderr
	p := &progress{t: t, what: what, delay: 400 * time.Millisecond, every: 80 * time.Millisecond, now: time.Now}
	switch when {
	case "auto":
		if t.width == 0 {
			return nil, nil
		}
	case "always":
		p.delay = 0
	case "never":
		return nil, nil
	default:
		return nil, usagef(cmd, "--progress %q: want auto, always or never", when)
	}
	p.start = p.now()
	return p, nil
}

// update shows that done of total functions are compiled.
func (p *progress) update(done, total int) {
	now := p.now()
	if now.Sub(p.start) < p.delay || p.shown && now.Sub(p.last) < p.every && done < total {
		return
	}
	p.last, p.shown = now, true
	line := fmt.Sprintf("davit: compiling %s: %d%% (%d of %d functions)", p.what, 100*done/max(total, 1), done, total)
	if p.t.width > 0 {
		for utf8.RuneCountInString(line) >= p.t.width { // a longer line could not be overwritten
			_, n := utf8.DecodeLastRuneInString(line)
			line = line[:len(line)-n]
		}
	}
	io.WriteString(p.t, "\r"+line+"\x1b[K")
}

// clear removes the line. It may be called on nil.
func (p *progress) clear() {
	if p != nil && p.shown {
		io.WriteString(p.t, "\r\x1b[K")
		p.shown = false
	}
}
