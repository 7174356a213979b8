package native

import (
	"fmt"
	"sync"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"github.com/davit-wasm/davit/internal/layout"
)

const supportedPlatform = true

func handlerFlags() uintptr {
	if cpu.X86.HasAVX {
		return layout.HandlerAVX
	}
	return 0
}

// probe checks that Go passes arguments and takes results as the trampolines
// assume: in RAX, RBX, RCX, RDI, with the func value in RDX.
func probe() error {
	f := Func[func(a, b, c, d uintptr) (status, b2, c2, d2 uintptr)](process.stubs + stubProbe)
	status, b, c, d := f(1, 20, 300, 4000)
	if status != 1+20+300+4000+1 || b != 20 || c != 300 || d != 4000 {
		return fmt.Errorf("native: %w by this Go release: its calling convention has changed (probe: %d %d %d %d)", ErrUnsupported, status, b, c, d)
	}
	return nil
}

var faultSignals = [...]int{int(unix.SIGSEGV), int(unix.SIGBUS), int(unix.SIGILL), int(unix.SIGFPE)}

// preemptSignal is the signal by which Go asks a thread to yield.
const preemptSignal = int(unix.SIGURG)

var handlersMutex sync.Mutex

// installProfileHandler puts our handler of profiles' timers before Go's. It stays:
// signals of timers that are not there any more may come late.
func installProfileHandler() error {
	handlersMutex.Lock()
	defer handlersMutex.Unlock()
	return installHandler(int(unix.SIGPROF), process.stubs+stubProfile)
}

// installHandlers puts our handlers before Go's, where they are not already.
func installHandlers() error {
	handlersMutex.Lock()
	defer handlersMutex.Unlock()
	for _, sig := range faultSignals {
		if err := installHandler(sig, process.stubs+stubFault); err != nil {
			return err
		}
	}
	if process.signals {
		return installHandler(preemptSignal, process.stubs+stubInterrupt)
	}
	return nil
}

// installHandler makes handler the action of sig, with the flags and the mask
// of the handler that was there, which it will chain to.
func installHandler(sig int, handler uintptr) error {
	var now sigaction
	if err := rtSigaction(sig, nil, &now); err != nil {
		return err
	}
	if now.handler == handler {
		return nil
	}
	old := process.state + layout.HandlerOld + uintptr(sig)*8
	set := now
	if now.handler <= 1 { // SIG_DFL or SIG_IGN
		if load(old) == 0 {
			return fmt.Errorf("native: signal %d has no handler of Go's: %w", sig, ErrUnsupported)
		}
		set = goActions[sig]
	} else {
		store(old, now.handler)
		goActions[sig] = now
	}
	set.handler = handler
	return rtSigaction(sig, &set, nil)
}

// goActions are the actions that were there before ours, by signal.
var goActions [32]sigaction

// siteSignals is the set of signals of a trap site, by its instruction.
func siteSignals(code []byte) uint32 { return linuxAMD64Signals(code) }
