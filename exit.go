package davit

import "fmt"

// ExitError is the error of a call that ended because the program asked for it:
// WASI's proc_exit. A program that exits with code 0 has not failed, but its
// call did not return either.
type ExitError struct {
	Code uint32
}

// Error says with what code the program exited.
func (e *ExitError) Error() string { return fmt.Sprintf("exit with code %d", e.Code) }
