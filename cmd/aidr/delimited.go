package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats/llm"
)

// delimiter is how the messages of an OTLP file in protobuf are separated.
type delimiter uint8

const (
	notOTLP   delimiter = iota
	wholeFile           // the file is one message
	fixedSize           // a length of four bytes, big-endian, precedes each, as the file exporter of the Collector writes them
	varint              // a varint with the length precedes each, as protobuf's own libraries write them
)

// fixedHead is the length of a fixedSize head in bytes.
const fixedHead = 4

// delimiterOf reports how the file at path holds OTLP in protobuf, by its first message. It is notOTLP for any other
// file, for directories and for compressed files.
func delimiterOf(path string) delimiter {
	f, err := os.Open(path)
	if err != nil {
		return notOTLP // the file source reports the error
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return notOTLP
	}
	if n := info.Size(); n > 0 && n <= decode.MaxRecord {
		if whole, err := io.ReadAll(io.LimitReader(f, decode.MaxRecord)); err == nil && isOTLP(string(whole)) {
			return wholeFile
		}
	}
	for _, d := range []delimiter{fixedSize, varint} {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return notOTLP
		}
		m := messages{r: bufio.NewReader(f), delimiter: d}
		if text, _, err := m.next(); err == nil && isOTLP(text) {
			return d
		}
	}
	return notOTLP
}

// isOTLP reports whether a text is a message of OTLP with at least one resource.
func isOTLP(text string) bool {
	if text == "" || text[0] != '\n' {
		return false
	}
	_, err := llm.AppendOTLP(nil, text, decode.MaxRecord)
	return err == nil
}

// messages reads the messages of a file.
type messages struct {
	r         *bufio.Reader
	delimiter delimiter
	at        int64 // the offset of the next head
}

// errCut reports a message that the file does not hold to its end.
var errCut = errors.New("the file ends inside a message: it was cut off, or is still being written")

// next returns the next message and its offset, and io.EOF after the last one.
func (m *messages) next() (text string, offset int64, err error) {
	var n uint64
	head := 0
	switch m.delimiter {
	case wholeFile:
		whole, err := io.ReadAll(io.LimitReader(m.r, decode.MaxRecord+1))
		if err == nil && len(whole) == 0 {
			err = io.EOF
		}
		return string(whole), 0, err
	case fixedSize:
		var b [fixedHead]byte
		head = fixedHead
		if _, err = io.ReadFull(m.r, b[:]); err == nil {
			n = uint64(binary.BigEndian.Uint32(b[:]))
		}
	case varint:
		if n, err = binary.ReadUvarint(m.r); err == nil {
			head = len(binary.AppendUvarint(nil, n))
		}
	}
	switch {
	case err == io.EOF:
		return "", m.at, io.EOF
	case err != nil:
		return "", m.at, errCut
	case n > decode.MaxRecord:
		return "", m.at, fmt.Errorf("a message of %d bytes at offset %d is larger than %d", n, m.at, decode.MaxRecord)
	}
	var body bytes.Buffer // it grows with the bytes that are read, because the length is a claim
	read, err := io.Copy(&body, io.LimitReader(m.r, int64(n)))
	if err == nil && uint64(read) < n {
		err = errCut
	}
	offset = m.at
	m.at += int64(head) + read
	return body.String(), offset, err
}

// readDelimited calls each for every message of a file.
func readDelimited(path string, d delimiter, each func(text string, offset int64) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	m := messages{r: bufio.NewReader(f), delimiter: d}
	for {
		text, offset, err := m.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if err := each(text, offset); err != nil {
			return err
		}
	}
}
