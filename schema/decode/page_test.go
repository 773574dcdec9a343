package decode

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each built-in format has a page beside its reader that states how to switch the logs on, which agents they identify
// and which facts they lack. The title names the formats that the page describes. Shipped maps have this text in their
// own files.
func TestPages(t *testing.T) {
	files, err := filepath.Glob("../formats/*.md")
	if err != nil {
		t.Fatal(err)
	}
	nested, err := filepath.Glob("../formats/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	about := map[string]string{}
	for _, file := range append(files, nested...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		title, _, _ := strings.Cut(string(text), "\n")
		names, _, _ := strings.Cut(strings.TrimPrefix(title, "# "), " (")
		for _, name := range strings.Split(names, ", ") {
			about[name] = file
		}
		for _, part := range []string{"## Switch on", "## Identity", "## Limits"} {
			if !strings.Contains(string(text), "\n"+part+"\n") {
				t.Errorf("%s has no part %q", file, part)
			}
		}
	}
	for _, f := range Formats() {
		if about[f.Name] == "" {
			t.Errorf("format %s has no page: write %s.md beside its reader", f.Name, f.Name)
		}
		delete(about, f.Name)
	}
	for name, file := range about {
		t.Errorf("%s is about %q, which is not a format", file, name)
	}
}
