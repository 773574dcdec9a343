package store

import (
	"bytes"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// pageEntries and pageBytes bound what a scan holds at once. Between pages no lock is held, so whoever scans may
	// take its time and call the store.
	pageEntries = 512
	pageBytes   = 1 << 20
)

type entry struct{ key, value []byte }

// scan calls yield with the entries in [lower, upper), in order of key or backwards, until yield returns false. What is
// written while it runs may or may not be seen. Keys and values are the caller's.
func (s *Store) scan(lower, upper []byte, backwards bool, yield func(key, value []byte) bool) error {
	for {
		page, err := s.page(lower, upper, backwards)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, e := range page {
			if !yield(e.key, e.value) {
				return nil
			}
		}
		end := page[len(page)-1].key
		if backwards {
			upper = end
		} else {
			lower = append(bytes.Clone(end), 0)
		}
	}
}

// page reads the next entries of a scan.
func (s *Store) page(lower, upper []byte, backwards bool) ([]entry, error) {
	s.revive()
	s.mu.RLock()
	defer s.mu.RUnlock()
	db, err := s.reader()
	if err != nil {
		return nil, err
	}
	return readPage(db, lower, upper, backwards)
}

// reader returns the database to read from. The caller holds mu, so that it is not closed meanwhile.
func (s *Store) reader() (*pebble.DB, error) {
	if s.closed {
		return nil, ErrClosed
	}
	if s.db == nil {
		return nil, fmt.Errorf("read store: %w", s.failure.get())
	}
	return s.db, nil
}

func readPage(db *pebble.DB, lower, upper []byte, backwards bool) (page []entry, err error) {
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
		e := entry{bytes.Clone(it.Key()), bytes.Clone(it.Value())}
		page = append(page, e)
		size += len(e.key) + len(e.value)
	}
	return page, nil
}

// each calls yield with all entries of a prefix while the store is being opened.
func each(db *pebble.DB, prefix []byte, yield func(key, value []byte) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
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
