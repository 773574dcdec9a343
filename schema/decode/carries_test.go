package decode

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// carried are the facts of the line "Carries" of a format's page, in its order, with the fields that show them in an
// event.
var carried = []struct {
	fact   string
	fields []schema.Field
}{
	{"call", []schema.Field{schema.GenAIToolCalled, schema.EventAction, schema.HTTPRequestMethod}},
	{"arguments", []schema.Field{schema.GenAIToolCallArguments}},
	{"result", []schema.Field{schema.GenAIToolCallResult}},
	{"prompt", []schema.Field{schema.MessageContextPromptText}},
	{"answer", []schema.Field{schema.MessageContextResponseText}},
	{"caller", []schema.Field{schema.AIAgentUID, schema.UserID, schema.UserName, schema.UserEmail}},
	{"session", []schema.Field{schema.SessionID, schema.MCPSessionID, schema.GenAIConversationID}},
	{"cost", []schema.Field{schema.GenAIUsageCost}},
}

// shown returns the facts that the cases and fixtures show, by format.
func shown(t *testing.T) map[string]map[string]bool {
	t.Helper()
	facts := map[string]map[string]bool{}
	read := func(o Options, raw string, m Meta) {
		d, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]bool{} // of the current element
		d.Decode(raw, m, &Handler{
			Event: func(e *schema.Event) {
				for _, c := range carried {
					if slices.ContainsFunc(c.fields, func(f schema.Field) bool {
						v := e.Value(f)
						return v.Present() && (f != schema.GenAIToolCalled || v.Bool())
					}) {
						have[c.fact] = true
					}
				}
			},
			Explain: func(x *Explanation) {
				if facts[x.Format] == nil {
					facts[x.Format] = map[string]bool{}
				}
				for fact := range have {
					facts[x.Format][fact] = true
				}
				clear(have)
			},
		})
	}
	fixtures, err := filepath.Glob("../../testdata/fixtures/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range fixtures {
		for _, f := range readFixtures(t, file) {
			read(Options{Format: Auto, Wanted: everything()}, f.record(t), Meta{})
		}
	}
	archives, err := filepath.Glob("../../testdata/cases/decode/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archives {
		_, cases := readCases(t, file)
		for _, c := range cases {
			read(c.options, c.record, c.meta)
		}
	}
	return facts
}

// Each page has a line with the facts that rules need and that the format can carry. It names those that a case or
// fixture shows, and no other.
func TestPagesName(t *testing.T) {
	facts := shown(t)
	files, err := filepath.Glob("../formats/*.md")
	if err != nil {
		t.Fatal(err)
	}
	nested, err := filepath.Glob("../formats/*/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, nested...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		title, _, _ := strings.Cut(string(text), "\n")
		names, _, _ := strings.Cut(strings.TrimPrefix(title, "# "), " (")
		var list []string
		for _, c := range carried {
			if slices.ContainsFunc(strings.Split(names, ", "), func(name string) bool { return facts[name][c.fact] }) {
				list = append(list, c.fact)
			}
		}
		want := "Carries: " + strings.Join(list, ", ") + "."
		if n := strings.Count(string(text), "\nCarries: "); n != 1 || !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("%s has %d lines of what the format carries; the cases show\n%s", file, n, want)
		}
	}
}
