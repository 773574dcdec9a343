package capture

// memo caches the result of a pure function for short texts. Most texts of an event (agent, session, address, action)
// recur in the next ones. Because the function is pure, a hit is never observable.
type memo[T any] struct {
	entries []memoEntry[T] // allocated with the first text
}

const (
	// memoEntries is the number of texts in a memo: 100 KB.
	memoEntries = 1024
	// maxMemoText is the size in bytes of the longest text in a memo, enough for an ARN or the id of a session. Few
	// longer texts recur.
	maxMemoText = 95
)

// memoEntry is one text and the function's result for it.
type memoEntry[T any] struct {
	n      uint8 // bytes of text; 0 if the entry is empty
	text   [maxMemoText]byte
	result T
}

// entry returns the entry that a text of n bytes may be in; nil if texts of this size are not cached. hash is the text's
// xxh3.
func (m *memo[T]) entry(hash uint64, n int) *memoEntry[T] {
	if n == 0 || n > maxMemoText {
		return nil
	}
	if m.entries == nil {
		m.entries = make([]memoEntry[T], memoEntries)
	}
	return &m.entries[hash%memoEntries]
}

// contains reports whether the entry is that of the text.
func contains[T any, S string | []byte](e *memoEntry[T], text S) bool {
	return string(e.text[:e.n]) == string(text)
}

// set replaces the entry. The text is at most maxMemoText bytes long.
func set[T any, S string | []byte](e *memoEntry[T], text S, result T) {
	e.n, e.result = uint8(copy(e.text[:], text)), result
}
