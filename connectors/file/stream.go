package file

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is the largest window that a zstd frame may require, in bytes. The format recommends 8 MiB to decoders;
// `zstd --long` uses 128 MiB.
const maxZstdWindow = 128 << 20

const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

// stream is an open file, which is decompressed if its first bytes are those of a compressed format.
type stream struct {
	io.Reader
	plain  bool           // not compressed, so the offsets are those of the file
	size   int64          // of the file on disk, in bytes; -1 if unknown
	closes []func() error // called by Close in reverse order
}

// openStream opens the file at path; "-" is stdin.
func openStream(path string, stdin io.Reader) (*stream, error) {
	if path == "-" {
		return decompress(stdin, -1, nil)
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
	return s, nil
}

// Close closes the decompressor and the file.
func (s *stream) Close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]() // closing a file that was only read loses no data
	}
}
