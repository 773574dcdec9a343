package file

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"

	"github.com/aidr-engine/aidr/connectors/avro"
)

// maxZstdWindow is the largest window that a zstd frame may require, in bytes. The format recommends 8 MiB to decoders;
// `zstd --long` uses 128 MiB.
const maxZstdWindow = 128 << 20

const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
	// The byte order marks of UTF-16, which Windows writes.
	littleMark = "\xff\xfe"
	bigMark    = "\xfe\xff"
)

// stream is an open file, which is decompressed if its first bytes are those of a compressed format. A container file
// of Avro is read as lines of JSON, and a text in UTF-16 with a byte order mark as UTF-8.
type stream struct {
	io.Reader
	plain  bool           // as on disk, so the offsets are those of the file
	size   int64          // of the file on disk, in bytes; -1 if unknown
	closes []func() error // called by Close in reverse order
}

// openStream opens the file at path; "-" is stdin. The end of ctx ends every wait for a pipe, a device or stdin.
func openStream(ctx context.Context, path string, stdin io.Reader) (*stream, error) {
	if path == "-" {
		in := newInterruptible(ctx, func() (io.ReadCloser, error) { return io.NopCloser(stdin), nil })
		return decompress(in, -1, in.close)
	}
	if special(path) {
		in := newInterruptible(ctx, func() (io.ReadCloser, error) { return os.Open(path) })
		s, err := decompress(in, -1, in.close)
		if err != nil {
			in.close()
			return nil, fmt.Errorf("open source file %q: %w", path, err)
		}
		return s, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open source file: %w", err)
	}
	size := int64(-1)
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	s, err := decompress(f, size, f.Close)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open source file %q: %w", path, err)
	}
	return s, nil
}

// special reports whether opening or reading the file at path may block: whether it is a pipe, a socket or a device.
func special(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.Mode().IsRegular() && !info.IsDir()
}

// interruptible reads from a file in a goroutine of its own, because neither opening nor reading a pipe or a terminal can
// be cancelled. Once its context has ended, Read returns at once; the goroutine stays behind if the file never answers.
type interruptible struct {
	ctx    context.Context
	ask    chan struct{} // asks for the next piece; closed by close
	pieces chan piece
	rest   piece // received and not read yet
	asked  bool
}

// piece is the outcome of one read. Its bytes are valid until the next piece is asked for.
type piece struct {
	b   []byte
	err error
}

func newInterruptible(ctx context.Context, open func() (io.ReadCloser, error)) *interruptible {
	r := &interruptible{ctx: ctx, ask: make(chan struct{}, 1), pieces: make(chan piece, 1)}
	go r.run(open)
	return r
}

// run opens the file and reads a piece each time that it is asked to.
func (r *interruptible) run(open func() (io.ReadCloser, error)) {
	defer close(r.pieces)
	if _, ok := <-r.ask; !ok {
		return
	}
	in, err := open()
	if err != nil {
		r.pieces <- piece{err: err}
		return
	}
	defer in.Close()
	buf := make([]byte, readSize)
	for {
		n, err := in.Read(buf)
		r.pieces <- piece{buf[:n], err}
		if _, ok := <-r.ask; !ok || err != nil {
			return
		}
	}
}

// Read implements io.Reader.
func (r *interruptible) Read(p []byte) (int, error) {
	for len(r.rest.b) == 0 && r.rest.err == nil {
		if !r.asked {
			r.ask <- struct{}{}
			r.asked = true
		}
		select {
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		case next := <-r.pieces:
			r.rest, r.asked = next, false
		}
	}
	n := copy(p, r.rest.b)
	r.rest.b = r.rest.b[n:]
	if n == 0 {
		return 0, r.rest.err
	}
	return n, nil
}

// close ends the goroutine once the file answers.
func (r *interruptible) close() error {
	close(r.ask)
	return nil
}

// isEncoded reports whether a file that begins with first is compressed, in Avro or in UTF-16. Such a file is read as a whole,
// and does not grow.
func isEncoded(first []byte) bool {
	for _, magic := range []string{gzipMagic, zstdMagic, avro.Magic, littleMark, bigMark} {
		if bytes.HasPrefix(first, []byte(magic)) {
			return true
		}
	}
	return false
}

// decompress detects the format by the first bytes and not by the name, so that renamed and piped files are read too.
func decompress(r io.Reader, size int64, closeFile func() error) (*stream, error) {
	s := &stream{size: size}
	if closeFile != nil {
		s.closes = append(s.closes, closeFile)
	}
	b := bufio.NewReaderSize(r, readSize)
	magic, err := b.Peek(len(zstdMagic))
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(magic, []byte(gzipMagic)):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("read gzip header: %w", err)
		}
		s.Reader, s.closes = z, append(s.closes, z.Close)
	case bytes.HasPrefix(magic, []byte(zstdMagic)):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, fmt.Errorf("read zstd header: %w", err)
		}
		s.Reader, s.closes = z, append(s.closes, func() error { z.Close(); return nil })
	default:
		s.Reader, s.plain = b, true
	}
	if err := s.openText(); err != nil {
		if closeFile != nil {
			s.closes = s.closes[1:] // the caller closes the file
		}
		s.Close()
		return nil, err
	}
	return s, nil
}

// openText makes lines of JSON of an object container file of Avro, and UTF-8 of UTF-16. The file may be compressed as a whole.
// Half a character becomes the replacement character.
func (s *stream) openText() error {
	b, ok := s.Reader.(*bufio.Reader)
	if !ok {
		b = bufio.NewReaderSize(s.Reader, readSize)
		s.Reader = b
	}
	// An error of Peek comes again when the file is read.
	magic, _ := b.Peek(len(avro.Magic))
	if bytes.HasPrefix(magic, []byte(littleMark)) || bytes.HasPrefix(magic, []byte(bigMark)) {
		s.Reader, s.plain = unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder().Reader(b), false
		return nil
	}
	if string(magic) != avro.Magic {
		return nil
	}
	lines, err := avro.NewLines(b)
	if err != nil {
		return err
	}
	s.Reader, s.plain, s.closes = lines, false, append(s.closes, lines.Close)
	return nil
}

// Close closes the decompressor and the file.
func (s *stream) Close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]() // closing a file that was only read loses no data
	}
}
