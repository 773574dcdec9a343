package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine/store"
)

// A state directory is backed up, listed, verified and restored from the command line; wrong use is refused with what to do.
func TestStateBackup(t *testing.T) {
	dir := t.TempDir()
	state, backups, restored := filepath.Join(dir, "state"), filepath.Join(dir, "backups"), filepath.Join(dir, "restored")
	s, err := store.Open(state, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(&store.Checkpoint{Seq: 1, State: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	expect := func(code int, want string, args ...string) {
		t.Helper()
		if o := aidr(t, args...); o.code != code || !strings.Contains(o.stdout+o.stderr, want) {
			t.Errorf("aidr %s: %d\n%s%s\nwant %d and %q", strings.Join(args, " "), o.code, o.stdout, o.stderr, code, want)
		}
	}
	expect(exitUsage, "--to is missing", "state", "backup", "--state", state)
	expect(exitOK, "are new", "state", "backup", "--state", state, "--to", backups)
	expect(exitOK, "BACKUP", "state", "backups", "--from", backups)
	expect(exitOK, "the store opens at checkpoint 1", "state", "verify", "--from", backups)
	expect(exitFailed, `has no backup "x"`, "state", "verify", "--from", backups, "--backup", "x")
	expect(exitFailed, "has no backups", "state", "verify", "--from", dir)
	expect(exitOK, "as incarnation", "state", "restore", "--from", backups, "--to", restored)
	expect(exitFailed, "is not empty", "state", "restore", "--from", backups, "--to", restored)
	if left, err := os.ReadDir(filepath.Join(state, "copies")); err == nil && len(left) > 0 {
		t.Errorf("copies are left: %v", left)
	}
	if s, err = store.Open(restored, store.Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if seq, text, ok, err := s.Last(); err != nil || !ok || string(text) != "x" || seq <= 1<<24 {
		t.Errorf("restored checkpoint %d %q %v %v: want the State, and a number above all former ones", seq, text, ok, err)
	}
}
