package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/bpf"
)

// parseProgram reads a program as `tcpdump -ddd` writes it: the number of
// instructions, and on a line each the opcode, the two jumps and the constant.
func parseProgram(text string) ([]bpf.Instruction, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	var n int
	if _, err := fmt.Sscanf(lines[0], "%d", &n); err != nil {
		return nil, fmt.Errorf("line 1: not a number of instructions: %q", lines[0])
	}
	if n != len(lines)-1 {
		return nil, fmt.Errorf("line 1: %d instructions are announced, and %d follow", n, len(lines)-1)
	}
	raw := make([]bpf.RawInstruction, n)
	for i, line := range lines[1:] {
		r := &raw[i]
		if _, err := fmt.Sscanf(line, "%d %d %d %d", &r.Op, &r.Jt, &r.Jf, &r.K); err != nil {
			return nil, fmt.Errorf("line %d: %v", i+2, err)
		}
	}
	program, ok := bpf.Disassemble(raw)
	if !ok {
		for i, ins := range program {
			if _, bad := ins.(bpf.RawInstruction); bad {
				return nil, fmt.Errorf("line %d: the instruction is not known", i+2)
			}
		}
	}
	return program, nil
}

// maxPacket is the largest packet that files may have.
const maxPacket = 1 << 18

// packets reads a capture file (pcap) and calls do for every packet. The slice
// is good until do returns.
func packets(r io.Reader, do func(packet []byte) error) error {
	var header [24]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return fmt.Errorf("the header of the file: %w", err)
	}
	var order binary.ByteOrder = binary.LittleEndian
	isMagic := func(v uint32) bool { return v == 0xa1b2c3d4 || v == 0xa1b23c4d }
	if !isMagic(order.Uint32(header[:])) {
		order = binary.BigEndian
	}
	if !isMagic(order.Uint32(header[:])) {
		return errors.New("not a pcap file")
	}
	packet := make([]byte, 0, 2048)
	for n := 0; ; n++ {
		if _, err := io.ReadFull(r, header[:16]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("packet %d: %w", n, err)
		}
		size := order.Uint32(header[8:])
		if size > maxPacket {
			return fmt.Errorf("packet %d: %d bytes are too many", n, size)
		}
		if int(size) > cap(packet) {
			packet = make([]byte, size)
		}
		packet = packet[:size]
		if _, err := io.ReadFull(r, packet); err != nil {
			return fmt.Errorf("packet %d: %w", n, err)
		}
		if err := do(packet); err != nil {
			return fmt.Errorf("packet %d: %w", n, err)
		}
	}
}
