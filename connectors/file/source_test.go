package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

func newSource(t testing.TB, c Config) *Source {
	t.Helper()
	c.Name = "files"
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestContract tests the source against its contract, for each form in which a file can hold records.
func TestContract(t *testing.T) {
	forms := []struct{ name, before, between, after string }{
		{"lines", "", "\n", "\n"},
		{"array", "[\n  ", ",\n  ", "\n]\n"},
		{"records", `{"Records":[`, ",", "]}"},
	}
	for _, form := range forms {
		t.Run(form.name, func(t *testing.T) {
			conntest.TestSource(t, func(t *testing.T) conntest.SourceTarget {
				dir := t.TempDir()
				var ps []connectors.Partition
				for i, name := range []string{"a.json", "sub/b.json"} {
					path := filepath.Join(dir, name)
					write(t, path, form.before+strings.Join(conntest.Texts(i), form.between)+form.after)
					ps = append(ps, connectors.Partition{Source: "files", Topic: path})
				}
				return conntest.SourceTarget{
					New:        func(t *testing.T) connectors.Source { return newSource(t, Config{Paths: []string{dir}}) },
					Partitions: ps,
				}
			})
		})
	}
	t.Run("followed", func(t *testing.T) {
		conntest.TestSource(t, func(t *testing.T) conntest.SourceTarget {
			path := filepath.Join(t.TempDir(), "a.log")
			text := strings.Join(conntest.Texts(0), "\n") + "\n"
			write(t, path, text)
			return conntest.SourceTarget{
				New: func(t *testing.T) connectors.Source {
					return newSource(t, Config{Paths: []string{path}, Follow: true, Poll: 20 * time.Millisecond})
				},
				Partitions: []connectors.Partition{grown(path, text[:strings.Index(text, "\n")])},
				Append:     func(t *testing.T, p connectors.Partition, text string) { appendTo(t, path, text+"\n") },
			}
		})
	})
}
