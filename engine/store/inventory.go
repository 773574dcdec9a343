package store

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// putInventory puts the inventory's part of a checkpoint into the batch.
func putInventory(w *batchWriter, c *Checkpoint) {
	for _, kv := range c.Entities {
		w.setOrDelete(keyEntity(kv.Key), kv.Value)
	}
	for _, kv := range c.Ranks {
		w.setOrDelete(keyRank(kv.Key), kv.Value)
	}
	for _, kv := range c.Tally {
		w.setOrDelete(append([]byte{tableTally}, kv.Key...), kv.Value)
	}
	if len(c.Deltas) > 0 {
		setParts(w, keyNumber(tableDeltas, c.Seq), c.Deltas)
	}
	for _, seq := range c.DropDeltas {
		w.delete(keyNumber(tableDeltas, seq))
	}
}

// inventorySize returns the size of the inventory's part of a checkpoint, in bytes.
func inventorySize(c *Checkpoint) int {
	size := partsSize(c.Deltas) + partsSize(c.Rows)
	for _, list := range [...][]KV{c.Entities, c.Tally} {
		for _, kv := range list {
			size += len(kv.Key) + len(kv.Value)
		}
	}
	return size
}

func keyRank(entry []byte) []byte { return append([]byte{tableRank}, entry...) }

func keyEntity(key []byte) []byte { return append([]byte{tableEntity}, key...) }

// Entity returns base of an entity of the inventory, or nil. The caller owns the bytes.
func (s *Store) Entity(key []byte) ([]byte, error) { return s.getRare(keyEntity(key)) }

// readRareKey is readKey for a key that is often missing. It asks the filters of the lowest level too, which Get does not: there a
// key that is missing costs the reading of the block of its neighbour, of megabytes if that is the items of a checkpoint.
func readRareKey(db *pebble.DB, key []byte) (value []byte, err error) {
	it, err := db.NewIter(&pebble.IterOptions{UseL6Filters: true})
	if err != nil {
		return nil, fmt.Errorf("read key %q: %w", key, err)
	}
	if it.SeekPrefixGE(key) && bytes.Equal(it.Key(), key) {
		value = append(make([]byte, 0, len(it.Value())), it.Value()...)
	}
	if err := it.Close(); err != nil {
		return nil, fmt.Errorf("read key %q: %w", key, err)
	}
	return value, nil
}

// Entities calls yield with base of each entity from one flat key up to another, exclusive, in order. A nil to is above
// every key. yield owns key and value, and may call the store.
func (s *Store) Entities(from, to []byte, yield func(key, value []byte) bool) error {
	upper := prefixEnd([]byte{tableEntity})
	if to != nil {
		upper = keyEntity(to)
	}
	return s.scan(keyEntity(from), upper, false, func(k, v []byte) bool { return yield(k[1:], v) })
}

// Ranks calls yield with each entry of the index by rank that begins with a kind, in order, until it returns false. yield
// owns the entry.
func (s *Store) Ranks(kind byte, yield func(entry []byte) bool) error {
	lower := keyRank([]byte{kind})
	return s.scan(lower, prefixEnd(lower), false, func(k, _ []byte) bool { return yield(k[1:]) })
}

// Deltas calls yield with the deltas of each checkpoint that was not dropped, in order of checkpoint.
func (s *Store) Deltas(yield func(checkpoint uint64, deltas string) bool) error {
	lower := []byte{tableDeltas}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(numberOf(k), string(v)) })
}

// Tally calls yield with each count of rules and sources, in order of the keys. yield owns key and value.
func (s *Store) Tally(yield func(key, value []byte) bool) error {
	lower := []byte{tableTally}
	return s.scan(lower, prefixEnd(lower), false, func(k, v []byte) bool { return yield(k[1:], v) })
}
