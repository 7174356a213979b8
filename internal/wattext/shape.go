package wattext

// Shape is how the lanes of a vector are written.
type Shape struct {
	Lanes, Bits int
	Float       bool
}

// LookupShape finds a shape by its name.
func LookupShape(name []byte) (Shape, bool) {
	switch string(name) {
	case "i8x16":
		return Shape{Lanes: 16, Bits: 8}, true
	case "i16x8":
		return Shape{Lanes: 8, Bits: 16}, true
	case "i32x4":
		return Shape{Lanes: 4, Bits: 32}, true
	case "i64x2":
		return Shape{Lanes: 2, Bits: 64}, true
	case "f32x4":
		return Shape{Lanes: 4, Bits: 32, Float: true}, true
	case "f64x2":
		return Shape{Lanes: 2, Bits: 64, Float: true}, true
	}
	return Shape{}, false
}
