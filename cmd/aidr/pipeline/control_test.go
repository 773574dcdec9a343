package pipeline

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// TestControlListener checks that a running process serves the control API on control.listen to callers with a token, counts
// those that are refused, and answers 503 while it has no state directory open.
func TestControlListener(t *testing.T) {
	e := newEndpoint(t)
	dir := folder(t, map[string]string{"leak.yaml": leak, "log": event(1, "leak", "a") + "\n"})
	cfg := fileConfig(t, filepath.Join(dir, "leak.yaml"), e, true, filepath.Join(dir, "log"))
	cfg.Control = config.Control{Listen: "127.0.0.1:0"}
	x := start(t, cfg)
	e.await(t, "test.leak a 1")
	secret, _, err := x.tokens().Create(access.TokenSpec{Name: "soar", Scopes: []access.Scope{access.Read}}, access.Owner(1))
	if err != nil {
		t.Fatal(err)
	}
	f := func(method, path, token string) (int, string) {
		t.Helper()
		r, _ := http.NewRequestWithContext(t.Context(), method, "http://"+x.ControlAddress().String()+path, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(b)
	}
	if code, body := f("GET", "/v1/findings", secret); code != 200 || !strings.Contains(body, "test.leak") {
		t.Errorf("findings: %d %s", code, body)
	}
	if code, body := f("POST", "/v1/automation", secret); code != 403 {
		t.Errorf("automation without its scope: %d %s", code, body)
	}
	if code, body := f("GET", "/v1/status", "aidr_x"); code != 401 {
		t.Errorf("another token: %d %s", code, body)
	}
	if n := x.Total("aidr_control_refused_total"); n != 2 {
		t.Errorf("%v refused requests are counted, want 2", n)
	}
	x.stop()
	w := httptest.NewRecorder()
	x.serveControl(w, httptest.NewRequest("GET", "/v1/findings", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no state directory") || x.tokens() != nil {
		t.Errorf("stopped: %d %s", w.Code, w.Body)
	}
}
