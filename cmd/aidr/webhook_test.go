package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWebhookTest sends a test to an endpoint and verifies the printed exchange with `aidr webhook verify`.
func TestWebhookTest(t *testing.T) {
	r := startReceiver(t)
	file := filepath.Join(t.TempDir(), "aidr.yaml")
	write(t, file, fmt.Sprintf(smallest, "127.0.0.1:9092", r.url, `, allow_networks: ["127.0.0.0/8"], headers: {Authorization: "Bearer top-secret"}`))
	env := []string{"CLICKHOUSE_PASSWORD=secret", "AIDR_WEBHOOK_SECRET=" + r.secret}
	o := aidrWith(t, env, nil, "webhook", "test", "soc", "--config", file)
	if o.code != exitOK || !strings.Contains(o.stdout, "delivered in ") || strings.Contains(o.stdout, "top-secret") {
		t.Fatalf("got %+v", o)
	}
	header := func(name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `: (.*)$`).FindStringSubmatch(o.stdout)
		if m == nil {
			t.Fatalf("no header %s:\n%s", name, o.stdout)
		}
		return m[1]
	}
	_, rest, _ := strings.Cut(o.stdout, "\n\n")
	body, _, _ := strings.Cut(rest, "\n")
	verify := func(body string, more ...string) outcome {
		return aidrWith(t, env, strings.NewReader(body), append([]string{
			"webhook", "verify", "--id", header("Webhook-Id"), "--timestamp", header("Webhook-Timestamp"), "--signature", header("Webhook-Signature"),
		}, more...)...)
	}
	if v := verify(body); v.code != exitOK || v.stdout != "ok\n" {
		t.Errorf("verify: got %+v", v)
	}
	if v := verify(body + " "); v.code == exitOK || !strings.Contains(v.stderr, "no signature matches") {
		t.Errorf("verify of a changed body: got %+v", v)
	}
	if v := verify(body, "--timestamp", "1767225600"); v.code == exitOK || !strings.Contains(v.stderr, "too far") {
		t.Errorf("verify of an old message: got %+v", v)
	}
	r.answers.Store(http.StatusTeapot)
	o = aidrWith(t, env, nil, "webhook", "test", "soc", "--config", file, "--type", "finding.withdrawn")
	if o.code != exitFailed || !strings.Contains(o.stdout, "not delivered after ") || !strings.Contains(o.stdout, "http_418") {
		t.Errorf("test of an endpoint that refuses: got %+v", o)
	}
	if o := aidrWith(t, env, nil, "webhook", "test", "nobody", "--config", file); o.code == exitOK || !strings.Contains(o.stderr, `no endpoint "nobody"`) {
		t.Errorf("test of an unknown endpoint: got %+v", o)
	}
	if o := aidr(t, "webhook", "schema", "ocsf"); o.code != exitOK || !strings.Contains(o.stdout, `"const": 2004`) {
		t.Errorf("schema: got %+v", o)
	}
	if o := aidr(t, "webhook", "schema", "template"); o.code == exitOK || !strings.Contains(o.stderr, "the formats are") {
		t.Errorf("schema of a template: got %+v", o)
	}
}
