package backup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
)

var at = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)

// write creates files below dir, by name.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// A second backup adds only what is new, and each can be restored.
func TestIncremental(t *testing.T) {
	state, r := t.TempDir(), &Repository{Dir: t.TempDir()}
	write(t, state, map[string]string{"store/1.sst": "one", "store/MANIFEST": "a"})
	first, err := r.Add(state, at, "v1")
	if err != nil {
		t.Fatal(err)
	}
	write(t, state, map[string]string{"store/2.sst": "three", "store/MANIFEST": "b"})
	second, err := r.Add(state, at.Add(time.Hour), "v1")
	if err != nil {
		t.Fatal(err)
	}
	if first.Added != 4 || second.Bytes != 9 || second.Added != 6 {
		t.Errorf("added %d, then %d of %d bytes; want 4, then 6 of 9", first.Added, second.Added, second.Bytes)
	}
	for s, want := range map[*Snapshot]string{first: "a", second: "b"} {
		dir := filepath.Join(t.TempDir(), "new")
		if err := r.Restore(s, dir); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "store", "MANIFEST")); err != nil || string(got) != want {
			t.Errorf("restored %q, %v; want %q", got, err, want)
		}
		if err := r.Restore(s, dir); err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("restore over another directory: %v", err)
		}
	}
	removed, err := r.Prune(1)
	if err != nil || len(removed) != 1 || removed[0] != first.Name {
		t.Errorf("pruned %v, %v; want %s", removed, err, first.Name)
	}
	if err := r.Verify(second, nil); err != nil {
		t.Errorf("after pruning: %v", err)
	}
	if _, err := os.Stat(r.objectPath(first.Files[1].Object)); err == nil {
		t.Error("an object without a snapshot is still there")
	}
}

// Every change of a backup is found: another byte, a missing object, a snapshot with paths outside of the directory.
func TestDamage(t *testing.T) {
	for name, damage := range map[string]struct {
		do   func(t *testing.T, r *Repository, s *Snapshot)
		want string
	}{
		"byte": {func(t *testing.T, r *Repository, s *Snapshot) {
			write(t, filepath.Join(r.Dir, "objects"), map[string]string{s.Files[0].Object: "onf"})
		}, "other bytes than were backed up"},
		"missing": {func(t *testing.T, r *Repository, s *Snapshot) {
			if err := os.Remove(r.objectPath(s.Files[0].Object)); err != nil {
				t.Fatal(err)
			}
		}, "the backup is incomplete"},
		"path": {func(t *testing.T, r *Repository, s *Snapshot) {
			text, err := os.ReadFile(r.snapshotPath(s.Name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(r.Dir, "snapshots"), map[string]string{s.Name + ".json": strings.Replace(string(text), "store/1.sst", "../../1.sst", 1)})
		}, "is not a path below the state directory"},
		"json": {func(t *testing.T, r *Repository, s *Snapshot) {
			write(t, r.Dir, map[string]string{"snapshots/" + s.Name + ".json": "{"})
		}, "the backup is damaged"},
		"format": {func(t *testing.T, r *Repository, s *Snapshot) {
			write(t, r.Dir, map[string]string{"snapshots/" + s.Name + ".json": `{"format": 99}`})
		}, "this program reads 1"},
	} {
		t.Run(name, func(t *testing.T) {
			state, r := t.TempDir(), &Repository{Dir: t.TempDir()}
			write(t, state, map[string]string{"store/1.sst": "one"})
			s, err := r.Add(state, at, "v1")
			if err != nil {
				t.Fatal(err)
			}
			damage.do(t, r, s)
			if s, err = r.Find(""); err == nil {
				err = r.Verify(s, nil)
			}
			if err == nil || !strings.Contains(err.Error(), damage.want) {
				t.Errorf("got %v, want %q", err, damage.want)
			}
		})
	}
}

// An encrypted backup can be read with the key only, and holds no byte of the files.
func TestEncrypted(t *testing.T) {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	state, dir := t.TempDir(), t.TempDir()
	write(t, state, map[string]string{"store/1.sst": "a secret prompt"})
	recipients, err := Recipients(key.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	r := &Repository{Dir: dir, Recipients: recipients}
	s, err := r.Add(state, at, "v1")
	if err != nil {
		t.Fatal(err)
	}
	if object, err := os.ReadFile(r.objectPath(s.Files[0].Object)); err != nil || bytes.Contains(object, []byte("secret")) {
		t.Errorf("the object is not encrypted: %q, %v", object, err)
	}
	if err := r.Verify(s, nil); err == nil || !strings.Contains(err.Error(), "name the file with the key") {
		t.Errorf("without the key: %v", err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r.Identities, err = Identities(file); err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(s, nil); err != nil {
		t.Errorf("with the key: %v", err)
	}
}
