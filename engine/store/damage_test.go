package store

import (
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
)

// setVersion makes a store in the folder and replaces its format version.
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

// otherDatabase makes a Pebble database that is no store.
func otherDatabase(folder string) error {
	db, err := pebble.Open(folder, &pebble.Options{})
	if err != nil {
		return err
	}
	if err := db.Set([]byte("theirs"), []byte("1"), pebble.Sync); err != nil {
		return err
	}
	return db.Close()
}

// breakFiles makes a store and overwrites files of it; nil content removes them.
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
