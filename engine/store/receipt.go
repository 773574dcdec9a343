package store

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/aidr-engine/aidr/schema"
)

// The receipt is a small file beside the database with the number and the time of the last durable checkpoint. Pebble
// cannot distinguish damage at the end of its last write-ahead log from a write that a power cut interrupted: it drops
// the damaged record and all that follow, without an error, and a small store may be empty then. A receipt of a later
// checkpoint than the last one in the database reveals that loss.
//
// The receipt is overwritten in place after each checkpoint and not synced, because a second wait for the disk would double
// the cost of a checkpoint. It is never newer than the database on the disk: after a power cut it may be older, which hides
// a loss of the last seconds only.
const (
	receiptName = "RECEIPT"
	// receiptSize is the size of the receipt in bytes: checkpoint u64, time i64, CRC-32 of both. That is less than a sector
	// of any disk, so the receipt is written whole or not at all.
	receiptSize = 20
)

// receipt is the content of the file. It is zero if the file is new or damaged.
type receipt struct {
	seq uint64
	at  schema.Instant
}

// Loss is the loss of checkpoints that were durable. The store is then in the state of an earlier checkpoint.
type Loss struct {
	Checkpoints uint64         // number of lost checkpoints
	From        schema.Instant // when the last checkpoint that is left was made; 0 if none is left
	Until       schema.Instant // when the last lost checkpoint was made
}

// Error implements error.
func (l *Loss) Error() string {
	from := "the creation of the store"
	if l.From != 0 {
		from = l.From.String()
	}
	return fmt.Sprintf("the end of the write-ahead log is damaged: %d checkpoints are lost, made after %s and until %s, with their "+
		"findings, State and dead letters: aidr run reads the records since then again if the sources still have them", l.Checkpoints, from, l.Until)
}

// Loss returns the loss of checkpoints that Open found, or nil. It is reported again at the next Open unless a checkpoint
// was committed since.
func (s *Store) Loss() *Loss {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.loss
}

// openReceipt opens the receipt, and creates it if it does not exist. The store works without a usable
// receipt, but does not notice a loss then.
func (s *Store) openReceipt() {
	f, err := s.fs.OpenReadWrite(s.fs.PathJoin(s.dir, receiptName), vfs.WriteCategoryUnspecified)
	if err != nil {
		s.opts.Logf("store: open the receipt of the last checkpoint: %v", err)
		return
	}
	s.receiptFile = f
	b := make([]byte, receiptSize)
	if n, err := f.ReadAt(b, 0); n < receiptSize || err != nil && err != io.EOF {
		return
	}
	if binary.BigEndian.Uint32(b[16:]) == crc32.ChecksumIEEE(b[:16]) {
		s.receipt = receipt{binary.BigEndian.Uint64(b), schema.Instant(binary.BigEndian.Uint64(b[8:]))}
	}
}

// writeReceipt records a checkpoint that is durable. The caller holds writing.
func (s *Store) writeReceipt(r receipt) {
	s.receipt = r
	if s.receiptFile == nil || s.opts.NoSync { // without syncing, the receipt could be newer than the database
		return
	}
	b := binary.BigEndian.AppendUint64(make([]byte, 0, receiptSize), r.seq)
	b = binary.BigEndian.AppendUint64(b, uint64(r.at))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	if _, err := s.receiptFile.WriteAt(b, 0); err != nil {
		s.opts.Logf("store: write the receipt of the last checkpoint: %v", err)
	}
}

// checkLoss compares the database with the receipt. The caller is openDB.
func (s *Store) checkLoss() {
	if s.receipt.seq <= s.last.seq {
		return
	}
	s.loss = &Loss{Checkpoints: s.receipt.seq - s.last.seq, From: s.last.at, Until: s.receipt.at}
	s.opts.Logf("store: %v", s.loss)
}

// closeReceipt closes the file.
func (s *Store) closeReceipt() {
	if s.receiptFile != nil {
		s.receiptFile.Close()
	}
}

// damagedSince returns the part of an error's text that names the last checkpoint of a database that cannot be opened.
func (s *Store) damagedSince() string {
	if s.receipt.seq == 0 {
		return ""
	}
	return fmt.Sprintf(" (its last checkpoint, number %d, was made at %s)", s.receipt.seq, s.receipt.at)
}

// instantOf reads the time of the last checkpoint, which stores of earlier versions do not have.
func instantOf(value []byte) schema.Instant {
	if len(value) != 8 {
		return 0
	}
	return schema.Instant(binary.BigEndian.Uint64(value))
}
