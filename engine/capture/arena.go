package capture

import "strings"

// arena stores the bytes of many items in one allocation: one allocation per item was a tenth of the cost of capturing.
type arena struct {
	b    strings.Builder // never grown while it holds strings, so its bytes are never moved
	next int             // size in bytes of the next chunk
}

// A chunk lives as long as the last of its items. Chunks start small so that a batch with few items holds little
// memory. Items next to each other have similar times and so leave State together.
const (
	minChunk = 1 << 10
	maxChunk = 32 << 10
)

// store returns a copy of src.
func (a *arena) store(src []byte) string {
	if a.b.Cap()-a.b.Len() < len(src) {
		a.next = min(max(2*a.next, minChunk), maxChunk)
		a.b.Reset()
		a.b.Grow(max(a.next, len(src)))
	}
	from := a.b.Len()
	a.b.Write(src)
	return a.b.String()[from:]
}

// reset starts a new, small chunk: later items have other times than those stored before.
func (a *arena) reset() {
	a.b.Reset()
	a.next = 0
}
