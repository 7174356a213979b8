// Command bpf compiles a classic BPF program, in the form of `tcpdump -ddd`, to
// machine code, and counts the packets of a capture that it accepts:
//
//	tcpdump -ddd 'tcp port 80' > http.bpf
//	go run . http.bpf capture.pcap
//
// Without a capture it shows the program and the size of its code.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bpf:", err)
		os.Exit(1)
	}
}

func run(out io.Writer, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return fmt.Errorf("usage: bpf PROGRAM [CAPTURE]")
	}
	text, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	program, err := parseProgram(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	compiler, err := NewCompiler()
	if err != nil {
		return err
	}
	defer compiler.Close()
	filter, err := compiler.Compile(program)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if len(args) == 1 {
		for i, ins := range program {
			fmt.Fprintf(out, "(%03d) %v\n", i, ins)
		}
		fmt.Fprintf(out, "%d instructions, %d bytes of machine code\n", len(program), filter.Size())
		return nil
	}
	capture, err := os.Open(args[1])
	if err != nil {
		return err
	}
	defer capture.Close()
	ctx := context.Background()
	accepted, total := 0, 0
	err = packets(bufio.NewReader(capture), func(packet []byte) error {
		n, err := filter.Run(ctx, packet)
		if n > 0 {
			accepted++
		}
		total++
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	fmt.Fprintf(out, "%d of %d packets accepted\n", accepted, total)
	return nil
}
