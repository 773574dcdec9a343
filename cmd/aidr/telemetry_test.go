package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTelemetry runs aidr with a collector, which gets the metrics of /metrics and traces of batches, checkpoints and deliveries.
func TestTelemetry(t *testing.T) {
	var mu sync.Mutex
	got := map[string]*bytes.Buffer{"/v1/metrics": {}, "/v1/traces": {}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		if b := got[r.URL.Path]; b != nil && err == nil {
			b.Write(body)
		}
	}))
	defer s.Close()
	hook := startReceiver(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "aidr.yaml")
	write(t, filepath.Join(dir, "r.yaml"), "id: a.b\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\nrespond: [{notify: [soc]}]\n")
	write(t, filepath.Join(dir, "calls.jsonl"),
		strings.Repeat(`{"time":"2026-12-01T12:00:00Z","event.class":"tool","event.dataset":"x.y","ai_agent.uid":"a"}`+"\n", 100))
	write(t, file, fmt.Sprintf(`sources: [{name: calls, format: aidr, file: {paths: [%q], follow: true}}]
rules: [%q]
state: {dir: %q}
sinks: {webhooks: [{name: soc, url: %q, secret: %q, allow_networks: ["127.0.0.0/8"]}]}
telemetry: {endpoint: %q, every: 1s, traces: 1}
`, filepath.Join(dir, "calls.jsonl"), filepath.Join(dir, "r.yaml"), filepath.Join(dir, "state"), hook.url, hook.secret, s.URL))
	p := start(t, "run", "--config", file)
	await(t, time.Minute, "telemetry arrives", func() error {
		mu.Lock()
		defer mu.Unlock()
		for path, words := range map[string][]string{
			"/v1/metrics": {"aidr_events_total", "aidr_checkpoint_seconds", "aidr_deliveries_total", "service.name"}, "/v1/traces": {"batch", "checkpoint", "delivery", "soc", "calls"},
		} {
			for _, word := range words {
				if !bytes.Contains(got[path].Bytes(), []byte(word)) {
					return fmt.Errorf("%s has no %s", path, word)
				}
			}
		}
		return nil
	})
	s.Close() // the collector goes away; aidr ends as always
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
