package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// auditStore returns a store with n entries, every third of which came with a checkpoint.
func auditStore(t *testing.T, n int) *Store {
	t.Helper()
	s, err := Open("", Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	seq := uint64(0)
	for i := range n {
		e := []AuditEntry{{Time: schema.Instant(i), Who: "uid 1", Class: schema.AuditToken, Action: fmt.Sprint("a", i), After: json.RawMessage(`{"x": "<"}`)}}
		if i%3 == 2 {
			seq++
			mustCommit(t, s, &Checkpoint{Seq: seq, State: []byte("{}"), Audit: e})
			continue
		}
		if err := s.Apply(&Change{Audit: e}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAuditChain(t *testing.T) {
	s := auditStore(t, 10)
	var got []string
	if err := s.AuditFrom(9, func(a *AuditEntry) bool {
		got = append(got, fmt.Sprintf("%d %s checkpoint %d", a.Seq, a.Action, a.Checkpoint))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if want := "[9 a8 checkpoint 3, 10 a9 checkpoint 0]"; "["+strings.Join(got, ", ")+"]" != want {
		t.Errorf("got %v, want %s", got, want)
	}
	r, err := s.VerifyAudit()
	if err != nil || r.Broken != 0 || r.Entries != 10 || r.Head.Seq != 10 || len(r.Head.Hash) != 64 {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := s.VerifyAudit(r.Head); err != nil || r.Broken != 0 {
		t.Errorf("with its own head: %+v, %v", r, err)
	}
	clone, err := s.Snapshot() // the chain goes on after a restart
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if err := clone.Apply(&Change{Audit: []AuditEntry{{Action: "after"}}}); err != nil {
		t.Fatal(err)
	}
	if r, err := clone.VerifyAudit(r.Head); err != nil || r.Broken != 0 || r.Entries != 11 {
		t.Errorf("after a restart: %+v, %v", r, err)
	}
	if r, err := auditStore(t, 0).VerifyAudit(); err != nil || r.Broken != 0 || r.Entries != 0 {
		t.Errorf("without entries: %+v, %v", r, err)
	}
}

// TestTamperedAudit changes the database behind the store's back, and checks which entry is found.
func TestTamperedAudit(t *testing.T) {
	read := func(s *Store, seq uint64) []byte {
		v, err := readKey(s.db, keyNumber(tableAudit, seq))
		if err != nil || v == nil {
			t.Fatalf("entry %d: %v", seq, err)
		}
		return v
	}
	set := func(s *Store, seq uint64, v []byte) {
		if err := s.db.Set(keyNumber(tableAudit, seq), v, nil); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(s *Store, seq uint64) {
		if err := s.db.Delete(keyNumber(tableAudit, seq), nil); err != nil {
			t.Fatal(err)
		}
	}
	// rewrite computes the chain again from an entry on, as an attacker who knows the format would.
	rewrite := func(s *Store, from, to uint64) {
		prev := ""
		for seq := uint64(1); seq <= to; seq++ {
			var a AuditEntry
			if err := json.Unmarshal(read(s, seq), &a); err != nil {
				t.Fatal(err)
			}
			if seq >= from {
				a.Who, a.Prev = "nobody", prev
				v, err := json.Marshal(&a)
				if err != nil {
					t.Fatal(err)
				}
				set(s, seq, v)
			}
			prev = hashAudit(read(s, seq))
		}
		if err := s.db.Set(keyAuditHead(), AuditHead{to, prev}.value(), nil); err != nil {
			t.Fatal(err)
		}
		s.audit = AuditHead{to, prev}
	}
	for _, c := range []struct {
		name   string
		tamper func(*Store)
		broken uint64
		known  bool // found only with a head that was noted before
	}{
		{"another person", func(s *Store) { set(s, 4, []byte(strings.Replace(string(read(s, 4)), "uid 1", "uid 2", 1))) }, 4, false},
		{"one byte of the first", func(s *Store) { set(s, 1, []byte(strings.Replace(string(read(s, 1)), "a0", "b0", 1))) }, 1, false},
		{"one byte of the last", func(s *Store) { set(s, 10, []byte(strings.Replace(string(read(s, 10)), "a9", "b9", 1))) }, 10, false},
		{"a blank", func(s *Store) { set(s, 5, append(read(s, 5), ' ')) }, 5, false},
		{"not JSON", func(s *Store) { set(s, 5, []byte("x")) }, 5, false},
		{"an entry is removed", func(s *Store) { remove(s, 6) }, 6, false},
		{"the first is removed", func(s *Store) { remove(s, 1) }, 1, false},
		{"the last is removed", func(s *Store) { remove(s, 10) }, 10, false},
		{"two entries change places", func(s *Store) { a, b := read(s, 3), read(s, 4); set(s, 3, b); set(s, 4, a) }, 3, false},
		{"an entry is copied", func(s *Store) { set(s, 7, read(s, 6)) }, 7, false},
		{"all are removed", func(s *Store) {
			for seq := uint64(1); seq <= 10; seq++ {
				remove(s, seq)
			}
		}, 1, false},
		{"the chain is computed again", func(s *Store) { rewrite(s, 3, 10) }, 10, true},
		{"the end is cut off", func(s *Store) { remove(s, 10); rewrite(s, 11, 9) }, 10, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := auditStore(t, 10)
			head := s.AuditHead()
			c.tamper(s)
			r, err := s.VerifyAudit()
			if err != nil {
				t.Fatal(err)
			}
			if c.known {
				if r.Broken != 0 {
					t.Errorf("a chain of its own: %+v", r)
				}
				if r, err = s.VerifyAudit(head); err != nil {
					t.Fatal(err)
				}
			}
			if r.Broken != c.broken || r.Why == "" {
				t.Errorf("%+v, want entry %d", r, c.broken)
			}
		})
	}
}

// TestOldAudit checks that the entries of a store of an earlier version begin the chain.
func TestOldAudit(t *testing.T) {
	s := auditStore(t, 0)
	for i, text := range []string{`{"time":"2026-01-01T00:00:00Z","who":"uid 1","action":"clear","rule":"r","key":{"a":"b"},"reason":"x"}`, `{"action":"contain"}`} {
		key := binary.BigEndian.AppendUint32(keyNumber(tableOldAudit, 7), uint32(i))
		if err := s.db.Set(key, []byte(text), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		clone, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		defer clone.Close()
		var got []AuditEntry
		if err := clone.Audit(func(a *AuditEntry) bool { got = append(got, *a); return true }); err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || got[0].Rule != "r" || got[0].Key["a"] != "b" || got[0].Checkpoint != 7 || got[1].Action != "contain" || got[1].Prev == "" {
			t.Errorf("got %+v", got)
		}
		if r, err := clone.VerifyAudit(); err != nil || r.Broken != 0 || r.Entries != 2 {
			t.Errorf("%+v, %v", r, err)
		}
		s = clone
	}
}

// TestApplyAfterFailedCommit checks that the numbers of entries stay those of a checkpoint that is written again.
func TestApplyAfterFailedCommit(t *testing.T) {
	s := auditStore(t, 0)
	if _, err := s.SetSinks([]SinkSpec{{Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	change := Change{Outbox: []connectors.Entry{{Type: connectors.ResponseChanged, Response: &schema.ResponseRecord{}}}}
	s.uncertain = true // as after a Commit that failed
	if err := s.Apply(&change); err == nil {
		t.Error("an entry takes the number of a checkpoint's")
	}
	c := &Checkpoint{Seq: 1, State: []byte("{}"), Outbox: []connectors.Entry{{Type: connectors.ResponseChanged, Response: &schema.ResponseRecord{}}}}
	mustCommit(t, s, c)
	if err := s.Apply(&change); err != nil || change.Outbox[0].Seq != c.Outbox[0].Seq+1 {
		t.Errorf("%v, entry %d after %d", err, change.Outbox[0].Seq, c.Outbox[0].Seq)
	}
	if err := s.Apply(&Change{Audit: []AuditEntry{{Action: "a"}}}); err != nil {
		t.Error(err)
	}
	if out, err := s.Outbox(1, 10, 1<<20); err != nil || len(out) != 3 || out[2].Audit == nil || out[2].Audit.Seq != 1 {
		t.Errorf("%d entries, %v", len(out), err)
	}
}

// TestOnce checks that a text counts once until it expires, also after a restart, and that nothing is written the second time.
func TestOnce(t *testing.T) {
	now := time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC)
	s, err := Open("", Options{Memory: true, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	change := func(s *Store, text string) error {
		return s.Apply(&Change{
			Once: []Once{{Text: text, Until: schema.InstantOf(now.Add(time.Hour))}}, Audit: []AuditEntry{{Action: "a"}},
		})
	}
	if err := errors.Join(change(s, "x"), change(s, "y")); err != nil {
		t.Fatal(err)
	}
	clone, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	for _, s := range []*Store{s, clone} {
		if err := change(s, "x"); !errors.Is(err, ErrUsed) || s.AuditHead().Seq != 2 {
			t.Errorf("twice: %v, %d entries", err, s.AuditHead().Seq)
		}
	}
	now = now.Add(time.Hour)
	if err := change(s, "x"); err != nil {
		t.Errorf("after it expired: %v", err)
	}
	n := 0
	if err := each(s.db, []byte{tableMeta, 'u'}, func(_, _ []byte) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d texts are remembered, want 1: %v", n, err)
	}
}
