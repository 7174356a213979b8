package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// noise finds out how quiet the machine is. Before each row a loop runs that
// always does the same work: processor time that varies tells of neighbours that
// share caches, cores or the clock, time that passes beyond it tells of waiting
// for a processor.
type noise struct {
	CPU   []float64 `json:"cpu"`   // of the loop, ms
	Wall  []float64 `json:"wall"`  // of the loop, ms
	Load  float64   `json:"load"`  // processes that wanted to run in the minute before
	Steal float64   `json:"steal"` // of all processor time, what the hypervisor gave to others

	ticks [2]float64 // stolen, and all, at the start
}

func newNoise() *noise {
	n := &noise{}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(b), " ")
		n.Load, _ = strconv.ParseFloat(first, 64)
	}
	n.ticks = cpuTicks()
	return n
}

// cpuTicks reads from /proc/stat what was stolen, and the time of all processors
// (proc(5)).
func cpuTicks() (t [2]float64) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return t
	}
	line, _, _ := strings.Cut(string(b), "\n")
	for i, f := range strings.Fields(line) {
		x, err := strconv.ParseFloat(f, 64)
		if err != nil || i > 8 { // guests are counted before, too
			continue
		}
		if i == 8 {
			t[0] = x
		}
		t[1] += x
	}
	return t
}

// spun keeps the loop's result alive.
var spun uint64

func (n *noise) spin() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	wall, cpu := time.Now(), threadTime()
	x := spun | 1
	for range 3_000_000 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	spun = x
	n.CPU = append(n.CPU, millis(threadTime()-cpu))
	n.Wall = append(n.Wall, millis(time.Since(wall)))
}

// end is called when all is measured.
func (n *noise) end() {
	if t := cpuTicks(); t[1] > n.ticks[1] {
		n.Steal = (t[0] - n.ticks[0]) / (t[1] - n.ticks[1])
	}
}

// verdict says how far the numbers can be trusted.
func (n *noise) verdict() string {
	if len(n.CPU) == 0 {
		return "The machine was not watched."
	}
	vary := spread(n.CPU)
	waits := make([]float64, len(n.CPU))
	for i := range waits {
		waits[i] = n.Wall[i] / max(n.CPU[i], 1e-9)
	}
	wait := max(quantile(waits, 0.75)-1, 0)
	facts := fmt.Sprintf("a loop of constant work varied by %.1f %% (distance of the quartiles) and waited %.0f %% for a processor; the load before was %.1f, %.1f %% of the time was stolen",
		100*vary, 100*wait, n.Load, 100*n.Steal)
	if vary > 0.04 || wait > 0.1 || n.Load > 1 || n.Steal > 0.02 {
		return "NOISY MACHINE: differences of a few percent say nothing, and times that pass (not processor times) are too long: " + facts + "."
	}
	return "The machine was quiet: " + facts + "."
}
