package jit

import (
	"encoding/binary"
	"sync"

	"github.com/davit-wasm/davit/codegen/ir"
	"github.com/davit-wasm/davit/internal/native"
)

// A thunk is a jump by way of a cell, at an address that stays the same while
// the function behind it changes. It needs no register and no stack. Cells are
// words in writable memory near the code; changing one is a single store, which
// needs no stop of other threads and no write to code.

// TrapFreed is the code of the trap of a call to a replaceable function that has been
// freed, as long as its address has not got another use.
const TrapFreed = ir.MaxUserTrap

// thunk is one of them.
type thunk struct{ addr, cell uintptr }

// set makes calls go to another address.
func (t thunk) set(addr uintptr) { native.StoreWord(t.cell, addr) }

const (
	stubSize      = 8
	thunksPerPage = 1024
)

// putStub writes a jump by way of a cell that is distance bytes from here:
// jmp [rip+distance-6], and two breakpoints.
func putStub(out []byte, distance int64) {
	copy(out, []byte{0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc})
	binary.LittleEndian.PutUint32(out[2:], uint32(distance-6))
}

// thunkPage holds thunksPerPage thunks, and behind them, as code, a trap for the
// cells of those that are not in use.
type thunkPage struct {
	code  *native.Code
	cells *native.Data
}

// thunks is the allocation of thunks of a module.
type thunks struct {
	mu    sync.Mutex
	pages []thunkPage
	free  []thunk
}

func (s *thunks) take() (thunk, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		if err := s.grow(); err != nil {
			return thunk{}, err
		}
	}
	t := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	return t, nil
}

func (s *thunks) grow() error {
	const trapAt = thunksPerPage * stubSize
	cells, err := native.NewData(thunksPerPage * 8)
	if err != nil {
		return err
	}
	code, err := native.NewCode(trapAt + 2)
	if err != nil {
		cells.Free()
		return err
	}
	out := code.Writable()
	var page []thunk
	for i := thunksPerPage - 1; i >= 0; i-- {
		t := thunk{code.Base() + uintptr(i*stubSize), cells.Base() + uintptr(i*8)}
		putStub(out[i*stubSize:], int64(t.cell)-int64(t.addr))
		t.set(code.Base() + trapAt)
		page = append(page, t)
	}
	copy(out[trapAt:], []byte{0x0f, 0x0b}) // ud2
	err = code.Publish(native.Tables{
		Traps:  []native.TrapSite{{Offset: trapAt, Code: uint16(TrapFreed)}},
		Bodies: []native.Range{{Start: 0, End: trapAt + 2}},
	})
	if err != nil {
		code.Release()
		cells.Free()
		return err
	}
	s.pages = append(s.pages, thunkPage{code, cells})
	s.free = append(s.free, page...)
	return nil
}

// at is the thunk at an address.
func (s *thunks) at(addr uintptr) thunk {
	for _, p := range s.pages {
		if off := addr - p.code.Base(); off < thunksPerPage*stubSize {
			return thunk{addr, p.cells.Base() + off/stubSize*8}
		}
	}
	panic("jit: no thunk at this address")
}

// give takes a thunk back, which nothing calls any more.
func (s *thunks) give(t thunk) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pages {
		if t.addr-p.code.Base() < thunksPerPage*stubSize {
			t.set(p.code.Base() + thunksPerPage*stubSize)
			s.free = append(s.free, t)
		}
	}
}

// close hands the memory over to be released.
func (s *thunks) close() (list []*batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pages {
		list = append(list, &batch{code: p.code, data: [2]*native.Data{1: p.cells}})
	}
	s.pages, s.free = nil, nil
	return list
}
