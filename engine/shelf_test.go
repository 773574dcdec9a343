package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// TestShelf compares a shelf with a list of what is on it, the oldest first.
func TestShelf(t *testing.T) {
	type cell struct {
		k     cellKey
		value []byte
	}
	r := rand.New(rand.NewPCG(1, 1))
	s := newShelf()
	var model []cell
	hash := func(k cellKey) uint64 { return uint64(k.rule + len(k.group)%7) } // owners with the same hash are common
	for n := range 20_000 {
		k := cellKey{r.IntN(5), fmt.Sprint(r.IntN(300))}
		at := slices.IndexFunc(model, func(c cell) bool { return c.k == k })
		row, value, ok := s.take(hash(k), k)
		switch {
		case ok != (at >= 0):
			t.Fatalf("step %d: %v is on the shelf: %v, want %v", n, k, ok, at >= 0)
		case ok && (!bytes.Equal(value, model[at].value) || row != schema.Instant(len(value))):
			t.Fatalf("step %d: %v: got %q, want %q", n, k, value, model[at].value)
		case ok:
			model = slices.Delete(model, at, at+1)
		}
		switch r.IntN(4) {
		case 0:
			if s.len() > 0 {
				s.dropOldest()
				model = model[1:]
			}
		default:
			model = slices.DeleteFunc(model, func(c cell) bool { return hash(c.k) == hash(k) })
			value := bytes.Repeat([]byte{byte(n)}, r.IntN(40))
			s.put(hash(k), k, schema.Instant(len(value)), value)
			model = append(model, cell{k, value})
		}
		if s.len() != len(model) {
			t.Fatalf("step %d: %d cells, want %d", n, s.len(), len(model))
		}
	}
	for s.len() > 0 {
		s.dropOldest()
	}
	if s.bytes != 0 {
		t.Errorf("an empty shelf takes %d bytes", s.bytes)
	}
	if len(s.slots) > 200 {
		t.Errorf("%d slots for at most 11 cells: they are not used again", len(s.slots))
	}
}
