package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// maxAttempts is the number of attempts of deliveries that wait for sinks of rows. If there are more, the oldest are dropped. Each
// takes about 400 bytes, so all of them take 40 MB.
const maxAttempts = 100_000

// RowCursor is the progress of a sink of rows with dead letters and attempts of deliveries: it has those up to these numbers.
type RowCursor struct{ Dead, Attempt uint64 }

// The keys of the table of attempts begin with one of these after the table's byte.
const (
	attemptEntry  = 'a' // followed by the number of the attempt
	attemptCursor = 'c' // followed by the name of a sink
)

func keyAttempt(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{tableAttempt, attemptEntry}, n)
}

func keyRowCursor(sink string) []byte { return append([]byte{tableAttempt, attemptCursor}, sink...) }

// AddAttempts keeps attempts of deliveries for the sinks of rows. dropped is the number of older ones that were dropped, because too
// many wait. It must be called by one goroutine at a time.
func (s *Store) AddAttempts(attempts []*schema.Attempt) (dropped uint64, err error) {
	last, first := uint64(0), uint64(0)
	ends := func(backwards bool) (n uint64, err error) {
		err = s.scan(keyAttempt(0), prefixEnd([]byte{tableAttempt, attemptEntry}), backwards, func(k, _ []byte) bool {
			n = numberOf(k)
			return false
		})
		return n, err
	}
	if last, err = ends(true); err == nil {
		first, err = ends(false)
	}
	if err != nil {
		return 0, fmt.Errorf("keep attempts of deliveries: %w", err)
	}
	if last == 0 { // nothing waits: the numbers go on after those that sinks have
		if last, err = s.lastAttempt(); err != nil {
			return 0, err
		}
		first = last + 1
	}
	if next := last + uint64(len(attempts)); next-first >= maxAttempts {
		dropped = next - first + 1 - maxAttempts
	}
	err = s.change(func(w *batchWriter) {
		for i, a := range attempts {
			v, err := json.Marshal(a)
			w.fail(err)
			w.set(keyAttempt(last+1+uint64(i)), v)
		}
		if dropped > 0 {
			w.fail(w.b.DeleteRange(keyAttempt(0), keyAttempt(first+dropped), nil))
		}
	})
	if err != nil {
		return 0, fmt.Errorf("keep attempts of deliveries: %w", err)
	}
	return dropped, nil
}

// lastAttempt returns the highest number of an attempt that any sink has.
func (s *Store) lastAttempt() (last uint64, err error) {
	err = s.eachRowCursor(func(_ string, c RowCursor) { last = max(last, c.Attempt) })
	return last, err
}

// Attempts calls yield with up to limit attempts whose number is above after, in order. yield owns the attempt.
func (s *Store) Attempts(after uint64, limit int, yield func(number uint64, a *schema.Attempt)) error {
	var failed error
	err := s.scan(keyAttempt(after+1), prefixEnd([]byte{tableAttempt, attemptEntry}), false, func(k, v []byte) bool {
		var a schema.Attempt
		if failed = json.Unmarshal(v, &a); failed != nil {
			return false
		}
		yield(numberOf(k), &a)
		limit--
		return limit > 0
	})
	if failed != nil {
		err = fmt.Errorf("read attempts of deliveries: the store is damaged: %w", failed)
	}
	return err
}

// RowCursor returns the progress of a sink of rows. It is zero for a sink that is new.
func (s *Store) RowCursor(sink string) (RowCursor, error) {
	v, err := s.get(keyRowCursor(sink))
	if v == nil || err != nil {
		return RowCursor{}, err
	}
	return readRowCursor(v)
}

func readRowCursor(v []byte) (c RowCursor, err error) {
	r := flat.NewReader(v)
	c.Dead, c.Attempt = r.Uint64(), r.Uint64()
	if r.Bad() {
		err = errors.New("read the progress of rows: the store is damaged")
	}
	return c, err
}

func (s *Store) eachRowCursor(f func(sink string, c RowCursor)) error {
	lower := []byte{tableAttempt, attemptCursor}
	var failed error
	err := s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool {
		var c RowCursor
		if c, failed = readRowCursor(v); failed == nil {
			f(string(k[2:]), c)
		}
		return failed == nil
	})
	return errors.Join(err, failed)
}

// SetRowCursor records the progress of a sink of rows, and deletes the attempts that each of the sinks has.
func (s *Store) SetRowCursor(sink string, c RowCursor, sinks []string) error {
	low := c.Attempt
	for _, name := range sinks {
		if name == sink {
			continue
		}
		other, err := s.RowCursor(name)
		if err != nil {
			return err
		}
		low = min(low, other.Attempt)
	}
	err := s.change(func(w *batchWriter) {
		w.set(keyRowCursor(sink), binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.Dead), c.Attempt))
		w.fail(w.b.DeleteRange(keyAttempt(0), keyAttempt(low+1), nil))
	})
	if err != nil {
		return fmt.Errorf("record delivered rows: %w", err)
	}
	return nil
}
