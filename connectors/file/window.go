package file

import (
	"errors"
	"io"
)

const (
	// readSize is what one read asks for, in bytes: large enough that system calls do not show in a profile, and small
	// enough that what was read is still near the CPU when it is copied into a Batch.
	readSize = 64 << 10
	// keepBuffer is the largest buffer, in bytes, that is kept once a long record has passed.
	keepBuffer = 2 << 20
)

// errIdle is what a followed file's reader returns where it has nothing now and may have something later.
var errIdle = errors.New("nothing to read now")

// window is the part of a stream that is in memory. Places in it are offsets in the stream, so they stay right while
// the window moves on.
type window struct {
	src  io.Reader
	buf  []byte
	base int64 // the stream offset of buf[0]
	err  error // why nothing more comes: io.EOF or what went wrong
}

// bytes returns what is buffered from off on; it is valid until the next read.
func (w *window) bytes(off int64) []byte { return w.buf[off-w.base:] }

// end is the stream offset behind the last buffered byte.
func (w *window) end() int64 { return w.base + int64(len(w.buf)) }

// read adds bytes to the window and forgets those before keep. It returns false where nothing more comes; then err says
// why. idle says that there is nothing now and may be something later.
func (w *window) read(keep int64) (ok, idle bool) {
	if w.err != nil {
		return false, false
	}
	w.makeRoom(keep)
	n, err := w.src.Read(w.buf[len(w.buf):cap(w.buf)])
	w.buf = w.buf[:len(w.buf)+n]
	if err == errIdle {
		return true, n == 0
	}
	w.err = err // where bytes came along, the next read tells it
	return n > 0 || err == nil, false
}

// full says that the next read has no room behind the buffered bytes, and makes some.
func (w *window) full() bool { return cap(w.buf)-len(w.buf) < readSize/2 }

// makeRoom leaves room for at least half a read behind the buffered bytes.
func (w *window) makeRoom(keep int64) {
	if !w.full() {
		return
	}
	rest := w.buf[min(max(keep-w.base, 0), int64(len(w.buf))):]
	w.base += int64(len(w.buf) - len(rest))
	switch {
	case len(rest)+readSize/2 > cap(w.buf):
		w.buf = append(make([]byte, 0, 2*len(rest)+2*readSize), rest...)
	case cap(w.buf) > keepBuffer && len(rest) < readSize:
		w.buf = append(make([]byte, 0, 2*readSize), rest...)
	default:
		w.buf = w.buf[:copy(w.buf, rest)]
	}
}

// fault is what went wrong in the stream, nil where it simply ended.
func (w *window) fault() error {
	if w.err == io.EOF {
		return nil
	}
	return w.err
}
