package image

import _ "embed"

//go:embed image.go
var imageSource string

//go:embed trap.go
var trapSource string

//go:embed memory.go
var memorySource string

// Source is the text of this package: images that were made with another one may
// mean something else.
func Source() string { return imageSource + trapSource + memorySource }
