package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// AuditEntry is schema.AuditEntry.
type AuditEntry = schema.AuditEntry

// AuditHead is the end of the chain.
type AuditHead struct {
	Seq  uint64 `json:"seq"`  // of the last entry; 0: there is none
	Hash string `json:"hash"` // of the last entry, hex
}

func keyAuditHead() []byte { return []byte{tableMeta, 'a'} }

func (h AuditHead) value() []byte {
	return flat.AppendText(binary.AppendUvarint(nil, h.Seq), h.Hash)
}

func readAuditHead(db *pebble.DB) (h AuditHead, err error) {
	v, err := readKey(db, keyAuditHead())
	if v == nil || err != nil {
		return h, err
	}
	r := flat.NewReader(v)
	h.Seq, h.Hash = r.Uvarint(), string(r.Text())
	if r.Bad() {
		return h, errors.New("read the end of the audit: the store is damaged")
	}
	return h, nil
}

// hashAudit returns the hash of an entry, of which v is the JSON.
func hashAudit(v []byte) string {
	sum := sha256.Sum256(v)
	return hex.EncodeToString(sum[:])
}

// putAudit appends entries to the chain and moves its head. It returns an outbox entry for each, without a Seq.
func putAudit(w *batchWriter, head *AuditHead, entries []AuditEntry, checkpoint uint64) (out outgoingAudit, err error) {
	if len(entries) == 0 {
		return out, nil
	}
	for i := range entries {
		e := &entries[i]
		e.Seq, e.Prev = head.Seq+1, head.Hash
		if e.Checkpoint == 0 {
			e.Checkpoint = checkpoint
		}
		v, err := json.Marshal(e)
		if err != nil {
			return out, fmt.Errorf("encode an audit entry: %w", err)
		}
		w.set(keyNumber(tableAudit, e.Seq), v)
		*head = AuditHead{e.Seq, hashAudit(v)}
		out.entries, out.bodies = append(out.entries, connectors.Entry{Type: connectors.AuditAdded, Audit: e}), append(out.bodies, v)
	}
	w.set(keyAuditHead(), head.value())
	return out, nil
}

// outgoingAudit holds the outbox entries of audit entries, with their rendered bodies.
type outgoingAudit struct {
	entries []connectors.Entry
	bodies  [][]byte
}

// after numbers the entries from a Seq on.
func (a *outgoingAudit) after(seq uint64) {
	for i := range a.entries {
		a.entries[i].Seq = seq + uint64(i)
	}
}

// adoptAudit moves the entries of a store of an earlier version, which have no chain, to the beginning of the chain.
func adoptAudit(db *pebble.DB, head *AuditHead, opts *pebble.WriteOptions) error {
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	var old []AuditEntry
	err := each(db, []byte{tableOldAudit}, func(k, v []byte) error {
		var a AuditEntry
		if err := json.Unmarshal(v, &a); err != nil {
			return fmt.Errorf("read audit entry %x: %w", k, err)
		}
		a.Checkpoint = numberOf(k[:len(k)-4])
		old = append(old, a)
		w.delete(k)
		return nil
	})
	if err != nil || len(old) == 0 {
		return err
	}
	next := *head
	if _, err := putAudit(&w, &next, old, 0); err != nil {
		return err
	}
	if w.err != nil {
		return w.err
	}
	if err := b.Commit(opts); err != nil {
		return fmt.Errorf("move the audit into its chain: %w", err)
	}
	*head = next
	return nil
}

// Audit calls yield with every entry, the oldest first. yield owns the entry, and may call the store.
func (s *Store) Audit(yield func(*AuditEntry) bool) error { return s.AuditFrom(1, yield) }

// AuditFrom calls yield with the entries from a Seq on. yield owns the entry, and may call the store.
func (s *Store) AuditFrom(seq uint64, yield func(*AuditEntry) bool) error {
	var damaged error
	err := s.auditLines(seq, func(n uint64, v []byte) bool {
		var a AuditEntry
		if damaged = json.Unmarshal(v, &a); damaged != nil {
			damaged = fmt.Errorf("read audit entry %d: %w", n, damaged)
			return false
		}
		return yield(&a)
	})
	return errors.Join(err, damaged)
}

