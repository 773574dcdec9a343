package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/aidr-engine/aidr/schema"
)

// Erasure selects what is erased about a subject: the findings of an agent, or those whose evidence holds a text. Exactly one of the
// two is set.
type Erasure struct {
	Tenant, Agent string
	TextHash      string // lower-case hex SHA-256 of a whole text
}

// Erased is what an erasure has found, or has deleted.
type Erased struct {
	Findings    int `json:"findings"`     // final ones
	Open        int `json:"open"`         // not deleted: they still change. They can be deleted once they have settled
	DeadLetters int `json:"dead_letters"` // rows and deliveries
}

// hashedText is the beginning of a text that redaction has replaced by its hash.
const hashedText = "sha256:"

// matches reports whether a finding is about the subject.
func (e *Erasure) matches(f *schema.Finding) bool {
	if e.Agent != "" {
		return f.AgentUID == e.Agent && f.Tenant == e.Tenant
	}
	for i := range f.Evidence {
		if e.holds(f.Evidence[i].Fields) {
			return true
		}
	}
	return f.Provenance != nil && e.holds(f.Provenance.Value)
}

// holds reports whether a value, however deeply, holds the text. Values of findings have been through JSON, which bounds their depth.
func (e *Erasure) holds(v any) bool {
	switch v := v.(type) {
	case string:
		sum := sha256.Sum256([]byte(v))
		return hex.EncodeToString(sum[:]) == e.TextHash || v == hashedText+e.TextHash
	case []any:
		for _, x := range v {
			if e.holds(x) {
				return true
			}
		}
	case map[string]any:
		for _, x := range v {
			if e.holds(x) {
				return true
			}
		}
	}
	return false
}

// Erase deletes the final findings of the subject, and the dead letters of rows and deliveries about it, together with an entry of
// the audit, whose After it sets. With a nil entry it only counts. It reads every finding. What still waits in the outbox is
// delivered, and leaves it then.
func (s *Store) Erase(e Erasure, audit *AuditEntry) (out Erased, err error) {
	var ids []schema.ID
	err = s.Findings(FindingFilter{Match: e.matches}, func(f *schema.Finding) bool {
		if f.Status == schema.StatusOpen {
			out.Open++
		} else {
			ids = append(ids, f.ID)
		}
		return true
	})
	if err != nil {
		return out, err
	}
	var dead []uint64
	err = s.DeadLetters(DeadFilter{}, func(l *DeadLetter) bool {
		var f schema.Finding
		if l.Kind != schema.DeadRecord && json.Unmarshal([]byte(l.Body), &f) == nil && e.matches(&f) {
			dead = append(dead, l.Seq)
		}
		return true
	})
	out.Findings, out.DeadLetters = len(ids), len(dead)
	if err != nil || audit == nil {
		return out, err
	}
	if audit.After, err = json.Marshal(out); err != nil {
		return out, err
	}
	if _, err := s.DropDeadLetters(dead...); err != nil {
		return out, err
	}
	if err := s.eraseFindings(ids, *audit); err != nil {
		return out, fmt.Errorf("erase findings: %w", err)
	}
	return out, nil
}

func (s *Store) eraseFindings(ids []schema.ID, audit AuditEntry) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.uncertain {
		return errUncertain
	}
	db, err := s.writable(0)
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	for _, id := range ids {
		v, err := readKey(db, keyFinding(id))
		if err != nil {
			return err
		}
		if v == nil {
			continue // swept meanwhile
		}
		r, err := parseFindingRecord(v)
		if err != nil {
			return err
		}
		if !r.final() {
			continue
		}
		w.delete(keyFinding(id))
		w.delete(keyGroup(r.start, id))
		w.delete(keyNumber(tableChange, r.seq))
		w.delete(append([]byte{tableTriage}, id[:]...))
		if err := deleteNotes(db, &w, id); err != nil {
			return err
		}
	}
	nextOut, next := s.out, s.audit
	out, err := putAudit(&w, &next, []AuditEntry{audit}, 0)
	if err != nil {
		return err
	}
	out.after(nextOut.next)
	s.putOutbox(&w, &nextOut, out.entries, out.bodies, s.now())
	if err := s.finish(&w); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out, s.audit = nextOut, next
	return nil
}
