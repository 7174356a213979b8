package testdata

import (
	"os/exec"
	"regexp"
)

// downloading is what the go command says where a module is not there yet.
var downloading = regexp.MustCompile(`(?m)^go: downloading .*\n`)

// Output is what a command prints to both its outputs. If it is the go command's, what
// that says about downloads is left out.
func Output(cmd *exec.Cmd) (string, error) {
	all, err := cmd.CombinedOutput()
	return downloading.ReplaceAllString(string(all), ""), err
}
