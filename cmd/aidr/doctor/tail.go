package doctor

import (
	"bytes"
	"io"
	"sync"
)

// TailBytes is how much of the log a process keeps for a bundle: some thousand lines.
const TailBytes = 256 << 10

// Tail passes a log on and keeps its end. It is safe for concurrent use.
type Tail struct {
	to io.Writer

	mu    sync.Mutex
	lines [][]byte // each as it was written, the oldest first
	size  int
}

// NewTail returns a Tail that passes everything on to a writer.
func NewTail(to io.Writer) *Tail { return &Tail{to: to} }

// Write implements io.Writer.
func (t *Tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.lines = append(t.lines, bytes.Clone(b))
	for t.size += len(b); t.size > TailBytes && len(t.lines) > 1; t.lines = t.lines[1:] {
		t.size -= len(t.lines[0])
	}
	t.mu.Unlock()
	return t.to.Write(b)
}

// Bytes returns the end of the log.
func (t *Tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Join(t.lines, nil)
}
