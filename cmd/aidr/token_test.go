package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/store"
)

// stoppedState returns a state directory with one checkpoint.
func stoppedState(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Commit(&store.Checkpoint{Seq: 1, State: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTokenCommands makes, lists and revokes a token while no aidr runs.
func TestTokenCommands(t *testing.T) {
	state := stoppedState(t)
	secret := strings.TrimSpace(mustAidr(t, "token", "create", "soar", "--scope", "responder,rules", "--for", "90d", "--state", state))
	if !strings.HasPrefix(secret, access.TokenPrefix) || strings.Contains(secret, "\n") {
		t.Fatalf("create prints %q", secret)
	}
	list := jsonLines[access.Token](t, mustAidr(t, "token", "ls", "--json", "--state", state))
	if len(list) != 1 || list[0].Name != "soar" || scopeList(list[0].Scopes) != "read, triage, contain, approve, rules" || list[0].Expires == 0 {
		t.Errorf("ls: %+v", list)
	}
	if out := mustAidr(t, "token", "ls", "--state", state); strings.Contains(out, secret) || !strings.Contains(out, "soar") || !strings.Contains(out, "until 2") {
		t.Errorf("ls: %s", out)
	}
	if out := mustAidr(t, "token", "revoke", "soar", "--reason", "left", "--state", state); !strings.Contains(out, "revoked") {
		t.Errorf("revoke: %s", out)
	}
	for _, bad := range [][]string{
		{"create", "soar"}, {"create", "soar", "--scope", "root"}, {"create", "--scope", "viewer"}, {"revoke", "soar"},
	} {
		if o := aidr(t, append([]string{"token", "--state", state}, bad...)...); o.code != exitUsage {
			t.Errorf("token %v: %d %s", bad, o.code, o.stderr)
		}
	}
	if o := aidr(t, "token", "revoke", "soar", "--reason", "r", "--state", state); o.code != exitFailed || !strings.Contains(o.stderr, "aidr token ls") {
		t.Errorf("revoke twice: %d %s", o.code, o.stderr)
	}
}
