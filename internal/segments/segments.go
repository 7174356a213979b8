// Package segments writes the contents of memories as data segments.
package segments

import (
	"encoding/binary"

	"github.com/davit-wasm/davit/wasm"
)

// Limits of segments.
const (
	// Max is how many data segments a module had better have at most: engines
	// refuse more than 100,000.
	Max = 50_000
	// minGap is from how many zeros on two segments are shorter than one with the zeros
	// in between.
	minGap = 16
	// maxSegment is the size of the largest segment, so that offsets in it stay
	// small; a larger one is cut.
	maxSegment = 1 << 30
)

// Of are the parts of a memory that are not zero, at most limit of them, and one
// at least if there are any. They refer to data.
func Of(data []byte, memory uint32, is64 bool, limit int) []wasm.Data {
	gap := minGap
	list := runs(data, gap)
	for len(list) > max(limit, 1) {
		gap *= 2
		list = runs(data, gap)
	}
	out := make([]wasm.Data, len(list))
	for i, r := range list {
		b := wasm.AppendS32(wasm.AppendOpcode(nil, wasm.OpI32Const), int32(uint32(r.start)))
		if is64 {
			b = wasm.AppendS64(wasm.AppendOpcode(nil, wasm.OpI64Const), int64(r.start))
		}
		out[i] = wasm.Data{Memory: memory, Offset: wasm.ConstExpr{Code: append(b, byte(wasm.OpEnd))}, Init: data[r.start:r.end]}
	}
	return out
}

type span struct{ start, end int }

// runs are the parts of data that lie between zeros, gap of them or more.
func runs(data []byte, gap int) []span {
	var list []span
	for at := nonzero(data, 0); at < len(data); {
		end := at + 1
		next := nonzero(data, end)
		for next < len(data) && next-end < gap && next-at < maxSegment {
			end = next + 1
			next = nonzero(data, end)
		}
		list = append(list, span{at, end})
		at = next
	}
	return list
}

// nonzero is where the first byte that is not zero is, from at on.
func nonzero(data []byte, at int) int {
	for ; at < len(data) && (at&7 != 0 || len(data)-at < 8); at++ {
		if data[at] != 0 {
			return at
		}
	}
	for at+8 <= len(data) && binary.LittleEndian.Uint64(data[at:]) == 0 {
		at += 8
	}
	for ; at < len(data); at++ {
		if data[at] != 0 {
			return at
		}
	}
	return len(data)
}
