package file

import (
	"errors"
	"io"
)

const (
	// readSize is the size of one read, in bytes: large enough for system calls not to show in a profile, and small enough
	// for the bytes to be still in the CPU's caches when they are copied into a Batch.
	readSize = 64 << 10
	// maxIdleBuffer is the largest buffer, in bytes, that is retained after a long record.
	maxIdleBuffer = 2 << 20
)

// errIdle is returned by the reader of a followed file at the present end of the file, which may still grow.
var errIdle = errors.New("nothing to read now")

// window is the part of a stream that is in memory. Positions in it are offsets in the stream, so they stay valid while
// the window moves on.
type window struct {
	src  io.Reader
	buf  []byte
	base int64 // the stream offset of buf[0]
	err  error // the reason why no more bytes can be read, for example io.EOF
}

// bytes returns the buffered bytes from offset off on. They are valid until the next read.
func (w *window) bytes(off int64) []byte { return w.buf[off-w.base:] }

// end returns the stream offset after the last buffered byte.
func (w *window) end() int64 { return w.base + int64(len(w.buf)) }

// read adds bytes to the window and may discard those before offset keep. It returns false if no more bytes can be read;
// w.err is then the reason. idle reports that bytes are lacking only at present.
func (w *window) read(keep int64) (ok, idle bool) {
	if w.err != nil {
		return false, false
	}
	w.grow(keep)
	n, err := w.src.Read(w.buf[len(w.buf):cap(w.buf)])
	w.buf = w.buf[:len(w.buf)+n]
	if err == errIdle {
		return true, n == 0
	}
	w.err = err // if there were bytes as well, the next read reports it
	return n > 0 || err == nil, false
}

// full reports whether the next read lacks space after the buffered bytes and has to make some.
func (w *window) full() bool { return cap(w.buf)-len(w.buf) < readSize/2 }

// grow makes space for at least half a read after the buffered bytes. It may discard bytes before offset keep.
func (w *window) grow(keep int64) {
	if !w.full() {
		return
	}
	rest := w.buf[min(max(keep-w.base, 0), int64(len(w.buf))):]
	w.base += int64(len(w.buf) - len(rest))
	switch {
	case len(rest)+readSize/2 > cap(w.buf):
		w.buf = append(make([]byte, 0, 2*len(rest)+2*readSize), rest...)
	case cap(w.buf) > maxIdleBuffer && len(rest) < readSize:
		w.buf = append(make([]byte, 0, 2*readSize), rest...)
	default:
		w.buf = w.buf[:copy(w.buf, rest)]
	}
}

// fault returns the error of the stream, or nil if it has simply ended.
func (w *window) fault() error {
	if w.err == io.EOF {
		return nil
	}
	return w.err
}
