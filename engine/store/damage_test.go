package store

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// setVersion creates a store in the folder and replaces its format version.
func setVersion(folder string, version []byte) error {
	s, err := Open(filepath.Dir(folder), Options{})
	if err != nil {
		return err
	}
	if err := s.db.Set([]byte{tableVersion}, version, pebble.Sync); err != nil {
		return err
	}
	return s.Close()
}

// otherDatabase creates a Pebble database that is not a store.
func otherDatabase(folder string) error {
	db, err := pebble.Open(folder, &pebble.Options{})
	if err != nil {
		return err
	}
	if err := db.Set([]byte("foreign"), []byte("1"), pebble.Sync); err != nil {
		return err
	}
	return db.Close()
}

// breakFiles creates a store and overwrites the files that match the pattern. If content is nil, the files are removed.
func breakFiles(folder, pattern string, content []byte) error {
	if err := setVersion(folder, []byte{formatVersion}); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil {
		return err
	}
	for _, n := range names {
		if content == nil {
			err = os.Remove(n)
		} else {
			err = os.WriteFile(n, content, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
