package store

import "github.com/aidr-engine/aidr/schema"

// putContainment adds the changes of responses to a batch.
func putContainment(w *batchWriter, c *Checkpoint) {
	for _, kv := range c.Responses {
		w.setOrDelete(append([]byte{tableResponse}, kv.Key...), kv.Value)
	}
	for _, kv := range c.Approvals {
		w.setOrDelete(append([]byte{tableApproval}, kv.Key...), kv.Value)
	}
	if c.Containment != nil {
		w.set(keyContainment(), c.Containment)
	}
}

// ContainmentTable returns the state of the containment table as the engine wrote it, or nil if there never was one. The caller
// owns the bytes.
func (s *Store) ContainmentTable() ([]byte, error) { return s.get(keyContainment()) }

// Response returns one entry of the ledger of responses, or nil. The caller owns the bytes.
func (s *Store) Response(id schema.ID) ([]byte, error) {
	return s.get(append([]byte{tableResponse}, id[:]...))
}

// Responses calls yield with each entry of the ledger of responses, in order of id, until yield returns false. yield owns the
// body, and may call the store.
func (s *Store) Responses(yield func(id schema.ID, body []byte) bool) error {
	return s.byID(tableResponse, yield)
}

// ResponsesFrom calls yield with each entry of the ledger of responses from an id on, in order of id, until yield returns false.
func (s *Store) ResponsesFrom(from schema.ID, yield func(id schema.ID, body []byte) bool) error {
	return s.scanIDs(append([]byte{tableResponse}, from[:]...), tableResponse, yield)
}

// Approvals is Responses for the approvals of held calls.
func (s *Store) Approvals(yield func(id schema.ID, body []byte) bool) error {
	return s.byID(tableApproval, yield)
}

func (s *Store) byID(table byte, yield func(id schema.ID, body []byte) bool) error {
	return s.scanIDs([]byte{table}, table, yield)
}

func (s *Store) scanIDs(lower []byte, table byte, yield func(id schema.ID, body []byte) bool) error {
	return s.scan(lower, prefixEnd([]byte{table}), false, func(k, v []byte) bool {
		var id schema.ID
		copy(id[:], k[1:])
		return yield(id, v)
	})
}
