package store

import (
	"encoding/binary"
	"fmt"
)

func keyDeadSink(name string) []byte { return append([]byte{tableDeadOut}, name...) }

// DeadCursor returns the Seq of the last dead letter that a sink of dead letters has. A sink without a cursor is new: it gets the
// dead letters from now on.
func (s *Store) DeadCursor(sink string) (uint64, error) {
	v, err := s.get(keyDeadSink(sink))
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the cursor of sink %q in the dead letters: %w", sink, err)
	case len(v) == 8:
		return binary.BigEndian.Uint64(v), nil
	}
	last := max(s.NextDeadLetter(), 1) - 1
	return last, s.SetDeadCursor(sink, last)
}

// SetDeadCursor makes it durable that a sink has the dead letters up to a Seq.
func (s *Store) SetDeadCursor(sink string, seq uint64) error {
	err := s.change(func(w *batchWriter) { w.set(keyDeadSink(sink), binary.BigEndian.AppendUint64(nil, seq)) })
	if err != nil {
		return fmt.Errorf("write the cursor of sink %q in the dead letters: %w", sink, err)
	}
	return nil
}
