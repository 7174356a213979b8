//go:build race

package native

// raceDetector tells that the race detector is on, which knows locks by their
// atomic operations only.
const raceDetector = true
