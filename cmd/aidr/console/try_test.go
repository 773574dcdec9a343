package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// TestPatch applies patches with the program patch.
func TestPatch(t *testing.T) {
	if _, err := exec.LookPath("patch"); err != nil {
		t.Skip("no program patch")
	}
	long := strings.Repeat("same\n", 20)
	for _, x := range [][2]string{
		{"a\nb\nc\n", "a\nx\nc\n"}, {long + "a\n" + long + "b\n" + long, long + "x\n" + long + "y\ny\n" + long}, {"a\n", "a\nb\n"}, {"a\nb\n", "b\n"},
		{"", "new\nrule\n"}, {"x\n", "y\nz\n"}, {long, "first\n" + long}, {"- a\n-- b\n", "- a\n++ b\n"},
	} {
		dir := t.TempDir()
		if x[0] != "" {
			if err := os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(x[0]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		c := exec.CommandContext(t.Context(), "patch", "-p1", "--fuzz=0")
		c.Dir, c.Stdin = dir, strings.NewReader(patch("r", x[0], x[1]))
		out, err := c.CombinedOutput()
		got, _ := os.ReadFile(filepath.Join(dir, "r.yaml"))
		if err != nil || string(got) != x[1] {
			t.Errorf("%q to %q: got %q, %v: %s\n%s", x[0], x[1], got, err, out, patch("r", x[0], x[1]))
		}
	}
	if p := patch("r", "a\n", "a\n"); p != "" {
		t.Errorf("equal texts: got %q", p)
	}
}

// TestWithTest checks that a rule with a test made from a finding loads, that its test passes, and that hostile values stay values.
func TestWithTest(t *testing.T) {
	base := "id: site.x\ntitle: T\nseverity: low\nwhen: event.class == \"tool\" && gen_ai.tool.name != \"\"\n"
	f := &schema.Finding{RuleID: "site.x", Key: map[string]string{"ai_agent.uid": "a\"\n: b\u202e"}, Evidence: []schema.Evidence{
		{Time: 1_000_000_000, Dataset: "litellm", Class: "tool", Action: "x", Fields: map[string]any{"gen_ai.tool.name": "evil\n  findings: []\n- name: other\u2028 # {{x}}"}},
	}}
	for _, text := range []string{
		base, base + "tests:\n  - name: first\n    events: [{set: {event.class: llm}}]\n    findings: []\n",
		base + "tests:\n- name: first\n  events: [{set: {event.class: llm}}]\n  findings: []\n\nreferences: [x]\n",
	} {
		for _, benign := range []bool{false, true} {
			got, note := withTest(text, f, benign)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "x.yaml"), []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
			set, problems := rules.Load(rules.Options{}, dir)
			if set == nil || note == "" {
				t.Errorf("%v\n%s", problems, got)
				continue
			}
			r := set.All[0]
			last := r.Tests[len(r.Tests)-1]
			if want := strings.Count(text, "name: first") + 1; len(r.Tests) != want || !strings.HasPrefix(last.Name, "from finding ") || len(last.Events) != 1 {
				t.Errorf("%d tests, want %d: %+v\n%s", len(r.Tests), want, last, got)
			}
		}
	}
}

// TestTryForms checks what the page asks for, and that running needs the scope rules.
func TestTryForms(t *testing.T) {
	c, cookie := newFake(t, func() string { return "x" })
	reader := cookieOf(c, "reader", access.Read)
	if page := ask(c, "GET", "/try?rule=x", reader).Body.String(); strings.Contains(page, `value="run"`) || !strings.Contains(page, "lack the scope rules") {
		t.Error("a reader may run a rule")
	}
	post := func(form url.Values, cookie *http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8472/try", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(cookie)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w
	}
	if w := post(url.Values{"action": {"run"}, "text": {"id: x"}}, reader); w.Code != http.StatusForbidden {
		t.Errorf("a reader runs a rule: got %d", w.Code)
	}
	for _, form := range []url.Values{{"action": {"delete"}}, {"action": {"run"}, "hours": {"x"}}} {
		if w := post(form, cookie); w.Code != http.StatusBadRequest {
			t.Errorf("%v: got %d", form, w.Code)
		}
	}
	for _, action := range []string{"check", "run", "draft"} {
		if w := post(url.Values{"action": {action}, "text": {"id: x\r\n"}, "hours": {"24"}}, cookie); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "As a patch") {
			t.Errorf("%s: got %d", action, w.Code)
		}
	}
}
