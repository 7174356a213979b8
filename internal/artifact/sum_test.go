package artifact

import (
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestBulkSum: the checksum is the same however many processors there are, and whatever
// is damaged, moved or missing changes it.
func TestBulkSum(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 5*bulkBlock+777)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, n := range []int{0, 1, bulkBlock - 1, bulkBlock, bulkBlock + 1, 2 * bulkBlock, len(b)} {
		sums := map[uint32]bool{}
		for _, processors := range []int{1, 2, 3, 8} {
			runtime.GOMAXPROCS(processors)
			sums[bulkSum(b[:n])] = true
		}
		if len(sums) != 1 {
			t.Errorf("%d bytes have %d checksums", n, len(sums))
		}
		good := bulkSum(b[:n])
		for range min(n, 50) {
			at, bit := rnd.IntN(n), byte(1)<<rnd.IntN(8)
			b[at] ^= bit
			if bulkSum(b[:n]) == good {
				t.Errorf("a bit of byte %d of %d does not matter", at, n)
			}
			b[at] ^= bit
			if bulkSum(b[:at]) == good {
				t.Errorf("%d bytes of %d have the checksum of all", at, n)
			}
		}
	}
	good := bulkSum(b)
	for i := range bulkBlock {
		b[i], b[i+bulkBlock] = b[i+bulkBlock], b[i]
	}
	if bulkSum(b) == good {
		t.Error("blocks can change places")
	}
}

func BenchmarkBulkSum(b *testing.B) {
	data := make([]byte, 50<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		bulkSum(data)
	}
}
