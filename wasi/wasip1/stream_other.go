//go:build !unix

package wasip1

import (
	"context"
	"syscall"
	"time"
)

// rawConn: there is no call here that waits for consoles, pipes and sockets
// alike, so goroutines do.
func rawConn(syscall.Conn) (raw syscall.RawConn, blocking bool) { return nil, false }

func (s *stream) rawRead(context.Context, []byte, bool) (int, error)  { panic("wasip1: no raw stream") }
func (s *stream) rawWrite(context.Context, []byte, bool) (int, error) { panic("wasip1: no raw stream") }

func (s *stream) await(context.Context, bool, bool) error { panic("wasip1: no raw stream") }

// waitRaw is never asked for more than to wait for wake.
func waitRaw(ctx context.Context, _ []rawWait, timeout time.Duration, wake <-chan struct{}) error {
	return waitChannel(ctx, wake, timeout)
}
