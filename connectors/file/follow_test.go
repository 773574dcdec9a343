package file

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// patience is how long a test waits for an expected event.
const patience = 30 * time.Second

// follow runs a source that follows its files, until stop is called or the test ends.
func follow(t *testing.T, r connectors.Reader, c Config) (s *Source, stop func()) {
	t.Helper()
	c.Follow, c.Poll = true, 20*time.Millisecond
	s = newSource(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, r) }()
	stopped := false
	stop = func() {
		t.Helper()
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Run did not end within %v", patience)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// grown returns the partition of a followed file that begins with this line.
func grown(path, line string) connectors.Partition {
	return connectors.Partition{Source: "files", Topic: path, Number: checksum([]byte(line + "\n"))}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	r := conntest.NewRecorder()
	s, stop := follow(t, r, Config{Paths: []string{path}})
	for deadline := time.Now().Add(patience); !s.Health().Degraded; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("health is good without the file")
		}
	}
	write(t, path, `{"a":`)
	first := grown(path, `{"a":1}`)
	appendTo(t, path, "1}\n{\"b\"")
	r.Wait(t, patience, "the first line is read", func() bool { return r.Count() == 1 && r.AtEnd(first) })
	appendTo(t, path, ":2}\n")
	r.Wait(t, patience, "the second line is read", func() bool { return r.Count() == 2 && r.AtEnd(first) })
	if h := s.Health(); h.Degraded {
		t.Errorf("health is degraded: %s", h.Reason)
	}
	stop()
	if got, want := r.Texts(first), []string{`{"a":1}`, `{"b":2}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Check(t)
}

// A file that is rotated away is read to its end, including the text that its writer still appends before it notices. The
// new file is another partition. The old file is not read again under its new name.
func TestFollowRotation(t *testing.T) {
	dir := t.TempDir()
	path, moved := filepath.Join(dir, "a.log"), filepath.Join(dir, "a.log.1")
	r := conntest.NewRecorder()
	_, stop := follow(t, r, Config{Paths: []string{dir}})
	write(t, path, "{\"a\":1}\n")
	first, second := grown(path, `{"a":1}`), grown(path, `{"a":4}`)
	r.Wait(t, patience, "the first file is read", func() bool { return r.Count() == 1 })
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	appendTo(t, moved, "{\"a\":2}\n{\"a\":3")
	write(t, path, "{\"a\":4}\n")
	r.Wait(t, patience, "both files are read", func() bool { return r.Count() == 4 })
	appendTo(t, path, "{\"a\":5}\n")
	r.Wait(t, patience, "the new file is followed", func() bool { return r.Count() == 5 && r.AtEnd(second) })
	stop()
	if got, want := r.Texts(first), []string{`{"a":1}`, `{"a":2}`, `{"a":3`}; !slices.Equal(got, want) {
		t.Errorf("first: got %q, want %q", got, want)
	}
	if got, want := r.Texts(second), []string{`{"a":4}`, `{"a":5}`}; !slices.Equal(got, want) {
		t.Errorf("second: got %q, want %q", got, want)
	}
	r.Check(t)
}

func TestFollowTruncation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	write(t, path, "{\"a\":1}\n{\"a\":2}\n")
	r := conntest.NewRecorder()
	_, stop := follow(t, r, Config{Paths: []string{path}})
	r.Wait(t, patience, "the file is read", func() bool { return r.Count() == 2 })
	write(t, path, "{\"a\":3}\n") // shorter
	r.Wait(t, patience, "the truncated file is read", func() bool { return r.Count() == 3 })
	write(t, path, "{\"a\":4}\n{\"a\":5}\n") // longer, with another first line
	r.Wait(t, patience, "the new text is read", func() bool { return r.Count() == 5 })
	write(t, path, "{\"a\":4}\n") // the same first line: the number of the partition is incremented
	r.Wait(t, patience, "the old line is read again", func() bool { return r.Count() == 6 })
	stop()
	again := grown(path, `{"a":4}`)
	again.Number++
	for p, want := range map[connectors.Partition][]string{
		grown(path, `{"a":1}`): {`{"a":1}`, `{"a":2}`}, grown(path, `{"a":3}`): {`{"a":3}`},
		grown(path, `{"a":4}`): {`{"a":4}`, `{"a":5}`}, again: {`{"a":4}`},
	} {
		if got := r.Texts(p); !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", p, got, want)
		}
	}
	r.Check(t)
}

// After a restart, reading resumes at the checkpointed position of a file that has grown, and at the start of a file that
// was replaced.
func TestFollowRestart(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.log"), filepath.Join(dir, "b.log")
	write(t, a, "{\"a\":1}\n{\"a\":2}\n")
	write(t, b, "{\"b\":1}\n{\"b\":2}\n")
	first := conntest.NewRecorder()
	_, stop := follow(t, first, Config{Paths: []string{a, b}})
	first.Wait(t, patience, "both are read", func() bool { return first.Count() == 4 })
	stop()
	second := conntest.NewRecorder()
	second.From = map[connectors.Partition]int64{}
	for _, p := range []connectors.Partition{grown(a, `{"a":1}`), grown(b, `{"b":1}`)} {
		second.From[p], _ = first.Next(p)
	}
	appendTo(t, a, "{\"a\":3}\n")
	write(t, b, "{\"b\":7}\n{\"b\":8}\n{\"b\":9}\n")
	_, stop = follow(t, second, Config{Paths: []string{a, b}})
	second.Wait(t, patience, "the new lines are read", func() bool { return second.Count() == 4 })
	stop()
	if got, want := second.Texts(grown(a, `{"a":1}`)), []string{`{"a":3}`}; !slices.Equal(got, want) {
		t.Errorf("a: got %q, want %q", got, want)
	}
	if got, want := second.Texts(grown(b, `{"b":7}`)), []string{`{"b":7}`, `{"b":8}`, `{"b":9}`}; !slices.Equal(got, want) {
		t.Errorf("b: got %q, want %q", got, want)
	}
	second.Check(t)
}

// New files are found, compressed files are read once, and many files grow at the same time.
func TestFollowDirectory(t *testing.T) {
	dir := t.TempDir()
	r := conntest.NewRecorder()
	_, stop := follow(t, r, Config{Paths: []string{dir}, Include: []string{"*.log", "*.gz"}})
	write(t, filepath.Join(dir, "ignored.txt"), "{}\n")
	write(t, filepath.Join(dir, "sub/z.gz"), gzipped(t, "{\"z\":1}\n"))
	const files = 20
	for n := range 3 {
		for i := range files {
			path := filepath.Join(dir, fmt.Sprintf("%d.log", i))
			line := fmt.Sprintf("{\"file\":%d,\"n\":%d}\n", i, n)
			if n == 0 {
				write(t, path, line)
			} else {
				appendTo(t, path, line)
			}
		}
	}
	r.Wait(t, patience, "everything is read", func() bool { return r.Count() == 3*files+1 })
	stop()
	for i := range files {
		path := filepath.Join(dir, fmt.Sprintf("%d.log", i))
		var want []string
		for n := range 3 {
			want = append(want, fmt.Sprintf("{\"file\":%d,\"n\":%d}", i, n))
		}
		if got := r.Texts(grown(path, want[0])); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
	if got, want := r.Texts(fileAt(filepath.Join(dir, "sub/z.gz"))), []string{`{"z":1}`}; !slices.Equal(got, want) {
		t.Errorf("z.gz: got %q, want %q", got, want)
	}
	r.Check(t)
}
