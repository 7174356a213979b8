package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// terminalWidth is the width of the terminal that f is, or 0 if it is none or
// does not understand escape sequences.
func terminalWidth(f *os.File) int {
	var mode uint32
	h := windows.Handle(f.Fd())
	if windows.GetConsoleMode(h, &mode) != nil ||
		windows.SetConsoleMode(h, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) != nil {
		return 0
	}
	var info windows.ConsoleScreenBufferInfo
	if windows.GetConsoleScreenBufferInfo(h, &info) != nil {
		return 80
	}
	return int(info.Window.Right-info.Window.Left) + 1
}
