package output

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// names returns the names in a folder, temporary ones too.
func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func wantFile(t *testing.T, path, text string, mode fs.FileMode) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || string(b) != text {
		t.Errorf("%s: got %q, %v, want %q", path, b, err, text)
	}
	info, err := os.Lstat(path)
	if err != nil || info.Mode() != mode {
		t.Errorf("%s: got mode %v, %v, want %v", path, info.Mode(), err, mode)
	}
}

// TestReplaced checks that readers see the old content until Commit, and that Discard leaves no trace.
func TestReplaced(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "new")
	wantFile(t, path, "old", 0o644)
	f.Discard()
	wantFile(t, path, "old", 0o644)
	if got := names(t, dir); got != "out" {
		t.Errorf("after Discard: got %q", got)
	}
	if err := Edit(path, []byte("edited")); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "edited", 0o644)
	if err := Write(path, []byte("new")); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "new", 0o600)
	if got := names(t, dir); got != "out" {
		t.Errorf("after Commit: got %q", got)
	}
}

// TestNoUmask checks that a permissive umask does not open the files for others.
func TestNoUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "out")
	f, err := CreateNew(path)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "x")
	wantFile(t, f.Name(), "x", 0o600)
	wantFile(t, path, "", 0o600)
	if err := f.Commit(); err != nil {
		t.Error(err)
	}
	wantFile(t, path, "x", 0o600)
	if _, err := CreateNew(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
}

// TestLinks checks that nothing is written through a link, whether its target exists or not, nor into a folder's place.
func TestLinks(t *testing.T) {
	dir := t.TempDir()
	secret, link, broken := filepath.Join(dir, "secret"), filepath.Join(dir, "link"), filepath.Join(dir, "broken")
	if err := errors.Join(os.WriteFile(secret, []byte("secret"), 0o600), os.Symlink(secret, link),
		os.Symlink(filepath.Join(dir, "new"), broken)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, broken, dir} {
		if err := Write(path, []byte("x")); err == nil {
			t.Errorf("Write(%q) did not fail", path)
		}
		if err := Edit(path, []byte("x")); err == nil {
			t.Errorf("Edit(%q) did not fail", path)
		}
		if _, err := CreateNew(path); err == nil {
			t.Errorf("CreateNew(%q) did not fail", path)
		}
	}
	// The link appears after Create has looked: it is replaced and not followed.
	late := filepath.Join(dir, "late")
	f, err := Create(late)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(f, "mine")
	if err := errors.Join(os.Symlink(secret, late), f.Commit()); err != nil {
		t.Fatal(err)
	}
	wantFile(t, late, "mine", 0o600)
	wantFile(t, secret, "secret", 0o600)
	if got := names(t, dir); got != "broken late link secret" {
		t.Errorf("got %q", got)
	}
}

// TestDevice checks that devices and pipes are written and not replaced.
func TestDevice(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := os.Symlink("/proc/self/fd/"+itoa(w.Fd()), path); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, []byte("text")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if b, err := io.ReadAll(r); string(b) != "text" {
		t.Errorf("got %q, %v", b, err)
	}
	if err := Write("/dev/null", []byte("text")); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat("/dev/null"); err != nil || info.Mode()&fs.ModeDevice == 0 {
		t.Fatalf("/dev/null is %v, %v", info, err)
	}
}

func itoa(n uintptr) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + string(rune('0'+n%10))
}

// TestOnlyWay checks that no other code of the commands creates files.
func TestOnlyWay(t *testing.T) {
	// The request for the state directory is written into the state directory itself, which belongs to the owner alone. The
	// check of a configuration and the doctor make a temporary file there, with a random name, and remove it. The progress of a backtest and
	// a repository of backups are folders of their own kind, in which files appear by a rename or are appended to.
	allowed := map[string]bool{"output/output.go": true, "pipeline/handover.go": true, "pipeline/check.go": true, "doctor/machine.go": true,
		"backtest/folder.go": true, "backup/repository.go": true}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel("..", path)
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || allowed[filepath.ToSlash(rel)] {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "os" {
					switch s.Sel.Name {
					case "Create", "CreateTemp", "WriteFile", "OpenFile":
						t.Errorf("%s calls os.%s: use package output", rel, s.Sel.Name)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
