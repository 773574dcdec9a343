package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeFiles writes files into a new folder and returns its path.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestReadingAsASource checks that files are read as the selected source, and the errors of selecting it.
func TestReadingAsASource(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"logs.jsonl": `{"time":"2026-01-01T00:00:01Z","event.dataset":"x.test","event.class":"api",` +
			`"ai_agent.uid":"u","user.email":"ann@example.com"}` + "\n",
		"two.yaml":   "sources: [{name: a, format: aidr}, {name: b, format: kong}]\n",
		"part.yaml":  "sources: [{format: aidr}]\nredact: {user.email: drop}\n",
		"place.yaml": "enrichment: {country: /nowhere/country.mmdb}\n",
		"bad.yaml":   "sources: [{name: a, formt: aidr}]\n",
	})
	f := func(wantCode int, wantOut, wantErr string, args ...string) {
		t.Helper()
		for _, command := range []string{"decode", "replay"} {
			o := aidr(t, append([]string{command}, append(args, filepath.Join(dir, "logs.jsonl"))...)...)
			if o.code != wantCode || !strings.Contains(o.stderr, wantErr) {
				t.Errorf("%s %q: got code %d and %q, want %d and %q", command, args, o.code, o.stderr, wantCode, wantErr)
			}
			if command == "decode" && !strings.Contains(o.stdout, wantOut) {
				t.Errorf("decode %q: got %q, want %q", args, o.stdout, wantOut)
			}
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	f(exitOK, "ann@example.com", "", "--config", file("two.yaml"), "--source", "a")
	f(exitOK, "", "", "--config", file("two.yaml"), "--source", "b") // the file has no Kong records
	f(exitOK, "ann@example.com", "", "--config", file("two.yaml"), "--source", "b", "--format", "aidr")
	f(exitUsage, "", `2 sources: name the one as which the files are read, one of ["a" "b"]`, "--config", file("two.yaml"))
	f(exitUsage, "", `source "c": `, "--config", file("two.yaml"), "--source", "c")
	f(exitUsage, "", "give it with --config", "--source", "a")
	f(exitFailed, "", "bad.yaml:1:", "--config", file("bad.yaml"))
	f(exitFailed, "", "country.mmdb", "--config", file("place.yaml"))
	f(exitUsage, "", "kongg", "--format", "kongg")
	f(exitOK, `"ai_agent.uid":"u"`, "", "--config", file("part.yaml"))
	if o := aidr(t, "decode", "--config", file("part.yaml"), file("logs.jsonl")); strings.Contains(o.stdout, "ann@") {
		t.Errorf("the address is shown though redact drops it: %s", o.stdout)
	}
}
