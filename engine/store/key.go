package store

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/aidr-engine/aidr/schema"
)

// Tables: the first byte of each key. Part of the format.
const (
	tableVersion = 'v'
	tableMeta    = 'm'
	tableCell    = 'c'
	tableItems   = 'i'
	tableRetired = 'x'
	tableOutbox  = 'o'
	tableFinding = 'f'
	tableGroup   = 'g'
	tablePlace   = 't'
	tableSink    = 's'
	tableRetry   = 'r'
	tableDead    = 'd'
)

func keyCheckpoint() []byte { return []byte{tableMeta, 'c'} }
func keyOutbox() []byte     { return []byte{tableMeta, 'o'} }
func keyDead() []byte       { return []byte{tableMeta, 'd'} }

// keyNumber is the key of a table that is sorted by a number.
func keyNumber(table byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{table}, n)
}

func keyCell(owner []byte) []byte { return append([]byte{tableCell}, owner...) }

func keyRetired(rule []byte) []byte { return append([]byte{tableRetired}, rule...) }

func keyFinding(id schema.ID) []byte { return append([]byte{tableFinding}, id[:]...) }

func keyGroup(start schema.Instant, id schema.ID) []byte {
	return append(keyNumber(tableGroup, sortable(start)), id[:]...)
}

// sortable maps instants to numbers of the same order: the sign bit is flipped.
func sortable(t schema.Instant) uint64 { return uint64(t) ^ 1<<63 }

func keySink(name string) []byte { return append([]byte{tableSink}, name...) }

func keyRetries(name string) []byte { return append(append([]byte{tableRetry}, name...), 0) }

func keyRetry(name string, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(keyRetries(name), seq)
}

// numberOf returns the number that ends the key.
func numberOf(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

// after returns the smallest key that is greater than every key with the prefix; nil: there is none.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// get returns a copy of the value, nil where the key is not there.
func get(db *pebble.DB, key []byte) ([]byte, error) {
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

// flat reads a flat record from its front; bad stays true after the first damage.
type flat struct {
	b   []byte
	bad bool
}

func (f *flat) uvarint() uint64 {
	n, w := binary.Uvarint(f.b)
	if w <= 0 {
		f.bad, f.b = true, nil
		return 0
	}
	f.b = f.b[w:]
	return n
}

func (f *flat) fixed() uint64 {
	if len(f.b) < 8 {
		f.bad, f.b = true, nil
		return 0
	}
	n := binary.BigEndian.Uint64(f.b)
	f.b = f.b[8:]
	return n
}

func (f *flat) text() string { return string(f.bytes(int(min(f.uvarint(), uint64(len(f.b)+1))))) }

func (f *flat) bytes(n int) []byte {
	if n > len(f.b) {
		f.bad, f.b = true, nil
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
