package store

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/schema"
)

// Requeue takes a dead letter of kind row or delivery out of the dead letters and lets its entry wait for its sink again,
// due now and with no attempt counted. It returns the retry and the sink's name.
func (s *Store) Requeue(dead uint64) (sink string, r Retry, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if sink, r, err = s.requeue(dead); err != nil {
		return "", Retry{}, fmt.Errorf("requeue dead letter %d: %w", dead, err)
	}
	return sink, r, nil
}

func (s *Store) requeue(dead uint64) (string, Retry, error) {
	db, err := s.ready(0)
	if err != nil {
		return "", Retry{}, err
	}
	b := db.NewBatch()
	defer b.Close()
	w, d := writer{b: b}, s.dead
	l, err := takeDead(db, &w, &d, dead)
	if err != nil {
		return "", Retry{}, err
	}
	if l == nil {
		return "", Retry{}, errors.New("there is none of that number: see `aidr dlq ls`")
	}
	k, err := s.sinkOfLetter(l)
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
	s.dead = d
	if _, had := k.retries[r.Seq]; !had {
		s.pins[r.Seq]++
	}
	k.retryBytes += r.Size - k.retries[r.Seq].Size
	k.retries[r.Seq] = r
	return l.Sink, r, nil
}

// sinkOfLetter returns the sink that a dead letter can be handed to.
func (s *Store) sinkOfLetter(l *DeadLetter) (*sinkState, error) {
	if l.Kind != schema.DeadRow && l.Kind != schema.DeadDelivery {
		return nil, fmt.Errorf("it is a %s, and belongs to no sink", l.Kind)
	}
	k := s.sinks[l.Sink]
	if k == nil {
		return nil, fmt.Errorf("its sink %q is not in the configuration", l.Sink)
	}
	if l.Entry >= k.cursor {
		return nil, fmt.Errorf("BUG: entry %d is not behind the cursor %d of sink %q", l.Entry, k.cursor, l.Sink)
	}
	return k, nil
}

// restoreEntry puts the letter's entry into the outbox again where it was trimmed; it has the content that it had.
func restoreEntry(db *pebble.DB, w *writer, l *DeadLetter) (Retry, error) {
	f, err := decodeFinding([]byte(l.Body))
	if err != nil {
		return Retry{}, err
	}
	r := Retry{Seq: l.Entry, Finding: f.ID}
	key := keyNumber(tableOutbox, l.Entry)
	v, err := get(db, key)
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
