package decision

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// TestKong runs the Kong plugin under LuaJIT. Kong's plugin API and its HTTP client are stubs that talk to a real server by
// curl.
func TestKong(t *testing.T) {
	var missing []string
	for _, tool := range []string{"luajit", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	if missing != nil {
		if slices.Contains(strings.Split(os.Getenv("AIDR_TEST_REQUIRE"), ","), "luajit") {
			t.Fatalf("AIDR_TEST_REQUIRE names luajit: %v is not installed", missing)
		}
		t.Skipf("needs %v (Debian packages luajit and curl)", missing)
	}
	table := newFakeTable()
	s, _ := newServer(t, table, nil)
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	f := func(consumer, credential, conf, want string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "luajit", filepath.Join("testdata", "kong.lua"), srv.URL, gateToken, consumer, credential, conf)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s, %s, %s: got %q, error %v, want %q", consumer, credential, conf, got, err, want)
		}
	}
	f("a", "", "", "pass allow")
	if q := table.last(); q.Agent != "a" || q.Route != "GET /v1/x" || q.Point != "gate" {
		t.Errorf("asked %+v", q)
	}
	f("a", "deny", "", "exit 403 the agent is contained by AIDR deny "+schema.ID{1}.String())
	f("throttle", "", "", "exit 429 the agent is throttled by AIDR: try again later throttle "+schema.ID{1}.String())
	f("hold", "", "", "exit 403 the call waits for the approval of a person in AIDR hold "+schema.ID{1}.String())
	f("unknown", "", "", "pass")
	f("unknown", "", "deny", "exit 503 AIDR cannot judge the call unknown "+schema.ID{1}.String())
	f("", "", "deny", "pass")
	gateway := srv.URL
	srv.Close()
	out, err := exec.CommandContext(t.Context(), "luajit", filepath.Join("testdata", "kong.lua"), gateway, gateToken, "a", "", "deny").CombinedOutput()
	if got := strings.TrimSpace(string(out)); err != nil || got != "exit 503 AIDR cannot judge the call error" {
		t.Errorf("during an outage: got %q, error %v", got, err)
	}
}
