package store

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// pageEntries and pageBytes bound how much a scan holds in memory at once. No lock is held between pages, so the
	// caller of a scan may be slow and may call the store.
	pageEntries = 512
	pageBytes   = 1 << 20
)

// scan calls yield with the keys and values in [lower, upper), in ascending or descending order of key, until yield
// returns false. A write during the scan may or may not be seen. yield owns the keys and values.
func (s *Store) scan(lower, upper []byte, backwards bool, yield func(key, value []byte) bool) error {
	for {
		page, err := s.page(lower, upper, backwards)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, kv := range page {
			if !yield(kv.Key, kv.Value) {
				return nil
			}
		}
		end := page[len(page)-1].Key
		if backwards {
			upper = end
		} else {
			lower = append(bytes.Clone(end), 0)
		}
	}
}

// page reads the next page of a scan.
func (s *Store) page(lower, upper []byte, backwards bool) ([]KV, error) {
	s.reopenForReader()
	s.mu.RLock()
	defer s.mu.RUnlock()
	db, err := s.readable()
	if err != nil {
		return nil, err
	}
	return readPage(db, lower, upper, backwards)
}

// readable returns the database for reading. The caller holds mu, so that the database is not closed while it is read.
func (s *Store) readable() (*pebble.DB, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if s.db == nil {
		return nil, fmt.Errorf("read store: %w", s.failure.get())
	}
	return s.db, nil
}

// readPage returns copies of the first keys and values in [lower, upper), or of the last ones in descending order.
func readPage(db *pebble.DB, lower, upper []byte, backwards bool) (page []KV, err error) {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, fmt.Errorf("read store: %w", err)
	}
	defer func() {
		if e := it.Close(); err == nil && e != nil {
			err = fmt.Errorf("read store: %w", e)
		}
	}()
	first, next := it.First, it.Next
	if backwards {
		first, next = it.Last, it.Prev
	}
	size := 0
	for ok := first(); ok && len(page) < pageEntries && size < pageBytes; ok = next() {
		kv := KV{Key: bytes.Clone(it.Key()), Value: bytes.Clone(it.Value())}
		page = append(page, kv)
		size += len(kv.Key) + len(kv.Value)
	}
	return page, nil
}

// each calls yield with all keys and values of a prefix, which are valid only during the call. It is for Open, when
// nothing else uses the database, and for short prefixes.
func each(db *pebble.DB, prefix []byte, yield func(key, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if err := yield(it.Key(), it.Value()); err != nil {
			_ = it.Close()
			return err
		}
	}
	if err := it.Close(); err != nil {
		return fmt.Errorf("read store: %w", err)
	}
	return nil
}