// auditLines calls yield with the JSON of the entries from a Seq on, as the chain has it. yield owns the line.
func (s *Store) auditLines(seq uint64, yield func(seq uint64, line []byte) bool) error {
	return s.scan(keyNumber(tableAudit, seq), prefixEnd([]byte{tableAudit}), false, func(k, v []byte) bool { return yield(numberOf(k), v) })
}

// LatestAudit calls yield with the entries from the end backwards. yield owns the entry, and may call the store.
func (s *Store) LatestAudit(yield func(*AuditEntry) bool) error {
	var damaged error
	err := s.scan([]byte{tableAudit}, prefixEnd([]byte{tableAudit}), true, func(k, v []byte) bool {
		var a AuditEntry
		if damaged = json.Unmarshal(v, &a); damaged != nil {
			damaged = fmt.Errorf("read audit entry %d: %w", numberOf(k), damaged)
			return false
		}
		return yield(&a)
	})
	return errors.Join(err, damaged)
}

// AuditHead returns the end of the chain.
func (s *Store) AuditHead() AuditHead {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.audit
}

// AuditReport is the outcome of VerifyAudit.
type AuditReport struct {
	Head    AuditHead `json:"head"`
	Entries uint64    `json:"entries"`          // that were checked
	Broken  uint64    `json:"broken,omitempty"` // Seq of the first broken entry; 0: the chain is whole
	Why     string    `json:"why,omitempty"`
}

// VerifyAudit checks the chain. known are heads that were noted elsewhere earlier, at most one for a Seq: an
// attacker who can write the state directory can also compute a new chain, but not one with a known head. An entry is broken if it is missing,
// is not the JSON that the store wrote, or has another hash than its successor, the end of the chain or known names.
func (s *Store) VerifyAudit(known ...AuditHead) (AuditReport, error) {
	end := s.AuditHead() // before reading: entries that come meanwhile are not checked
	r := AuditReport{Head: end}
	noted := map[uint64]string{}
	for _, k := range known {
		noted[k.Seq] = k.Hash
		if k.Seq > end.Seq {
			r.Broken, r.Why = end.Seq+1, fmt.Sprintf("the chain ends with entry %d, and entry %d is known", end.Seq, k.Seq)
		}
	}
	at := AuditHead{}
	broken := func(seq uint64, format string, args ...any) bool {
		r.Broken, r.Why = seq, fmt.Sprintf(format, args...)
		return false
	}
	err := s.auditLines(1, func(seq uint64, v []byte) bool {
		var a AuditEntry
		switch {
		case at.Seq == end.Seq:
			return false
		case seq != at.Seq+1:
			return broken(at.Seq+1, "the entry is missing")
		case json.Unmarshal(v, &a) != nil:
			return broken(seq, "the entry cannot be read")
		case a.Seq != seq:
			return broken(seq, "the entry has the number %d", a.Seq)
		case a.Prev != at.Hash && seq > 1:
			return broken(at.Seq, "its hash is %s, and the next entry names %q", at.Hash, a.Prev)
		case a.Prev != at.Hash:
			return broken(seq, "the first entry names a predecessor")
		}
		at = AuditHead{seq, hashAudit(v)}
		if want := noted[seq]; want != "" && want != at.Hash {
			return broken(seq, "its hash is %s, and %s is known", at.Hash, want)
		}
		r.Entries++
		return true
	})
	switch {
	case err != nil || r.Broken != 0:
	case at.Seq < end.Seq:
		broken(at.Seq+1, "the entry is missing")
	case at.Hash != end.Hash:
		broken(at.Seq, "its hash is %s, and the end of the chain names %s", at.Hash, end.Hash)
	}
	return r, err
}
