package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// file is one file of an archive, a package or an image.
type file struct {
	name    string // path with slashes
	content []byte
	mode    int64
	owner   int  // user and group id
	dir     bool // a directory has no content
}

const (
	modeProgram = 0o755
	modeText    = 0o644
	modePrivate = 0o700
)

// tarOf returns the files as a tar archive. All have the same time, so that the bytes depend on the files alone.
func tarOf(files []file, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range files {
		h := &tar.Header{
			Name: f.name, Mode: f.mode, Size: int64(len(f.content)), Uid: f.owner, Gid: f.owner, ModTime: at,
			Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if f.dir {
			h.Typeflag, h.Name = tar.TypeDir, strings.TrimSuffix(f.name, "/")+"/"
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// compressed returns b compressed with gzip, without a time or a name.
func compressed(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(b); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// zipOf returns the files as a zip archive.
func zipOf(files []file, at time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, f := range files {
		h := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: at}
		h.SetMode(os.FileMode(f.mode))
		part, err := w.CreateHeader(h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if _, err := part.Write(f.content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// documents are the files of the repository that every archive holds, with their names in the archive.
var documents = map[string]string{
	"README.md": "README.md", "LICENSE": "LICENSE", "CHANGELOG.md": "CHANGELOG.md", "cmd/aidr/config/example.yaml": "aidr.yaml",
}

// contents returns the files of the archive of a target, sorted by name.
func (r *release) contents(t target) ([]file, error) {
	var files []file
	add := func(path, name string, mode int64) error {
		content, err := os.ReadFile(path)
		if err == nil {
			files = append(files, file{name: name, content: content, mode: mode})
		}
		return err
	}
	for path, name := range documents {
		if err := add(filepath.Join(r.repo, path), name, modeText); err != nil {
			return nil, err
		}
	}
	if err := add(filepath.Join(r.out, noticesName), noticesName, modeText); err != nil {
		return nil, err
	}
	programs := []string{"aidr"}
	if t.hasEngine() {
		programs = append(programs, "aidr-clickhouse")
	}
	for _, name := range programs {
		if err := add(r.path(t, name), t.program(name), modeProgram); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// writeArchives writes an archive for each target: a zip for Windows, a compressed tar for the others.
func (r *release) writeArchives(targets []target) error {
	for _, t := range targets {
		files, err := r.contents(t)
		if err != nil {
			return err
		}
		root := r.name(t.os, t.arch)
		for i := range files {
			files[i].name = root + "/" + files[i].name
		}
		var content []byte
		name := root + ".tar.gz"
		if t.os == "windows" {
			name = root + ".zip"
			content, err = zipOf(files, r.time)
		} else if content, err = tarOf(files, r.time); err == nil {
			content, err = compressed(content)
		}
		if err != nil {
			return err
		}
		if err := r.write(name, content); err != nil {
			return err
		}
	}
	return nil
}

// checksumsName is the name of the file with the checksums, in the form of sha256sum.
const checksumsName = "SHA256SUMS"

// writeChecksums writes the SHA-256 of every file so far. `sha256sum --check SHA256SUMS` verifies them.
func (r *release) writeChecksums() error {
	var b bytes.Buffer
	for _, name := range slices.Sorted(slices.Values(r.files)) {
		sum, err := r.checksum(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return r.write(checksumsName, b.Bytes())
}

// checksum returns the SHA-256 of a file of the release in hexadecimal.
func (r *release) checksum(name string) (string, error) {
	content, err := os.ReadFile(filepath.Join(r.out, name))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(content)), nil
}
