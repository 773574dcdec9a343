package doctor

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// secretive is a configuration with every key that may hold a secret.
const secretive = `# canary-comment
sources:
  - name: logs
    kafka:
      brokers: ["127.0.0.1:1"]
      topics: [calls]
      sasl: {mechanism: PLAIN, username: kept-user, password: canary-sasl}
      registry: {url: "http://127.0.0.1:1/", username: u, password: canary-registry}
  - name: clouds
    kafka:
      brokers: ["127.0.0.1:1"]
      topics: [clouds]
      sasl: {mechanism: OAUTHBEARER, oauth: {token_url: "https://127.0.0.1:1/t?x=canary-token-url", client_id: kept-id, client_secret: canary-client, extensions: {a: canary-extension}}}
rules: [library]
state: {dir: DIR/state}
sinks:
  clickhouse: {dsn: "clickhouse://u:canary-dsn@127.0.0.1:1/aidr"}
  kafka: {brokers: ["127.0.0.1:1"], topic: t, sasl: {mechanism: PLAIN, username: u, password: canary-sink}}
  webhooks:
    - {name: soc, url: "https://127.0.0.1:1/canary-path", secrets: ["SECRET1", "SECRET2"], headers: {X-Key: canary-header}, allow_networks: ["127.0.0.0/8"]}
    - {name: chat, url: "https://slack.com/api/chat.postMessage", format: slack, channel: C1, token: canary-slack}
    - {name: pager, url: "https://events.pagerduty.com/v2/enqueue", format: pagerduty, routing_key: canary-routing}
    - {name: ticket, url: "https://127.0.0.1:1/x", format: template, template: '{"key": "canary-template"}', allow_networks: ["127.0.0.0/8"]}
decisions: {listen: "127.0.0.1:1", points: [{name: p, token: canary-point-0123456789}]}
control: {listen: "127.0.0.1:1", slack: {secret: canary-signing}, pagerduty: {secret: canary-subscription}}
links: {base: "https://u:canary-base@example.com", callbacks: "https://u:canary-callbacks@example.com", runbook: "https://u:canary-runbook@example.com/{rule}"}
`

// unpack returns the files of a bundle.
func unpack(t *testing.T, b []byte) map[string]string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "aidr-doctor/")] = string(text)
	}
}

// TestBundleHasNoSecret writes the bundle of a configuration with every secret, with all of them in the log too.
func TestBundleHasNoSecret(t *testing.T) {
	dir := t.TempDir()
	file, log := filepath.Join(dir, "aidr.yaml"), filepath.Join(dir, "aidr.log")
	secret1, secret2 := "whsec_Y2FuYXJ5LTEtY2FuYXJ5LTEtY2FuYXJ5", "whsec_Y2FuYXJ5LTItY2FuYXJ5LTItY2FuYXJ5"
	text := strings.NewReplacer("DIR", dir, "SECRET1", secret1, "SECRET2", secret2).Replace(secretive)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file)
	if cfg == nil {
		t.Fatal(problems)
	}
	words := "kept line\n" + strings.Join(config.Secrets(cfg), "\n") + "\nAuthorization: Bearer " + "sk-ant-api03-" + strings.Repeat("a1B2", 20) + "\n"
	if err := os.WriteFile(log, []byte(words), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sasl", "registry", "token-url", "client", "extension", "dsn", "sink", "path", "header", "slack", "routing", "template", "point",
		"signing", "subscription", "base", "callbacks", "runbook"} {
		if !strings.Contains(words, "canary-"+name) {
			t.Errorf("the secret canary-%s is not known", name)
		}
	}
	x := Examine(t.Context(), Options{File: file, Offline: true})
	x.add(Fail, "sink.soc", "", "the other side repeats canary-header and canary-sasl", "nothing")
	var out bytes.Buffer
	o := BundleOptions{Options: Options{File: file}, Version: "v1", Log: log, Now: time.Unix(1_800_000_000, 0)}
	if err := WriteBundle(t.Context(), &out, x, o); err != nil {
		t.Fatal(err)
	}
	files := unpack(t, out.Bytes())
	for name, text := range files {
		for _, secret := range []string{"canary", secret1[6:], secret2[6:], "a1B2a1B2a1B2"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %q:\n%s", name, secret, text)
			}
		}
	}
	for name, want := range map[string]string{"README.txt": "aidr doctor", "checks.txt": "ok    disk fsync", "checks.jsonl": `"area":"disk"`, "config.yaml": "username: kept-user",
		"version.json": `"rules_digest"`, "log.txt": "kept line"} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s lacks %q:\n%s", name, want, files[name])
		}
	}
	var again bytes.Buffer
	if err := WriteBundle(t.Context(), &again, x, o); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Errorf("a second bundle of the same differs (%v)", err)
	}
}

// TestTail checks that the end of a log is kept, as whole lines and bounded.
func TestTail(t *testing.T) {
	var all bytes.Buffer
	tail := NewTail(&all)
	line := strings.Repeat("x", 1000)
	for i := range 1000 {
		if _, err := tail.Write([]byte(line + string(rune('a'+i%26)) + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	got := tail.Bytes()
	if len(got) > TailBytes || len(got) < TailBytes-2000 || !bytes.HasSuffix(all.Bytes(), got) || len(got)%1002 != 0 {
		t.Errorf("got %d bytes of %d", len(got), all.Len())
	}
}
