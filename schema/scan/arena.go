package scan

import "strings"

// arenaChunk is the size of an arena's chunk in bytes: a few records' worth of unescaped text, and small enough that a
// view that is held keeps little alive.
const arenaChunk = 64 << 10

// Arena holds unescaped text: append-only chunks, so that views into it stay right for as long as they are held. A full
// chunk is replaced, never used again; it lives as long as a view of it does. The zero Arena is ready. One worker owns
// it; it is not copied.
type Arena struct {
	chunk strings.Builder
}

// room returns a builder with space for n more bytes: the chunk, or for a longer text a builder of its own.
func (a *Arena) room(n int) *strings.Builder {
	if n > arenaChunk/4 {
		own := new(strings.Builder)
		own.Grow(n)
		return own
	}
	if a.chunk.Cap()-a.chunk.Len() < n {
		a.chunk = strings.Builder{}
		a.chunk.Grow(arenaChunk)
	}
	return &a.chunk
}

// Concat returns the parts joined, held by the arena.
func (a *Arena) Concat(parts ...string) string {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	b := a.room(n)
	from := b.Len()
	for _, p := range parts {
		b.WriteString(p)
	}
	return b.String()[from:]
}

// Hold returns the text of b, held by the arena.
func (a *Arena) Hold(b []byte) string {
	to := a.room(len(b))
	from := to.Len()
	to.Write(b)
	return to.String()[from:]
}
