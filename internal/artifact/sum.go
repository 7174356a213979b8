package artifact

import (
	"hash/crc32"
	"runtime"
	"sync"
	"sync/atomic"
)

// Checksums find damage, as by a disk, a copy that was cut short, or whoever wrote into a
// file that is in use: one bit, or what lies within 32, without fail, anything else but for
// one case in four thousand million.
//
// Head and seal have CRC-32C, the same in all versions of the format. What is behind the
// head has nearly all bytes, up to some hundred megabytes, and all of them are read before
// anything runs. So its checksum is one for all processors: that of the checksums of its
// blocks. Those are of CRC-32 with the polynomial of IEEE 802.3, which Go's library
// computes by folding vectors, where they are wide three times as fast as the instruction
// for CRC-32C does.

// bulkBlock is the size of a block, the last one's excepted.
const bulkBlock = 1 << 20

// bulkSum is the checksum of what is between head and seal.
func bulkSum(b []byte) uint32 {
	blocks := (len(b) + bulkBlock - 1) / bulkBlock
	sums := make([]byte, 4*blocks)
	var next atomic.Int64
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= blocks {
				return
			}
			le.PutUint32(sums[4*i:], crc32.ChecksumIEEE(b[i*bulkBlock:min((i+1)*bulkBlock, len(b))]))
		}
	}
	var others sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (blocks+1)/2) - 1 { // less than two blocks are not worth a goroutine
		others.Go(work)
	}
	work()
	others.Wait()
	return crc32.ChecksumIEEE(sums)
}
