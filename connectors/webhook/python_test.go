package webhook

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// verifyInPython reads messages as JSON and prints for each whether the library standardwebhooks of PyPI accepts it.
const verifyInPython = `
import json, sys
from standardwebhooks.webhooks import Webhook
for m in json.load(sys.stdin):
    try:
        Webhook(m["secret"]).verify(m["body"], m["headers"])
        print("ok")
    except Exception as e:
        print(type(e).__name__, e)
`

// TestSignaturesInPython: a receiver that is written with the library of another language accepts what is sent, whatever the type and
// during a rotation of secrets, and refuses what was changed. Set AIDR_TEST_PYTHON to a Python that has the library.
func TestSignaturesInPython(t *testing.T) {
	python := pythonWith(t, "standardwebhooks")
	const secretC = "whsec_Y2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2NjY2M="
	type sent struct {
		Secret  string            `json:"secret"`
		Body    string            `json:"body"`
		Headers map[string]string `json:"headers"`
	}
	var messages []sent
	var want []string
	s, err := NewSigner(secretA, secretC)
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range Types() {
		e := SampleEntry(typ)
		body, err := Body(&e)
		if err != nil {
			t.Fatal(err)
		}
		id, now := ID(&e, "soc"), time.Now()
		m := sent{secretA, string(body), map[string]string{
			HeaderID: id, HeaderTimestamp: strconv.FormatInt(now.Unix(), 10), HeaderSignature: s.Sign(id, now, body),
		}}
		other, changed := m, m
		other.Secret = secretC // a receiver that has the new secret already
		changed.Body = strings.Replace(m.Body, "test", "tent", 1)
		messages, want = append(messages, m, other, changed), append(want, "ok", "ok", "WebhookVerificationError")
	}
	in, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", verifyInPython)
	cmd.Stdin = bytes.NewReader(in)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(got) != len(want) {
		t.Fatalf("got %d answers, want %d: %s", len(got), len(want), out)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("message %d: %s, want %s", i, got[i], want[i])
		}
	}
	if len(Types()) < 5 || Types()[0] != connectors.FindingOpened {
		t.Errorf("types: %v", Types())
	}
}

// pythonWith returns a Python that has a library, or skips the test; it fails it if AIDR_TEST_REQUIRE names python.
func pythonWith(t *testing.T, library string) string {
	t.Helper()
	python := cmp.Or(os.Getenv("AIDR_TEST_PYTHON"), "python3")
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import "+library).CombinedOutput(); err != nil {
		conntest.Missing(t, "python", fmt.Sprintf("no %s with the library %s (AIDR_TEST_PYTHON): %v: %s", python, library, err, bytes.TrimSpace(out)))
	}
	return python
}
