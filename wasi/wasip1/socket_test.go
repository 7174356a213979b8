package wasip1

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
)

// TestOwnership: closing a process closes what it opened, and nothing that was
// handed in.
func TestOwnership(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stdin, stdout, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	defer stdout.Close()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer port.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", port.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	given := dial()
	peer, err := port.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	g := newGuest(t, &Config{
		Stdin: stdin, Stdout: stdout, Mounts: []Mount{{Root: root, Guest: "/"}},
		Listeners: []net.Listener{port}, Conns: []net.Conn{given},
	})
	client := dial()
	g.want(0, "sock_accept", 4, 0, 0x80)
	for fd := range uint64(7) {
		g.want(0, "fd_close", fd) // even those that the program closes
	}
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("an accepted connection stays open: %v", err)
	}
	if _, err := root.Stat("."); err != nil {
		t.Error(err)
	}
	if _, err := stdout.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := given.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	dial()
	if _, err := port.Accept(); err != nil {
		t.Error(err)
	}
}

// TestSockets: accepting, receiving with its flags, sending, shutting down.
func TestSockets(t *testing.T) {
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer port.Close()
	g := newGuest(t, &Config{Listeners: []net.Listener{port}})
	g.want(0, "fd_fdstat_get", 3, 0x200)
	if filetype(g.mem[0x200]) != filetypeSocketStream {
		t.Error("a listener is no socket")
	}
	g.want(0, "fd_fdstat_set_flags", 3, uint64(fdflagNonblock))
	g.want(ErrnoAgain, "sock_accept", 3, 0, 0x80)
	client, err := net.Dial("tcp", port.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	g.subscribeFd(0x1800, 1, eventFdRead, 3)
	g.want(0, "poll_oneoff", 0x1800, 0x2000, 1, 0x90) // once it is ready, accepting does not fail
	g.want(0, "sock_accept", 3, uint64(fdflagNonblock), 0x80)
	fd := uint64(g.u32(0x80))
	g.iovec(0x90, 0x1000, 100)
	g.want(ErrnoAgain, "sock_recv", fd, 0x90, 1, 0, 0x98, 0x9c)
	g.want(0, "fd_fdstat_set_flags", fd, 0)
	client.Write([]byte("hello"))
	for _, flags := range []uint64{uint64(recvPeek), 0} {
		g.want(0, "sock_recv", fd, 0x90, 1, flags, 0x98, 0x9c)
		if got := string(g.mem[0x1000:][:g.u32(0x98)]); got != "hello" {
			t.Errorf("received %q", got)
		}
	}
	g.iovec(0x90, 0x1000, 6)
	go func() { client.Write([]byte("abc")); client.Write([]byte("def")) }()
	g.want(0, "sock_recv", fd, 0x90, 1, uint64(recvWaitall), 0x98, 0x9c)
	if got := string(g.mem[0x1000:][:g.u32(0x98)]); got != "abcdef" {
		t.Errorf("received %q", got)
	}
	g.str(0x1000, "answer")
	g.want(0, "sock_send", fd, 0x90, 1, 0, 0x98)
	g.want(0, "sock_shutdown", fd, uint64(shutdownWrite))
	if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
		t.Errorf("sent %q, %v", got, err)
	}
	if e, err := g.try("sock_send", fd, 0x90, 1, 0, 0x98); e == 0 || err != nil {
		t.Errorf("sending after shutdown: %v, %v", e, err)
	}
	g.want(ErrnoInval, "sock_shutdown", fd, 0)
	g.want(ErrnoNotSock, "sock_shutdown", 1, 1)
	g.want(ErrnoBadF, "sock_shutdown", 77, 1)
	g.want(0, "fd_fdstat_set_flags", 3, 0)
	port.Close() // the embedder's, who may
	if e, err := g.try("sock_accept", 3, 0, 0x80); e != ErrnoBadF || err != nil {
		t.Errorf("accepting of a closed listener: %v, %v", e, err)
	}
	client.Close()
	g.want(0, "sock_recv", fd, 0x90, 1, 0, 0x98, 0x9c)
	if g.u32(0x98) != 0 {
		t.Error("received something of a closed connection")
	}
}

// TestDatagrams: a datagram is sent and received as a whole, in any number of
// buffers.
func TestDatagrams(t *testing.T) {
	peer, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Skip(err)
	}
	defer peer.Close()
	conn, err := net.Dial("udp", peer.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	g := newGuest(t, &Config{Conns: []net.Conn{conn}})
	g.str(0x1000, "abcdefgh")
	g.iovec(0x90, 0x1000, 3)
	g.iovec(0x98, 0x1003, 0)
	g.iovec(0xa0, 0x1003, 5)
	g.want(0, "sock_send", 3, 0x90, 3, 0, 0xb0)
	b := make([]byte, 100)
	n, from, err := peer.ReadFrom(b)
	if got := string(b[:n]); got != "abcdefgh" || g.u32(0xb0) != 8 {
		t.Errorf("sent %q of %d bytes, %v", got, g.u32(0xb0), err)
	}
	for _, c := range []struct {
		sent, want string
		truncated  byte
	}{{"12345678", "12345678", 0}, {"", "", 0}, {"1234567890", "12345678", recvDataTruncated}, {"1234", "1234", 0}} {
		if _, err := peer.WriteTo([]byte(c.sent), from); err != nil {
			t.Fatal(err)
		}
		g.want(0, "sock_recv", 3, 0x90, 3, 0, 0xb0, 0xb8)
		if got := string(g.mem[0x1000:][:g.u32(0xb0)]); got != c.want || g.mem[0xb8] != c.truncated {
			t.Errorf("of %q received %q, truncated %d", c.sent, got, g.mem[0xb8])
		}
	}
}

// writes keeps what it gets write by write.
type writes []string

func (w *writes) Write(b []byte) (int, error) { *w = append(*w, string(b)); return len(b), nil }

// TestGather: what a program writes in pieces is one write for an io.Writer.
func TestGather(t *testing.T) {
	var w writes
	g := newGuest(t, &Config{Stdout: &w})
	g.str(0x1000, "abcdefgh")
	g.iovec(0x90, 0x1000, 3)
	g.iovec(0x98, 0x1003, 5)
	g.want(0, "fd_write", 1, 0x90, 2, 0xb0)
	if len(w) != 1 || w[0] != "abcdefgh" {
		t.Errorf("%q", w)
	}
}

// TestOtherConns: connections that are not package net's own work the same way.
func TestOtherConns(t *testing.T) {
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	g := newGuest(t, &Config{Conns: []net.Conn{here}})
	g.want(0, "fd_fdstat_set_flags", 3, uint64(fdflagNonblock))
	g.iovec(0x90, 0x1000, 4)
	g.want(ErrnoAgain, "fd_read", 3, 0x90, 1, 0x98)
	go there.Write([]byte("ping"))
	g.subscribeFd(0x1800, 1, eventFdRead, 3)
	g.want(0, "poll_oneoff", 0x1800, 0x2000, 1, 0x90)
	if n := g.u64(0x2010); n != 4 {
		t.Errorf("%d bytes are ready", n)
	}
	if got := g.read(3, 4); got != "ping" {
		t.Errorf("read %q", got)
	}
	g.write(3, "pong") // buffered, as it must not block
	b := make([]byte, 4)
	if _, err := io.ReadFull(there, b); err != nil || !bytes.Equal(b, []byte("pong")) {
		t.Errorf("%q, %v", b, err)
	}
}
