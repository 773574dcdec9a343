package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeNPM puts an npm that runs script at the front of PATH. $dest is the path of the packed file for the script.
func fakeNPM(t *testing.T, script string) {
	t.Helper()
	if err := supported(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	text := "#!/bin/sh\nwhile [ \"$1\" != --pack-destination ]; do shift; done\ndest=$2/" + packedFile + "\n" + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

// packed returns the path of a packed file that contains one file.
func packed(t *testing.T, name, content string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	_, err := 0, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg})
	if err == nil {
		_, err = w.Write([]byte(content))
	}
	path := filepath.Join(t.TempDir(), "packed.tgz")
	if err := errors.Join(err, w.Close(), z.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each failure returns an error with its cause, and leaves no file that a later run could take for a good one.
func TestInstallFails(t *testing.T) {
	f := func(name, script string, want ...string) {
		t.Helper()
		fakeNPM(t, script)
		dir := t.TempDir()
		_, err := Install(t.Context(), dir, nil)
		if err == nil {
			t.Fatalf("%s: installed", name)
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %q, want %q in it", name, err, w)
			}
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) != 1 || left[0].Name() != "lock" {
			t.Errorf("%s: %v is left, want only the lock", name, left)
		}
	}
	f("npm fails", "echo 404 Not Found >&2; exit 1", "fetch "+packageName+"@"+Version, "404 Not Found")
	f("npm leaves nothing", "exit 0", "no such file")
	f("not an archive", `echo garbage > "$dest"`, "unpack", "EOF")
	f("no library in the archive", `cp `+packed(t, "package/other.so", "x")+` "$dest"`, `find "package/libchdb.so"`)
	f("another library", `cp `+packed(t, libraryInside, "not the library")+` "$dest"`, "got 15 bytes", "registry")
	f("half an archive", `head -c 40 `+packed(t, libraryInside, strings.Repeat("x", 1000))+` > "$dest"`, "unpack")
}

func TestInstallWithoutNPM(t *testing.T) {
	if err := supported(); err != nil {
		t.Skip(err)
	}
	t.Setenv("PATH", t.TempDir())
	_, err := Install(t.Context(), t.TempDir(), nil)
	if err == nil || !strings.Contains(err.Error(), "find npm") || !strings.Contains(err.Error(), "install Node.js") {
		t.Errorf("got %v, want an error with the remedy", err)
	}
}

// npm and the processes that it has started end with the context.
func TestInstallCanceled(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "started")
	fakeNPM(t, "touch "+marker+"; sleep 300 & wait")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	start := time.Now()
	_, err := Install(ctx, t.TempDir(), func(p Progress) {
		if _, err := os.Stat(marker); err == nil {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

// A library with the wrong content is fetched again.
func TestInstalledIsVerified(t *testing.T) {
	fakeNPM(t, "echo npm ran >&2; exit 1")
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, libraryFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Truncate(1<<20), file.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(t.Context(), dir, nil); err == nil || !strings.Contains(err.Error(), "npm ran") {
		t.Errorf("got %v, want npm to run", err)
	}
}

func TestNotInstalled(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	if _, err := Installed(); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("got %v, want %v", err, ErrNotInstalled)
	}
}
