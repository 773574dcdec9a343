package webhook

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// TestTemplate checks bodies of templates, in which each value is escaped by its place.
func TestTemplate(t *testing.T) {
	f := func(template, want string) {
		t.Helper()
		b, err := parseTemplate(template)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fit(entry(sample()), pages{}, b.render)
		if err != nil {
			t.Fatal(err)
		}
		var compact any
		if err := json.Unmarshal(got, &compact); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(compact)
		if err != nil || string(again) != want {
			t.Errorf("%s\ngot  %s\nwant %s", template, again, want)
		}
	}
	f(`{"text": "{{.data.severity}}: {{.data.title}} ({{.data.count}})"}`, `{"text":"high: Agent makes more than 100 tool calls a minute (101)"}`)
	f(`{"n": {{.data.count}}, "s": {{.data.summary}}, "k": {{.data.key}}}`, `{"k":{"ai_agent.uid":"a1"},"n":101,"s":"\"a1\" called \"shell\" 101 times"}`)
	f(`{"s": "{{.data.summary}}"}`, `{"s":"\"a1\" called \"shell\" 101 times"}`)
	f(`{"e": [{{range $i, $e := .data.evidence}}{{if $i}},{{end}}"{{$e.topic}}/{{$e.offset}}"{{end}}]}`, `{"e":["litellm/7"]}`)
	f(`{"none": "{{.data.nothing}}", "also": {{.data.nothing}}, "d": "{{.data.tenant | default "no tenant"}}"}`,
		`{"also":null,"d":"no tenant","none":""}`)
	f(`{"t": "{{.data.title | upper | truncate 5}}", "j": "{{join ", " .data.tags}}", "type": "{{.type}}", "at": "{{.timestamp}}"}`,
		`{"at":"2026-01-01T00:00:00.123456789Z","j":"","t":"AGENT...","type":"finding.opened"}`)
	f(`{"urgent": {{if gt .data.count 100}}true{{else}}false{{end}}}`, `{"urgent":true}`)
	f(`{{define "who"}}"{{.}}"{{end}}{"who": {{template "who" .data.agent_uid}}}`, `{"who":"a1"}`)
}

// TestTemplateIsSafe checks that no text of a finding changes the structure of a body.
func TestTemplateIsSafe(t *testing.T) {
	b, err := parseTemplate(`{"a": "{{.data.title}}", "b": {{.data.title}}, "c": {{.data}}, "{{.data.agent_uid}}": 1}`)
	if err != nil {
		t.Fatal(err)
	}
	f := hostileFinding()
	got, err := fit(entry(f), pages{}, b.render)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(got, &m); err != nil {
		t.Fatal(err)
	}
	want := strings.ToValidUTF8(hostile, "\ufffd")
	if len(m) != 4 || m["a"] != want || m["b"] != want {
		t.Errorf("got %q and %q, want %q: %s", m["a"], m["b"], want, got)
	}
}

func TestTemplateErrors(t *testing.T) {
	f := func(template, want string) {
		t.Helper()
		start := time.Now()
		_, err := newTemplateForm(template, "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: got %v, want an error with %q", template, err, want)
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.60s: took %s", template, d)
		}
	}
	f("", "is empty")
	f(`{"a": {{.data.title}`, "bad character")
	f(`{"a": {{nope .data}}}`, `function "nope" not defined`)
	f(`{"a": "{{.data.title}}",}`, "the output is not JSON")
	f(`{"a": `+"`b`"+`}`, "backquote")
	f(`{"a": "</script>"}`, "</script")
	f(`{"a": {{range 1000000000}}{{end}}1}`, "steps")
	f(`{{define "a"}}{{template "a"}}{{end}}{"a": {{template "a"}}}`, "steps")
	f(`{{range 1000}}{{range 1000}}{{end}}{{end}}{}`, "steps")
	f(`{"a": "{{range 15000}}xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx{{end}}"}`, "after every reduction")
	f(strings.Repeat("x", MaxTemplate+1), "want at most")
	f(`{"a": {{.data.title.b.c}}}`, "can't evaluate field")
}

// FuzzTemplate checks that a template that is accepted gives JSON for a hostile finding, or an error, in bounded time.
func FuzzTemplate(f *testing.F) {
	f.Add(`{"a": "{{.data.title}}"}`)
	f.Add(`{{define "x"}}{{.}}{{end}}[{{template "x" .data.key}}]`)
	f.Add(`{{range .data.evidence}}{{.}}{{end}}`)
	f.Fuzz(func(t *testing.T, text string) {
		form, err := newTemplateForm(text, "")
		if err != nil {
			return
		}
		body, err := fit(&connectors.Entry{Type: connectors.FindingOpened, Finding: hostileFinding()}, pages{}, form.render)
		if err == nil && !json.Valid(body) {
			t.Errorf("not JSON: %s", body)
		}
	})
}
