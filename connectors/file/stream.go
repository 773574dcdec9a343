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

// maxZstdWindow bounds what a zstd frame may ask for, in bytes: the format's own recommendation for decoders is 8 MiB,
// `zstd --long` uses 128 MiB.
const maxZstdWindow = 128 << 20

const (
	gzipMagic = "\x1f\x8b"
	zstdMagic = "\x28\xb5\x2f\xfd"
)

// stream is an open file, decompressed where its first bytes say so.
type stream struct {
	io.Reader
	plain  bool // not compressed: offsets are those of the file
	size   int64
	closes []func() error
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

// decompress looks at the first bytes, not at the name: a renamed or piped file is read all the same.
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

func (s *stream) Close() {
	for i := len(s.closes) - 1; i >= 0; i-- {
		s.closes[i]() // a file that was only read has nothing to lose in Close
	}
}
