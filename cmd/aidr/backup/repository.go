// Package backup keeps copies of a state directory in a repository: a folder, on another disk or a mounted bucket, with one
// object for each file and one snapshot for each backup.
//
//	objects/ab/abcd...       a file, named after the SHA-256 of its content; with .age behind it if it is encrypted
//	snapshots/TIME.json      the names of the files of one backup, with their hashes and sizes
//
// Most files of the database never change, so a backup after the first one adds only what is new. A snapshot is written last, so
// an interrupted backup leaves objects that the next one finds, and never a snapshot that lacks an object.
package backup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
)

const (
	// nameLayout is the layout of the names of snapshots, in UTC. It sorts by time.
	nameLayout = "20060102T150405.000Z"
	// encrypted is the ending of the names of encrypted objects.
	encrypted = ".age"
	// formatVersion is the version of the snapshots.
	formatVersion = 1
)

// Repository is a folder of backups.
type Repository struct {
	Dir string
	// Recipients encrypt new objects; without them objects are not encrypted.
	Recipients []age.Recipient
	// Identities decrypt.
	Identities []age.Identity
}

// Snapshot is one backup.
type Snapshot struct {
	Format  int       `json:"format"`
	Name    string    `json:"name"`
	Time    time.Time `json:"time"`
	Version string    `json:"aidr_version"` // of the program that made it
	Files   []File    `json:"files"`
	Bytes   int64     `json:"bytes"` // of all files
	Added   int64     `json:"added"` // bytes of the files that no earlier backup had
}

// File is one file of a snapshot.
type File struct {
	Name   string `json:"name"` // path below the state directory, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	Object string `json:"object"` // path of the object below objects
}

