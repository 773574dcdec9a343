package avro

import (
	"errors"
	"fmt"
	"io"

	"github.com/twmb/avro"
	"github.com/twmb/avro/ocf"
)

// Magic begins an object container file.
const Magic = "Obj\x01"

const (
	// maxBlock is the largest block of a container file, compressed and inflated, in bytes. Writers make blocks of 64
	// KB to 2 MB; one value may be larger.
	maxBlock = 16 << 20
	// maxHeader is the largest header, in bytes: the schema and the additions of the writer.
	maxHeader = 2 * MaxSchema
)

// Lines reads an object container file as JSON, one value per line. The codecs null, deflate, snappy and zstandard are
// known.
type Lines struct {
	file *ocf.Reader
	line []byte // the current line
	rest []byte // the part of line that was not read
	err  error
}

// NewLines reads the header of a container file.
func NewLines(r io.Reader) (l *Lines, err error) {
	defer func() { // the library reads hostile bytes with unsafe code
		if p := recover(); p != nil {
			l, err = nil, fmt.Errorf("read the header of an Avro file: %w", ErrInvalid)
		}
	}()
	head := &limited{r: r, left: maxHeader}
	file, err := ocf.NewReader(head, ocf.WithMaxBlockBytes(maxBlock), ocf.WithMaxDecompressedBlockBytes(maxBlock),
		ocf.WithSchemaOpts(avro.WithLaxNames(nil)))
	if err != nil {
		return nil, fmt.Errorf("read the header of an Avro file: %w", err)
	}
	head.left = -1
	return &Lines{file: file}, nil
}

// limited is a reader with a limit that can be lifted.
type limited struct {
	r    io.Reader
	left int // -1: no limit
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, fmt.Errorf("the header: %w: the limit is %d bytes", ErrSize, maxHeader)
	}
	if l.left > 0 {
		p = p[:min(len(p), l.left)]
	}
	n, err := l.r.Read(p)
	if l.left > 0 {
		l.left -= n
	}
	return n, err
}

// Read implements io.Reader. A value that cannot be converted ends the file, because the next one cannot be found.
func (l *Lines) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.err == nil {
			l.err = l.next()
		}
		if l.err != nil {
			return 0, l.err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// next reads the next value into line.
func (l *Lines) next() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("read a value of an Avro file: %w", ErrInvalid)
		}
	}()
	var value any
	if err := l.file.Decode(&value); err != nil {
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return io.EOF
		}
		return fmt.Errorf("read a value of an Avro file: %w: %w", ErrInvalid, err)
	}
	line, err := appendBounded(l.line[:0], value)
	if err != nil {
		return err
	}
	l.line = append(line, '\n')
	l.rest = l.line
	return nil
}

// Close releases the decompressor.
func (l *Lines) Close() error { return l.file.Close() }
