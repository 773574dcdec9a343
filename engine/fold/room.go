package fold

import "strings"

// room is where a worker puts the bytes of items, of many in one piece: an allocation for each was a tenth of what
// capturing costs.
type room struct {
	b    strings.Builder // never grown while something is in it, so what was cut from it stays where it is
	next int             // bytes of the next piece
}

// A piece lives as long as the last of its items, so it is small while little comes. Items that stand beside each other
// are of one time, and leave State together.
const (
	minPiece = 1 << 10
	maxPiece = 32 << 10
)

// own returns a copy of src.
func (r *room) own(src []byte) string {
	if r.b.Cap()-r.b.Len() < len(src) {
		r.next = min(max(2*r.next, minPiece), maxPiece)
		r.b.Reset()
		r.b.Grow(max(r.next, len(src)))
	}
	from := r.b.Len()
	r.b.Write(src)
	return r.b.String()[from:]
}

// begin says that what follows is of another time than what was put here before.
func (r *room) begin() {
	r.b.Reset()
	r.next = 0
}
