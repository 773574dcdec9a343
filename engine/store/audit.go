package store

import (
	"encoding/json"
	"fmt"

	"github.com/aidr-engine/aidr/schema"
)

// AuditEntry records a change that a person made to State. Findings depend on records and on such changes, so entries are
// never deleted.
type AuditEntry struct {
	Checkpoint uint64            `json:"checkpoint"` // that made the change durable, set by Audit
	Time       schema.Instant    `json:"time"`       // wall clock
	Who        string            `json:"who"`
	Action     string            `json:"action"` // such as clear
	Rule       string            `json:"rule"`
	Key        map[string]string `json:"key"`
	Reason     string            `json:"reason"`
	Detail     json.RawMessage   `json:"detail,omitempty"` // of the action
}

// putAudit adds the entries of a checkpoint to its batch.
func putAudit(w *batchWriter, c *Checkpoint) error {
	for i := range c.Audit {
		v, err := json.Marshal(&c.Audit[i])
		if err != nil {
			return fmt.Errorf("encode an audit entry: %w", err)
		}
		w.set(keyAudit(c.Seq, i), v)
	}
	return nil
}

// Audit calls yield with every entry, the oldest first. yield owns the entry, and may call the store.
func (s *Store) Audit(yield func(*AuditEntry) bool) error {
	lower := []byte{tableAudit}
	var damaged error
	err := s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool {
		var a AuditEntry
		if damaged = json.Unmarshal(v, &a); damaged != nil {
			damaged = fmt.Errorf("read audit entry %x: %w", k, damaged)
			return false
		}
		a.Checkpoint = numberOf(k[:len(k)-4])
		return yield(&a)
	})
	if err != nil {
		return err
	}
	return damaged
}
