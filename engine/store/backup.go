package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/schema"
)

// A store that is restored from a backup continues at an earlier checkpoint: it makes revisions and checkpoints again that
// receivers may have seen already, with other bodies. So that no number is ever used twice, a store has an incarnation,
// which a restore raises. The numbers that leave the store (revisions of findings, versions of responses, numbers of
// checkpoints) have the incarnation in the bits from incarnationShift on. It is 0 until the first restore.
const (
	// incarnationShift leaves 24 bits for the revisions of one finding: one every 10 s for five years. All numbers stay below
	// 2^53, which JavaScript can read, for 170 years.
	incarnationShift = schema.RevisionShift
	// incarnationUnit is the unit of the clock that incarnations are taken from, so that two restores of one backup differ.
	incarnationUnit = 10 * time.Second
)

// incarnationEpoch is the time of incarnation 0.
var incarnationEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func keyIncarnation() []byte { return []byte{tableMeta, 'i'} }

// copiesDir is the folder of copies that wait to be backed up, beside the database.
const copiesDir = "copies"

// Incarnation returns the number of the store's incarnation, 0 if it was never restored.
func (s *Store) Incarnation() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.incarnation
}

// stamped returns a number of an entry with an incarnation in its high bits.
func stamped(incarnation, n uint64) uint64 {
	return incarnation<<incarnationShift | n&(1<<incarnationShift-1)
}

// stamp sets the incarnation in the numbers of the entries. A repetition changes nothing.
func (s *Store) stamp(c *Checkpoint) {
	incarnation := s.Incarnation()
	if incarnation == 0 {
		return
	}
	for i := range c.Outbox {
		switch e := &c.Outbox[i]; {
		case e.Finding != nil:
			e.Finding.Revision = stamped(incarnation, e.Finding.Revision)
		case e.Response != nil:
			e.Response.Version = stamped(incarnation, e.Response.Version)
		case e.Approval != nil:
			e.Approval.Version = stamped(incarnation, e.Approval.Version)
		}
	}
}

// Copy makes a copy of the store as of its last checkpoint, in a folder of its own beside the database, and returns the path of
// the folder. The copy shares the files that never change, so it takes little time and space; the engine goes on meanwhile.
// The caller removes the folder; Open removes those that were left.
func (s *Store) Copy() (dir string, err error) {
	if s.mem != nil {
		return "", errors.New("copy the store: it is in memory")
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.RLock()
	db, err := s.readable()
	s.mu.RUnlock()
	if err != nil {
		return "", err
	}
	copies := filepath.Join(filepath.Dir(s.dir), copiesDir)
	if err := os.MkdirAll(copies, 0o700); err != nil {
		return "", fmt.Errorf("copy the store: %w", err)
	}
	if dir, err = os.MkdirTemp(copies, "copy-"); err != nil {
		return "", fmt.Errorf("copy the store: %w", err)
	}
	// Pebble wants to create the folder itself.
	if err := db.Checkpoint(filepath.Join(dir, "store"), pebble.WithFlushedWAL()); err != nil {
		return "", errors.Join(fmt.Errorf("copy the store: %w", err), os.RemoveAll(dir))
	}
	return dir, nil
}

// removeCopies removes the copies of a process that was killed before it could. The caller holds the lock of the store.
func (s *Store) removeCopies() {
	if s.mem != nil || s.opts.FS != nil {
		return
	}
	if err := os.RemoveAll(filepath.Join(filepath.Dir(s.dir), copiesDir)); err != nil {
		s.opts.Logf("store: remove copies: %v", err)
	}
}

// Renew begins a new incarnation of a state directory that was restored from a backup. It must be called before any process
// uses the directory. now is the time of the wall clock.
func Renew(dir string, now time.Time) (incarnation uint64, err error) {
	s, err := Open(dir, Options{})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.writing.Lock()
	defer s.writing.Unlock()
	db, err := s.writable(0)
	if err != nil {
		return 0, err
	}
	incarnation = max(s.incarnation+1, uint64(max(0, now.Sub(incarnationEpoch)/incarnationUnit)))
	b := db.NewBatch()
	defer b.Close()
	w := batchWriter{b: b}
	w.set(keyIncarnation(), binary.AppendUvarint(nil, incarnation))
	if s.last.seq > 0 {
		seq := stamped(incarnation, s.last.seq)
		w.set(keyCheckpoint(), append(binary.AppendUvarint(nil, seq), s.last.state...))
		s.writeReceipt(receipt{seq, s.last.at})
	}
	if err := s.finish(&w); err != nil {
		return 0, fmt.Errorf("begin incarnation %d: %w", incarnation, err)
	}
	return incarnation, nil
}

// loadIncarnation reads the number of the incarnation.
func loadIncarnation(db *pebble.DB) (uint64, error) {
	v, err := readKey(db, keyIncarnation())
	if err != nil || v == nil {
		return 0, err
	}
	n, w := binary.Uvarint(v)
	if w <= 0 {
		return 0, errors.New("read the incarnation: the store is damaged")
	}
	return n, nil
}
