package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Requeue turns a dead letter of kind row or delivery back into a retry of its sink, due now and without attempts. It
// returns the retry and the sink's name. The dead letter is deleted.
func (s *Store) Requeue(dead uint64) (sink string, r Retry, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if sink, r, err = s.requeue(dead); err != nil {
		return "", Retry{}, fmt.Errorf("requeue dead letter %d: %w", dead, err)
	}
	return sink, r, nil
}

func (s *Store) requeue(dead uint64) (string, Retry, error) {
	db, err := s.writable(0)
	if err != nil {
		return "", Retry{}, err
	}
	b := db.NewBatch()
	defer b.Close()
	w, d := batchWriter{b: b}, s.dead
	l, err := deleteDead(db, &w, &d, dead)
	if err != nil {
		return "", Retry{}, err
	}
	if l == nil {
		return "", Retry{}, errors.New("no dead letter has this number: see `aidr dlq ls`")
	}
	sink, err := s.sinkOf(l)
	if err != nil {
		return "", Retry{}, err
	}
	r, err := restoreEntry(db, &w, l)
	if err != nil {
		return "", Retry{}, err
	}
	r.Due = s.now()
	w.set(keyRetry(l.Sink, r.Seq), r.value())
	w.set(keyDead(), d.value())
	if err := s.finish(&w); err != nil {
		return "", Retry{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.setDead(d)
	if _, had := sink.retries[r.Seq]; !had {
		s.pins[r.Seq]++
	}
	sink.retryBytes += r.Size - sink.retries[r.Seq].Size
	sink.retries[r.Seq] = r
	return l.Sink, r, nil
}

// sinkOf returns the sink to which a dead letter can be delivered again.
func (s *Store) sinkOf(l *DeadLetter) (*sinkState, error) {
	if l.Kind != schema.DeadRow && l.Kind != schema.DeadDelivery {
		return nil, fmt.Errorf("a dead letter of kind %q belongs to no sink", l.Kind)
	}
	sink := s.sinks[l.Sink]
	if sink == nil {
		return nil, fmt.Errorf("its sink %q is not in the configuration", l.Sink)
	}
	if l.Entry >= sink.cursor {
		return nil, fmt.Errorf("BUG: entry %d is not before the cursor %d of sink %q", l.Entry, sink.cursor, l.Sink)
	}
	return sink, nil
}

// restoreEntry writes the dead letter's entry back to the outbox if it was trimmed. The entry has the same Seq and content
// as before.
func restoreEntry(db *pebble.DB, w *batchWriter, l *DeadLetter) (Retry, error) {
	e := connectors.Entry{Type: l.Type}
	if err := decodeContent(&e, []byte(l.Body)); err != nil {
		return Retry{}, err
	}
	r := Retry{Seq: l.Entry, Finding: e.ID()}
	key := keyNumber(tableOutbox, l.Entry)
	v, err := readKey(db, key)
	if err != nil {
		return Retry{}, err
	}
	if v == nil {
		v = appendEntry(&outboxState{}, string(l.Type), []byte(l.Body), l.Time)
		w.set(key, v)
	}
	r.Size = int64(len(v))
	return r, nil
}
