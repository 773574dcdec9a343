package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/schema"
)

// Tables: the first byte of each key. They are part of the format.
const (
	tableVersion = 'v'
	tableMeta    = 'm'
	tableCell    = 'c'
	tableTimer   = 'w'
	tableItems   = 'i'
	tablePaged   = 'p'
	tableRetired = 'x'
	tableOutbox  = 'o'
	tableFinding = 'f'
	tableGroup   = 'g'
	tableChange  = 't'
	tableSink    = 's'
	tableRetry   = 'r'
	tableEntity  = 'e'
	tableDeltas  = 'j'
	tableRank    = 'q'
	tableRows    = 'b'
	tableRowSink = 'B'
	tableDead    = 'd'
	tableDeadOut = 'P'
	tableAudit   = 'A'
	tableNote    = 'n'
	tableToken   = 'K'
	tableTriage  = 'T'
	tableSnooze  = 'U'

	tableTally   = 'I'
	tableAttempt = 'J'

	tableResponse = 'k'
	tableApproval = 'h'
	tableOldAudit = 'a' // entries of earlier versions, by checkpoint
)

func keyCheckpoint() []byte     { return []byte{tableMeta, 'c'} }
func keyCheckpointTime() []byte { return []byte{tableMeta, 't'} }
func keyOutbox() []byte         { return []byte{tableMeta, 'o'} }
func keyContainment() []byte    { return []byte{tableMeta, 'k'} }
func keyDead() []byte           { return []byte{tableMeta, 'd'} }

// keyNumber returns a key of a table that is sorted by a number.
func keyNumber(table byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, n)
}

func keyCell(owner []byte) []byte { return append([]byte{tableCell}, owner...) }

func keyTimer(key []byte) []byte { return append([]byte{tableTimer}, key...) }

func keyPaged(owner []byte) []byte { return append([]byte{tablePaged}, owner...) }

func keyRetired(rule []byte) []byte { return append([]byte{tableRetired}, rule...) }

func keyFinding(id schema.ID) []byte { return append([]byte{tableFinding}, id[:]...) }

func keyGroup(start schema.Instant, id schema.ID) []byte {
	return append(keyNumber(tableGroup, sortable(start)), id[:]...)
}

// sortable maps instants to numbers of the same order by flipping the sign bit.
func sortable(t schema.Instant) uint64 { return uint64(t) ^ 1<<63 }

func keySink(name string) []byte { return append([]byte{tableSink}, name...) }

// keyRetries returns the prefix that the keys of a sink's retries share.
func keyRetries(name string) []byte { return append(append([]byte{tableRetry}, name...), 0) }

func keyRetry(name string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(keyRetries(name), seq)
}

// keyNote returns the key of a sink's note on a finding. The notes on one finding share a prefix.
func keyNote(id schema.ID, sink string) []byte {
	return append(append([]byte{tableNote}, id[:]...), sink...)
}

// numberOf returns the number at the end of a key.
func numberOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// prefixEnd returns the smallest key that is greater than every key with the prefix, or nil if every byte of the prefix
// is 0xff.
func prefixEnd(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// readKey returns a copy of the key's value, or nil if the database does not have the key.
func readKey(db *pebble.DB, key []byte) ([]byte, error) {
	v, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read key %q: %w", key, err)
	}
	defer closer.Close()
	return append(make([]byte, 0, len(v)), v...), nil
}
