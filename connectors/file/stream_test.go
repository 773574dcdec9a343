package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

func gzipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zstandard(t testing.TB, text string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll([]byte(text), nil))
}

func fileAt(path string) connectors.Partition {
	return connectors.Partition{Source: "files", Topic: path}
}

// read runs a bounded source to its end.
func read(t testing.TB, c Config) (*conntest.Recorder, error) {
	t.Helper()
	r := conntest.NewRecorder()
	err := newSource(t, c).Run(t.Context(), r)
	r.Check(t)
	return r, err
}

func TestCompressed(t *testing.T) {
	const text = "{\"a\":1}\n{\"b\":2}\n"
	f := func(name, content string, want ...string) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		write(t, path, content)
		r, err := read(t, Config{Paths: []string{path}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := r.Texts(fileAt(path)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		_, highWater := r.Next(fileAt(path))
		if plain := content == text; plain != (highWater >= 0) {
			t.Errorf("%s: the reported end is %d", name, highWater)
		}
	}
	f("plain.jsonl", text, `{"a":1}`, `{"b":2}`)
	f("a.gz", gzipped(t, text), `{"a":1}`, `{"b":2}`)
	f("a.zst", zstandard(t, text), `{"a":1}`, `{"b":2}`)
	f("misnamed.gz", text, `{"a":1}`, `{"b":2}`)
	f("nameless", gzipped(t, text), `{"a":1}`, `{"b":2}`)
	f("members.gz", gzipped(t, text)+gzipped(t, `{"c":3}`), `{"a":1}`, `{"b":2}`, `{"c":3}`)
	f("frames.zst", zstandard(t, text)+zstandard(t, `{"c":3}`), `{"a":1}`, `{"b":2}`, `{"c":3}`)
	f("empty.gz", gzipped(t, ""))
	wide := func(mark binary.AppendByteOrder, text string) string {
		var b []byte
		for _, unit := range utf16.Encode([]rune("\ufeff" + text)) {
			b = mark.AppendUint16(b, unit)
		}
		return string(b)
	}
	f("windows.json", wide(binary.LittleEndian, text), `{"a":1}`, `{"b":2}`)
	f("big.json", wide(binary.BigEndian, "{\"a\":\"\u00e9\U0001f600\"}\r\n{\"b\":2}"), "{\"a\":\"\u00e9\U0001f600\"}", `{"b":2}`)
	f("windows.json.gz", gzipped(t, wide(binary.LittleEndian, text)), `{"a":1}`, `{"b":2}`)
	f("half.json", wide(binary.LittleEndian, text)+"{", `{"a":1}`, `{"b":2}`, "\ufffd")
	f("mark.json", wide(binary.LittleEndian, ""))
}

// If a file cannot be read to its end, the records before the failure and all other files are read, and the error names
// the file.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	whole := gzipped(t, strings.Join(conntest.Texts(0), "\n"))
	write(t, filepath.Join(dir, "a.gz"), whole[:len(whole)/2])
	write(t, filepath.Join(dir, "b.gz"), gzipMagic+"rubbish")
	write(t, filepath.Join(dir, "c.zst"), zstdMagic+"rubbish")
	write(t, filepath.Join(dir, "d.json"), "{}")
	r := conntest.NewRecorder()
	s := newSource(t, Config{Paths: []string{dir}})
	err := s.Run(t.Context(), r)
	r.Check(t)
	for _, name := range []string{"a.gz", "b.gz", "c.zst"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v does not name %s", err, name)
		}
	}
	got, all := r.Texts(fileAt(filepath.Join(dir, "a.gz"))), conntest.Texts(0)
	if len(got) == 0 || !slices.Equal(got[:len(got)-1], all[:len(got)-1]) {
		t.Errorf("a.gz: %d records of the readable part", len(got))
	}
	if got, want := r.Texts(fileAt(filepath.Join(dir, "d.json"))), []string{"{}"}; !slices.Equal(got, want) {
		t.Errorf("d.json: got %q, want %q", got, want)
	}
	if h := s.Health(); !h.Degraded || !strings.Contains(h.Reason, "3 files") || h.Since.IsZero() {
		t.Errorf("health %+v, want degraded by 3 files", h)
	}
	if _, err := read(t, Config{Paths: []string{filepath.Join(dir, "none")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: error %v, want %v", err, os.ErrNotExist)
	}
}

func TestStdin(t *testing.T) {
	for name, content := range map[string]string{"plain": "{}\n[{\"a\":1},{}]", "gzip": gzipped(t, "{}\n[{\"a\":1},{}]")} {
		r, err := read(t, Config{Paths: []string{"-"}, Stdin: iotest.OneByteReader(strings.NewReader(content))})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got, want := r.Texts(fileAt("-")), []string{"{}", `{"a":1}`, "{}"}; !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestDirectories(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.json", "a/z.json", "a/y.log", "c/d/e.json", ".hidden/x.json", "a/.x.json"} {
		write(t, filepath.Join(dir, name), "{}")
	}
	if err := os.Symlink(filepath.Join(dir, "b.json"), filepath.Join(dir, "link.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir, filepath.Join(dir, "circle")); err != nil {
		t.Fatal(err)
	}
	f := func(c Config, want ...string) {
		t.Helper()
		for i := range c.Paths {
			c.Paths[i] = filepath.Join(dir, c.Paths[i])
		}
		for i := range want {
			want[i] = filepath.Join(dir, want[i])
		}
		got, err := List(c.Paths, c.Include)
		if err != nil {
			t.Error(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", c.Paths, got, want)
		}
		r, err := read(t, c)
		if err != nil {
			t.Error(err)
		}
		if r.Count() != len(want) {
			t.Errorf("%v: %d records, want %d", c.Paths, r.Count(), len(want))
		}
	}
	f(Config{Paths: []string{""}}, "a/y.log", "a/z.json", "b.json", "c/d/e.json", "link.json")
	f(Config{Paths: []string{""}, Include: []string{"*.log", "e.*"}}, "a/y.log", "c/d/e.json")
	f(Config{Paths: []string{"c", "b.json", "c/d"}}, "c/d/e.json", "b.json")
	f(Config{Paths: []string{"b.json", "./b.json"}, Include: []string{"*.log"}}, "b.json")
}

func TestValidate(t *testing.T) {
	c := Config{Paths: []string{"", "-"}, Include: []string{"[", "*"}, Poll: -1}
	err := c.Validate()
	for _, want := range []string{"an empty path", `path "-"`, `include "["`, "poll -1ns"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not contain %q", err, want)
		}
	}
	if _, err := New(Config{Name: "x"}); err == nil || !strings.Contains(err.Error(), "no paths") {
		t.Errorf("new without paths: %v", err)
	}
}

// There are more files than may be open at the same time, and some have been read before.
func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	r := conntest.NewRecorder()
	r.From = map[connectors.Partition]int64{}
	var want []string
	for i := range 3 * maxOpen {
		path := filepath.Join(dir, string(rune('a'+i%26))+"/"+strings.Repeat("x", i+1))
		write(t, path, "{\"a\":1}\n{\"b\":2}\n")
		want = append(want, path)
		if i%2 == 0 {
			r.From[fileAt(path)] = 8
		}
	}
	if err := newSource(t, Config{Paths: []string{dir}}).Run(t.Context(), r); err != nil {
		t.Error(err)
	}
	r.Check(t)
	for i, path := range want {
		texts := []string{`{"a":1}`, `{"b":2}`}[1-i%2:]
		if got := r.Texts(fileAt(path)); !slices.Equal(got, texts) {
			t.Errorf("%s: got %q, want %q", path, got, texts)
		}
	}
}

// Every sample is split into records, with one record for each element of a document.
func TestSamples(t *testing.T) {
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = "../../../shared/samples"
	}
	if _, err := os.Stat(dir); err != nil {
		conntest.Missing(t, "samples", "no samples at "+dir)
	}
	r, err := read(t, Config{Paths: []string{dir}, Include: []string{"*.json", "*.jsonl"}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := List([]string{dir}, []string{"*.json", "*.jsonl"})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		records := r.Records(fileAt(path))
		if len(records) == 0 && len(bytes.TrimSpace(text)) > 0 {
			t.Errorf("%s: no records", path)
		}
		if strings.HasSuffix(path, ".jsonl") {
			want := len(bytes.Split(bytes.TrimSpace(text), []byte("\n")))
			if len(records) != want {
				t.Errorf("%s: %d records, want one for each of %d lines", path, len(records), want)
			}
		}
		for _, rec := range records {
			if rec.TooLarge || !strings.HasPrefix(string(text[rec.Offset:]), rec.Text) {
				t.Fatalf("%s: the text at offset %d is not %.60q", path, rec.Offset, rec.Text)
			}
		}
	}
}
