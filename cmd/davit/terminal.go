package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
)

// terminal is an output stream that may be a terminal.
type terminal struct {
	io.Writer
	width int  // in columns; 0 if it is no terminal
	color bool // whether to use colours
}

// newTerminal looks at what f is.
func newTerminal(f *os.File) *terminal {
	t := &terminal{Writer: f, width: terminalWidth(f)}
	t.color = t.width > 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return t
}

// setColor follows the flag --color.
func (t *terminal) setColor(cmd *cobra.Command, when string) error {
	switch when {
	case "auto":
	case "always":
		t.color = true
	case "never":
		t.color = false
	default:
		return usagef(cmd, "--color %q: want auto, always or never", when)
	}
	return nil
}

// Colours, as the parameters of the escape sequence for them.
const (
	bold = "1"
	red  = "1;31"
)

// paint is s in a colour, if the terminal has any.
func (t *terminal) paint(color, s string) string {
	if !t.color {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}
