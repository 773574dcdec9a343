package fold

// memo remembers what a pure function made of texts: most texts of an event are those of many others, its agent, its
// session, its address, what it does. So what a memo holds never shows.
type memo[T any] struct {
	slots []noted[T] // made when the first text comes
}

const (
	// memoSlots is how many texts are remembered: 100 KB.
	memoSlots = 1024
	// maxNoted is the size in bytes of the longest: an ARN, a session's id. Of longer ones few come twice.
	maxNoted = 95
)

// noted is one text and what was made of it.
type noted[T any] struct {
	n    uint8 // bytes of text, 0: none
	text [maxNoted]byte
	made T
}

// slot returns where a text of n bytes is remembered if it is, nil where it never is. hash is xxh3's.
func (m *memo[T]) slot(hash uint64, n int) *noted[T] {
	if n == 0 || n > maxNoted {
		return nil
	}
	if m.slots == nil {
		m.slots = make([]noted[T], memoSlots)
	}
	return &m.slots[hash%memoSlots]
}

// holds says whether it is this text that is noted.
func holds[T any, S string | []byte](t *noted[T], text S) bool {
	return string(t.text[:t.n]) == string(text)
}

// note notes the text, which is not longer than maxNoted, and what was made of it.
func note[T any, S string | []byte](t *noted[T], text S, made T) {
	t.n, t.made = uint8(copy(t.text[:], text)), made
}
