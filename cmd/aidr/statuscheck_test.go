package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A health check asks the process at http.listen, and exits with 1 if it is down or does not answer.
func TestStatusCheck(t *testing.T) {
	health := "ok"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		fmt.Fprintf(w, `{"status":%q}`, health)
	}))
	file := filepath.Join(t.TempDir(), "aidr.yaml")
	text := fmt.Sprintf("sources: [{file: {paths: [logs]}}]\nrules: [library]\nstate: {dir: state}\nhttp: {listen: %q}\n", s.Listener.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	expect := func(code int, want string) {
		t.Helper()
		if o := aidr(t, "status", "--check", "--config", file); o.code != code || !strings.Contains(o.stdout+o.stderr, want) {
			t.Errorf("%s: %d %s%s, want %d and %q", health, o.code, o.stdout, o.stderr, code, want)
		}
	}
	expect(exitOK, "ok")
	health = "degraded"
	expect(exitOK, "degraded")
	health = "down"
	expect(exitFailed, "aidr is down")
	s.Close()
	expect(exitFailed, "does not answer at http.listen")
	if o := aidr(t, "status", "--check", "--state", filepath.Join(t.TempDir(), "none")); o.code != exitFailed {
		t.Errorf("without a state directory: %d %s", o.code, o.stderr)
	}
}