// Add adds a copy of a state directory as a snapshot. now is the time of the copy, and version that of the program.
func (r *Repository) Add(dir string, now time.Time, version string) (*Snapshot, error) {
	now = now.UTC()
	s := &Snapshot{Format: formatVersion, Name: now.Format(nameLayout), Time: now, Version: version}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		f, added, err := r.addFile(path, filepath.ToSlash(rel))
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		s.Files, s.Bytes = append(s.Files, f), s.Bytes+f.Size
		if added {
			s.Added += f.Size
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	if len(s.Files) == 0 {
		return nil, fmt.Errorf("back up: %s has no files", dir)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := writeWhole(r.snapshotPath(s.Name), append(text, '\n')); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	return s, nil
}

// addFile adds a file as an object unless the repository has it. It reads the file twice, so that memory does not depend on its size.
func (r *Repository) addFile(path, name string) (f File, added bool, err error) {
	in, err := os.Open(path)
	if err != nil {
		return f, false, err
	}
	defer in.Close()
	h := sha256.New()
	if f.Size, err = io.Copy(h, in); err != nil {
		return f, false, err
	}
	f.Name, f.SHA256 = name, fmt.Sprintf("%x", h.Sum(nil))
	f.Object = f.SHA256[:2] + "/" + f.SHA256
	if len(r.Recipients) > 0 {
		f.Object += encrypted
	}
	target := r.objectPath(f.Object)
	if _, err := os.Stat(target); err == nil {
		return f, false, nil
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return f, false, err
	}
	return f, true, r.writeObject(target, in)
}

// writeObject writes an object, which appears under its name once it is complete.
func (r *Repository) writeObject(path string, in io.Reader) (err error) {
	return create(path, func(out io.Writer) error {
		if len(r.Recipients) == 0 {
			_, err := io.Copy(out, in)
			return err
		}
		w, err := age.Encrypt(out, r.Recipients...)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, in); err != nil {
			return err
		}
		return w.Close()
	})
}

// create writes a file under another name, syncs and renames it, so that it is whole or missing after a crash.
func create(path string, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	out, err := os.CreateTemp(dir, ".new-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(out.Name()))
		}
	}()
	if err := errors.Join(write(out), out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(out.Name(), path)
}

func writeWhole(path string, text []byte) error {
	return create(path, func(w io.Writer) error { _, err := w.Write(text); return err })
}

func (r *Repository) objectPath(object string) string {
	return filepath.Join(r.Dir, "objects", filepath.FromSlash(object))
}

func (r *Repository) snapshotPath(name string) string {
	return filepath.Join(r.Dir, "snapshots", name+".json")
}

// List returns the snapshots, the oldest first.
func (r *Repository) List() ([]*Snapshot, error) {
	entries, err := os.ReadDir(filepath.Join(r.Dir, "snapshots"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no backups: name a folder that `aidr state backup` wrote to", r.Dir)
	}
	if err != nil {
		return nil, err
	}
	var list []*Snapshot
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		s, err := r.snapshot(name)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// Find returns the snapshot of a name, or the latest one if the name is "".
func (r *Repository) Find(name string) (*Snapshot, error) {
	list, err := r.List()
	if err != nil {
		return nil, err
	}
	if name == "" && len(list) > 0 {
		return list[len(list)-1], nil
	}
	for _, s := range list {
		if s.Name == name {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s has no backup %q: `aidr state backups` lists them", r.Dir, name)
}

func (r *Repository) snapshot(name string) (*Snapshot, error) {
	path := r.snapshotPath(name)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := new(Snapshot)
	if err := json.Unmarshal(text, s); err != nil {
		return nil, fmt.Errorf("%s: %w: the backup is damaged, use another one", path, err)
	}
	if s.Format != formatVersion {
		return nil, fmt.Errorf("%s: format %d: this program reads %d: use the program that made it, aidr %s", path, s.Format, formatVersion, s.Version)
	}
	for _, f := range s.Files {
		if !fs.ValidPath(f.Name) || !fs.ValidPath(f.Object) || !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return nil, fmt.Errorf("%s: %q is not a path below the state directory: somebody changed the backup", path, f.Name)
		}
	}
	return s, nil
}

// Verify reads every object of a snapshot and compares it with its hash. progress may be nil.
func (r *Repository) Verify(s *Snapshot, progress func(done int64)) error {
	var done int64
	for _, f := range s.Files {
		if err := r.read(f, io.Discard); err != nil {
			return fmt.Errorf("verify backup %s: %w", s.Name, err)
		}
		if done += f.Size; progress != nil {
			progress(done)
		}
	}
	return nil
}

// read writes the content of a file to w. An error means that w has got bytes that are not to be used.
func (r *Repository) read(f File, w io.Writer) error {
	in, err := os.Open(r.objectPath(f.Object))
	if err != nil {
		return fmt.Errorf("%s: %w: the backup is incomplete, use another one", f.Name, err)
	}
	defer in.Close()
	var content io.Reader = in
	if strings.HasSuffix(f.Object, encrypted) {
		if len(r.Identities) == 0 {
			return fmt.Errorf("%s: it is encrypted: name the file with the key (--identity)", f.Name)
		}
		if content, err = age.Decrypt(in, r.Identities...); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(h, w), content)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	if n != f.Size || fmt.Sprintf("%x", h.Sum(nil)) != f.SHA256 {
		return fmt.Errorf("%s: the object %s has other bytes than were backed up: use another backup", f.Name, f.Object)
	}
	return nil
}

// Restore writes the files of a snapshot below dir, which must be empty or missing. After an error dir is not to be used.
func (r *Repository) Restore(s *Snapshot, dir string) error {
	switch entries, err := os.ReadDir(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: restore into a new directory, so that nothing is mixed", dir)
	}
	for _, f := range s.Files {
		path := filepath.Join(dir, filepath.FromSlash(f.Name))
		if err := create(path, func(w io.Writer) error { return r.read(f, w) }); err != nil {
			return fmt.Errorf("restore backup %s: %w", s.Name, err)
		}
	}
	return nil
}

// Prune removes all but the latest keep snapshots, and the objects that no snapshot has any more. It returns the names of the
// snapshots. No backup may run meanwhile.
func (r *Repository) Prune(keep int) (removed []string, err error) {
	list, err := r.List()
	if err != nil || len(list) <= keep {
		return nil, err
	}
	used := map[string]bool{}
	for _, s := range list[len(list)-keep:] {
		for _, f := range s.Files {
			used[f.Object] = true
		}
	}
	for _, s := range list[:len(list)-keep] {
		if err := os.Remove(r.snapshotPath(s.Name)); err != nil {
			return removed, err
		}
		removed = append(removed, s.Name)
	}
	root := filepath.Join(r.Dir, "objects")
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || used[filepath.ToSlash(rel)] {
			return err
		}
		return os.Remove(path)
	})
	return removed, err
}

// Recipients reads the public keys of a file of age, or takes the text itself if it is one.
func Recipients(text string) ([]age.Recipient, error) {
	if strings.HasPrefix(text, "age1") {
		return age.ParseRecipients(strings.NewReader(text))
	}
	f, err := os.Open(text)
	if err != nil {
		return nil, fmt.Errorf("keys to encrypt for: %w", err)
	}
	defer f.Close()
	keys, err := age.ParseRecipients(f)
	if err != nil {
		return nil, fmt.Errorf("keys to encrypt for: %s: %w: want lines that begin with age1, as `age-keygen -y` prints them", text, err)
	}
	return slices.Clip(keys), nil
}

// Identities reads the private keys of a file of age.
func Identities(path string) ([]age.Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	defer f.Close()
	keys, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("key: %s: %w: want a file that `age-keygen` wrote", path, err)
	}
	return keys, nil
}
