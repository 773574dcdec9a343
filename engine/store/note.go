package store

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/schema"
)

// maxNote is the longest note in bytes. A note is an id of an outside system.
const maxNote = 256

// Notes are the notes of one sink. It implements connectors.Notes.
type Notes struct {
	store *Store
	sink  string
}

// Notes returns the notes of a sink.
func (s *Store) Notes(sink string) *Notes { return &Notes{s, sink} }

// Note returns the note on a finding, "" if it has none.
func (n *Notes) Note(id schema.ID) (string, error) {
	v, err := n.store.get(keyNote(id, n.sink))
	if err != nil {
		return "", fmt.Errorf("read the note of sink %q on finding %s: %w", n.sink, id, err)
	}
	return string(v), nil
}

// SetNote makes a note on a finding durable; "" deletes it.
func (n *Notes) SetNote(id schema.ID, text string) error {
	if len(text) > maxNote {
		return fmt.Errorf("write the note of sink %q on finding %s: %d bytes, want at most %d", n.sink, id, len(text), maxNote)
	}
	err := n.store.change(func(w *batchWriter) {
		if text == "" {
			w.delete(keyNote(id, n.sink))
		} else {
			w.set(keyNote(id, n.sink), []byte(text))
		}
	})
	if err != nil {
		return fmt.Errorf("write the note of sink %q on finding %s: %w", n.sink, id, err)
	}
	return nil
}

// deleteNotes deletes the notes of all sinks on a finding.
func deleteNotes(db *pebble.DB, w *batchWriter, id schema.ID) error {
	return each(db, keyNote(id, ""), func(key, _ []byte) error {
		w.delete(key)
		return nil
	})
}
