package davit

import (
	"io"

	"github.com/davit-wasm/davit/internal/coredump"
	"github.com/davit-wasm/davit/internal/vm"
)

// WriteCoreDump writes the state of the store for debuggers that look at what is left of a
// program: memories and globals of all instances, and calls in progress, such as those of a
// [Trap]. name is that of the program. The format is the core dump of WebAssembly's tool
// conventions. Locals are not in it, as compiled code keeps no record of them, and references are
// null. A call whose instance is not known, because its code can have been entered in several that
// are linked with each other, counts as one of an instance without memories and globals.
//
// Whatever the guest had in its memory is in the dump, secrets included. It fails with
// [ErrBusy] while a call runs in the store.
func (s *Store) WriteCoreDump(w io.Writer, name string, frames []Frame) error {
	if !s.vm.Turn.Try() {
		return ErrBusy
	}
	defer s.vm.Turn.Give()
	if s.closed {
		return ErrClosed
	}
	list := make([]vm.Frame, 0, len(frames))
	for _, f := range frames {
		if f.module != nil {
			list = append(list, vm.Frame{Module: f.module, Func: f.Func, Offset: f.Offset, Call: f.call})
		}
	}
	_, err := w.Write(coredump.Encode(s.vm.CoreDump(name, list)))
	return err
}
