package codegen

import "errors"

var errNoBlocks = errors.New("the function has no blocks")

// verifierState is the verifier's working memory.
type verifierState struct{}

// verify checks the rules of the IR, if the settings want it.
func (c *Context) verify() error {
	return nil
}
