package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
)

// request returns the status code and the body of a response.
func request(h http.Handler, method, path string) string {
	w := httptest.NewRecorder()
	ofOwner(h).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return fmt.Sprintf("%d %s", w.Code, w.Body)
}

func TestStateEndpoints(t *testing.T) {
	s := memory(t)
	rt := Runtime{
		Export: func(_ *store.Store, rule string, yield func(*engine.KeyLine) bool) error {
			switch rule {
			case "none":
				return nil
			case "bad":
				return errors.New("rule \"bad\" is not active")
			}
			yield(&engine.KeyLine{Rule: "r", Key: map[string]string{"a": "<b>"}})
			return errors.New("the disk failed")
		},
		ClearState: func(_ context.Context, rule string, key map[string]string, who, reason string) (*store.AuditEntry, error) {
			if rule == "none" {
				return nil, errors.New("remembers nothing")
			}
			return &store.AuditEntry{Rule: rule, Key: key, Who: who, Reason: reason}, nil
		},
	}
	for _, c := range []struct {
		rt                 Runtime
		method, path, want string
	}{
		{rt, "GET", "/v1/state/keys?rule=none", "200 "},
		{rt, "GET", "/v1/state/keys?rule=bad", `404 {"error":"rule \"bad\" is not active"}`},
		{rt, "GET", "/v1/state/keys", `200 {"rule":"r","kind":"","tenant":"","key":{"a":"<b>"}`},
		{rt, "GET", "/v1/state/keys", `{"error":"the disk failed"}`},
		{Runtime{}, "GET", "/v1/state/keys", "503 {\"error\":\"no aidr runs on this state directory, and State can be read with its rules only: name the configuration"},
		{Runtime{}, "GET", "/v1/state/rules", "200 "},
		{Runtime{}, "GET", "/v1/state/audit", "200 "},
		{Runtime{}, "POST", "/v1/state/clear?reason=x", "503 "},
		{rt, "POST", "/v1/state/clear?rule=r&key=%7B%22a%22:%22b%22%7D&reason=x", fmt.Sprintf(`"who":"uid %d","action":"","rule":"r","key":{"a":"b"},"reason":"x"}`, os.Getuid())},
		{rt, "POST", "/v1/state/clear?rule=r&key=x&reason=x", "400 "},
		{rt, "POST", "/v1/state/clear?rule=r&reason=%20", "400 {\"error\":\"reason: is missing"},
		{rt, "POST", "/v1/state/clear?rule=r&reason=" + strings.Repeat("x", maxReason+1), "400 "},
		{rt, "POST", "/v1/state/clear?rule=none&reason=x", "404 "},
		{rt, "GET", "/v1/state/clear", "404 "},
		{Runtime{}, "POST", "/v1/state/try", "503 "},
		{Runtime{Try: func(context.Context, *store.Store, string, []item.Item) ([]engine.Trial, error) {
			return nil, errors.New("rule \"r\" is not active")
		}}, "POST", "/v1/state/try", `404 {"error":"rule \"r\" is not active"}`},
	} {
		if got := request(Handler(s, c.rt), c.method, c.path); !strings.Contains(got, c.want) {
			t.Errorf("%s %s: got %s, want %s", c.method, c.path, got, c.want)
		}
	}
}

// TestCaller records the user at the other end of the socket.
func TestCaller(t *testing.T) {
	dir := t.TempDir()
	if len(filepath.Join(dir, SocketName)) > MaxSocketPath {
		t.Chdir(dir)
		dir = "."
	}
	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	who := make(chan string, 1)
	server := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who <- callerOf(r.Context()).Name
		reply(w, struct{}{})
	}), ServerOptions{Log: slog.New(slog.DiscardHandler)})
	go server.Serve(l, "control")
	defer server.Close()
	c, err := Dial(dir, Runtime{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Do(t.Context(), http.MethodPost, "/", nil, nil); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("uid %d", os.Getuid())
	if got := <-who; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestStreaming checks that the handler in the process does not run ahead of the reader of its lines, and ends with it.
func TestStreaming(t *testing.T) {
	made, ended := 0, make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		for enc := lines(w); enc.Encode(made) == nil; made++ {
		}
	})
	c := &Client{http: &http.Client{Transport: inProcess{h}}}
	read := 0
	if err := c.Lines(t.Context(), "/", nil, func(line []byte) bool {
		read++
		return json.Valid(line) && read < 10
	}); err != nil {
		t.Fatal(err)
	}
	<-ended
	if read != 10 || made > 10_000 {
		t.Errorf("%d lines were read, %d were made", read, made)
	}
}
