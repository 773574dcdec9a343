package webhook

import (
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// maxMemoryNotes is the number of notes that are kept in memory without a store. The oldest are forgotten, which costs a
// second message for a finding.
const maxMemoryNotes = 10_000

// memoryNotes are notes that end with the process. Sinks have them until they get those of a store.
type memoryNotes struct {
	notes *lru.Cache[schema.ID, string]
}

func newMemoryNotes() connectors.Notes {
	cache, err := lru.New[schema.ID, string](maxMemoryNotes)
	if err != nil {
		panic(err) // the size is positive
	}
	return memoryNotes{cache}
}

func (n memoryNotes) Note(id schema.ID) (string, error) {
	text, _ := n.notes.Get(id)
	return text, nil
}

func (n memoryNotes) SetNote(id schema.ID, text string) error {
	n.notes.Add(id, text)
	return nil
}
