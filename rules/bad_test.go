package rules_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules"
)

var update = flag.Bool("update", false, "write the actual problems into the files of testdata/bad")

// wantPrefix begins the lines of a file in testdata/bad that hold its expected problems.
const wantPrefix = "#> "

// TestBadFiles checks that loading each file of testdata/bad reports the problems that the file lists at its end.
func TestBadFiles(t *testing.T) {
	files, _ := filepath.Glob("../testdata/bad/*.yaml")
	if len(files) < 30 {
		t.Fatalf("got %d files, want at least 30", len(files))
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		body, want := splitWant(string(text))
		got := problemsOf(t, filepath.Base(file), body)
		if *update {
			if err := os.WriteFile(file, []byte(body+got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
		}
		if want == "" {
			t.Errorf("%s: the file lists no problem", file)
		}
	}
}

func splitWant(text string) (body, want string) {
	if i := strings.Index(text, wantPrefix); i >= 0 {
		return text[:i], text[i:]
	}
	return text, ""
}

// problemsOf loads one rule file and returns its problems with their snippets, each line with the prefix.
func problemsOf(t *testing.T, name, body string) string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(body), 0o644); err != nil {
		t.Fatal(err)
	}
	today := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	set, problems := rules.Load(rules.Options{Lists: "../testdata/rules/lists", Today: today}, file)
	if (set == nil) != rules.Failed(problems) {
		t.Errorf("%s: set %v, problems %v", name, set, problems)
	}
	var b bytes.Buffer
	for _, p := range problems {
		line, ok := strings.CutPrefix(p.String(), filepath.ToSlash(file)+":")
		if !ok {
			t.Errorf("%s: %q does not begin with the file", name, p)
		}
		if p.Warning {
			line += " (warning)"
		}
		fmt.Fprintf(&b, "%s%s\n", wantPrefix, line)
		for l := range strings.Lines(p.Snippet + "\n") {
			fmt.Fprintf(&b, "%s    %s\n", wantPrefix, strings.TrimSuffix(l, "\n"))
		}
	}
	return b.String()
}
