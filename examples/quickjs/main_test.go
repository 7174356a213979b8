package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSandbox: scripts that want too much are ended, and others do not notice.
func TestSandbox(t *testing.T) {
	host, err := NewHost()
	if err != nil {
		t.Skip(err)
	}
	limits := Limits{MemoryBytes: 8 << 20}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		if _, err := host.Run(ctx, "for (;;);", limits, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an endless loop: %v", err)
		}
	})
	wg.Go(func() {
		if _, err := host.Run(context.Background(), "let a = []; for (;;) a.push(new Array(1000).fill(1))", limits, io.Discard); err == nil || !strings.Contains(err.Error(), "out of memory") {
			t.Errorf("too much memory: %v", err)
		}
	})
	for script, want := range map[string]string{
		"6 * 7": "42", "throw new TypeError('bad')": "TypeError: bad", "'a\u00e9\u4e16'": "aé世", "syntax error here": "SyntaxError",
		"(function f() { f() })()": "stack",
	} {
		got, err := host.Run(context.Background(), script, limits, io.Discard)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", script, got, want)
		}
	}
}
