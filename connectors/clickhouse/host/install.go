package host

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The library of the engine. Its version is pinned, because other versions cannot listen.
const (
	Version = "26.7.3-stable.1" // of the npm package; the version of the engine in it is 26.7.2.1

	packageName   = "@chdb/lib-linux-x64-gnu"
	packedFile    = "chdb-lib-linux-x64-gnu-" + Version + ".tgz"
	libraryInside = "package/libchdb.so"
	libraryFile   = "libchdb.so"
	librarySum    = "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5" // SHA-256

	// LibrarySize is the size of the library on disk and DownloadSize that of the download, in bytes. PeakSize is the space
	// that the directory needs while the library is being unpacked.
	LibrarySize  int64 = 566_330_096
	DownloadSize int64 = 177_817_999
	PeakSize     int64 = DownloadSize + LibrarySize

	// progressEvery is the interval at which the progress of a download is reported.
	progressEvery = 200 * time.Millisecond
)

// Progress is the state of an installation.
type Progress struct {
	Stage       string // "download" or "unpack"
	Done, Total int64  // bytes
}

// Dir returns the default directory of the library: one for this version in the user's cache.
func Dir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache directory: %w: set XDG_CACHE_HOME or HOME", err)
	}
	return filepath.Join(cache, "aidr", "clickhouse-"+Version), nil
}

// ErrNotInstalled is returned if the library is missing.
var ErrNotInstalled = errors.New("the clickhouse engine is not installed: " +
	"run `aidr clickhouse install` (fetches 178 MB, needs npm and 567 MB of disk)")

// Installed returns the path of the library in Dir, or ErrNotInstalled. It checks only the size, so that a truncated file
// is not loaded; Install has verified the checksum.
func Installed() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, libraryFile)
	if info, err := os.Stat(path); err != nil || info.Size() != LibrarySize {
		return "", ErrNotInstalled
	}
	return path, nil
}

// Install fetches the library with npm into dir, or into Dir if dir is "", verifies its checksum and returns its path. A
// library that is already there is verified and kept, and a finished download is not repeated. Processes that install at
// the same time wait for one another. progress may be nil.
func Install(ctx context.Context, dir string, progress func(Progress)) (path string, err error) {
	if err := supported(); err != nil {
		return "", err
	}
	if dir == "" {
		if dir, err = Dir(); err != nil {
			return "", err
		}
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("install clickhouse engine: %w", err)
	}
	lockFile, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("install clickhouse engine: %w", err)
	}
	defer lockFile.Close()
	if err := lock(lockFile); err != nil {
		return "", fmt.Errorf("install clickhouse engine: lock %q: %w", lockFile.Name(), err)
	}
	path = filepath.Join(dir, libraryFile)
	if sum, err := fileSum(path); err == nil && sum == librarySum {
		return path, nil
	}
	if err := fetch(ctx, dir, progress); err != nil {
		return "", fmt.Errorf("install clickhouse engine: %w", err)
	}
	if err := unpack(ctx, filepath.Join(dir, packedFile), path, progress); err != nil {
		return "", fmt.Errorf("install clickhouse engine: %w", err)
	}
	return path, nil
}

// fileSum returns the SHA-256 of a file in hex.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// fetch downloads the packed file to dir. It uses npm and not the registry's API, so that the user's configuration of npm
// applies: mirror, proxy, certificates, credentials. npm gets a cache of its own, whose growth shows the progress, and so
// 178 MB do not remain in the user's cache.
func fetch(ctx context.Context, dir string, progress func(Progress)) error {
	packed := filepath.Join(dir, packedFile)
	if info, err := os.Stat(packed); err == nil && info.Size() == DownloadSize {
		progress(Progress{"download", DownloadSize, DownloadSize})
		return nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return fmt.Errorf("find npm: %w: install Node.js (its npm fetches the library), or use a ClickHouse server", err)
	}
	work, err := os.MkdirTemp(dir, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	cache := filepath.Join(work, "cache")
	cmd := exec.CommandContext(ctx, npm, "pack", "--silent", "--ignore-scripts",
		"--cache", cache, "--pack-destination", work, packageName+"@"+Version)
	cmd.Dir = work
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := runWatched(cmd, cache, progress); err != nil {
		return fmt.Errorf("fetch %s@%s with npm: %w: %s", packageName, Version, errors.Join(ctx.Err(), err), strings.TrimSpace(stderr.String()))
	}
	if err := os.Rename(filepath.Join(work, packedFile), packed); err != nil {
		return fmt.Errorf("fetch %s@%s with npm: %w", packageName, Version, err)
	}
	progress(Progress{"download", DownloadSize, DownloadSize})
	return nil
}

// runWatched runs cmd and reports the size of dir as progress while cmd runs.
func runWatched(cmd *exec.Cmd, dir string, progress func(Progress)) error {
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			progress(Progress{"download", min(treeSize(dir), DownloadSize), DownloadSize})
		}
	}
}

// treeSize returns the size of the files below dir. Files that disappear during the walk do not count.
func treeSize(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// unpack writes the library to path and removes the packed file. The library gets its name only after its checksum was
// verified.
func unpack(ctx context.Context, packed, path string, progress func(Progress)) error {
	in, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer in.Close()
	body, err := libraryIn(in)
	if err != nil {
		os.Remove(packed) // it is damaged: the next run fetches it again
		return fmt.Errorf("unpack %q: %w", packed, err)
	}
	out, err := os.CreateTemp(filepath.Dir(path), libraryFile+"-")
	if err != nil {
		return err
	}
	defer os.Remove(out.Name()) // fails after the rename, as intended
	defer out.Close()
	sum := sha256.New()
	w := &counter{ctx: ctx, w: io.MultiWriter(out, sum), progress: progress}
	n, err := io.Copy(w, io.LimitReader(body, LibrarySize+1))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if got := hex.EncodeToString(sum.Sum(nil)); err != nil || n != LibrarySize || got != librarySum {
		os.Remove(packed)
		return fmt.Errorf("unpack %q: got %d bytes with SHA-256 %s, want %d with %s: %w",
			packed, n, got, LibrarySize, librarySum, errors.Join(errBadLibrary, err))
	}
	if err := errors.Join(out.Chmod(0o500), out.Sync(), out.Close(), os.Rename(out.Name(), path)); err != nil {
		return err
	}
	return os.Remove(packed)
}

var errBadLibrary = errors.New("not the requested library: try again, or check npm's registry setting")

// libraryIn returns a reader of the library in the packed file r.
func libraryIn(r io.Reader) (io.Reader, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("find %q: %w", libraryInside, err)
		}
		if h.Name == libraryInside && h.Typeflag == tar.TypeReg {
			return t, nil
		}
	}
}

// counter is a writer that reports progress every 8 MiB, and fails once ctx has ended.
type counter struct {
	ctx      context.Context
	w        io.Writer
	progress func(Progress)
	n        int64 // bytes written
	reported int64 // n when progress was last reported
}

func (c *counter) Write(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.w.Write(p)
	c.n += int64(n)
	if c.n-c.reported >= 8<<20 || c.n == LibrarySize {
		c.reported = c.n
		c.progress(Progress{"unpack", c.n, LibrarySize})
	}
	return n, err
}
