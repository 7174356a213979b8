package artifact

import "encoding/binary"

// writer appends numbers and strings in the compact form of note and metadata.
type writer struct{ b []byte }

func (w *writer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *writer) bytes(b []byte) {
	w.number(uint64(len(b)))
	w.b = append(w.b, b...)
}

func (w *writer) string(s string) {
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

// reader reads what a writer has written. Once something is wrong, bad is set,
// and everything that is read is zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[size:]
	return n
}

// below reads a number that must be less than limit.
func (r *reader) below(limit uint64) uint64 {
	n := r.number()
	if n >= limit {
		r.fail()
		return 0
	}
	return n
}

// count reads the number of things that take at least a byte each.
func (r *reader) count() int { return int(r.below(uint64(len(r.b)) + 1)) }

// bytes are the next n bytes.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) string() string { return string(r.bytes(r.number())) }

func (r *reader) fail() { r.b, r.bad = nil, true }
