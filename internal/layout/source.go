package layout

import _ "embed"

//go:embed layout.go
var layoutSource string

//go:embed handler.go
var handlerSource string

// Source is the text of this package: compiled code and a runtime that were
// built from different ones may not understand each other.
func Source() string { return layoutSource + handlerSource }
