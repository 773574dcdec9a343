package library_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
	"github.com/aidr-engine/aidr/schema"
)

// samples returns the folder of real logs. If it does not exist, the test is skipped, or fails if AIDR_TEST_REQUIRE
// contains "samples".
func samples(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "samples")
	}
	if _, err := os.Stat(dir); err != nil {
		if strings.Contains(os.Getenv("AIDR_TEST_REQUIRE"), "samples") {
			t.Fatalf("the samples are required: %v", err)
		}
		t.Skipf("no samples: set AIDR_SAMPLES (%v)", err)
	}
	return dir
}

// matcher matches texts against the rules of the library.
type matcher struct {
	set *rules.Set
	sc  *rules.Scratch
}

func newMatcher(t *testing.T) *matcher {
	t.Helper()
	set, _ := rules.LoadFS(rules.Options{}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	return &matcher{set, set.NewScratch()}
}

// isOverride reports whether the text, as the result of a tool, matches the rule for instructions to the model.
func (m *matcher) isOverride(text string) bool {
	var e schema.Event
	e.SetText(schema.EventDataset, "litellm")
	e.SetText(schema.EventClass, "tool")
	e.Set(schema.GenAIToolReturned, schema.BoolValue(true))
	e.SetText(schema.GenAIToolCallResult, text)
	return slices.ContainsFunc(m.set.Match(&e, m.sc, nil), func(h rules.Hit) bool {
		return m.set.Rules[h.Rule].ID == "llm.override-in-tool-result"
	})
}

type session struct {
	Messages []struct {
		Role    string `json:"role"`
		Content any    `json:"content"`
	} `json:"messages"`
}

func text(content any) string {
	if s, ok := content.(string); ok {
		return s
	}
	b, _ := json.Marshal(content)
	return string(b)
}

// eachSession calls yield with each line of a file, numbered from 1.
func eachSession(t *testing.T, file string, yield func(line int, s *session)) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		var s session
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatalf("%s:%d: %v", file, n, err)
		}
		yield(n, &s)
	}
}

// TestOverridesInAgentSessions checks that the rule finds at least 95 % of the sessions in which the model read an
// injected text, and none of the benign sessions. It removes the wrapper of this benchmark's attack first, so that the
// result does not depend on a text that is widely known.
func TestOverridesInAgentSessions(t *testing.T) {
	dir := samples(t)
	m := newMatcher(t)
	labels, err := os.ReadFile(filepath.Join(dir, "agentdojo", "labels.csv"))
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(string(labels))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	kind := map[string]string{} // of a session, by file:line
	for _, r := range rows[1:] {
		at := r[column["file"]] + ":" + r[column["line"]]
		if r[column["injection_text_seen_by_model"]] == "1" {
			kind[at] = "seen"
		} else if r[column["attack_present"]] == "0" {
			kind[at] = "benign"
		}
	}
	unwrap := strings.NewReplacer("<INFORMATION>", "", "</INFORMATION>", "")
	total, found := map[string]int{}, map[string]int{}
	files, _ := filepath.Glob(filepath.Join(dir, "agentdojo", "*.jsonl"))
	for _, file := range files {
		eachSession(t, file, func(line int, s *session) {
			k := kind[filepath.Base(file)+":"+strconv.Itoa(line)]
			total[k]++
			for _, msg := range s.Messages {
				if msg.Role == "tool" && m.isOverride(unwrap.Replace(text(msg.Content))) {
					found[k]++
					return
				}
			}
		})
	}
	if total["seen"] < 200 || found["seen"]*100 < total["seen"]*95 {
		t.Errorf("found %d of %d sessions with an injection, want 95 %%", found["seen"], total["seen"])
	}
	if total["benign"] < 200 || found["benign"] > 0 {
		t.Errorf("found %d of %d sessions without one, want none", found["benign"], total["benign"])
	}
}

// TestOrdinaryTextsAreNoOverrides checks that the rule does not match airline sessions, mails, and harmless prompts that
// only sound dangerous.
func TestOrdinaryTextsAreNoOverrides(t *testing.T) {
	dir := samples(t)
	m := newMatcher(t)
	n := 0
	quiet := func(where, s string) {
		t.Helper()
		n++
		if m.isOverride(s) {
			t.Errorf("%s matches: %.200s", where, s)
		}
	}
	eachSession(t, filepath.Join(dir, "tau_bench", "gpt-4o-airline.jsonl"), func(line int, s *session) {
		for _, msg := range s.Messages {
			if msg.Role == "tool" || msg.Role == "user" {
				quiet("tau_bench", text(msg.Content))
			}
		}
	})
	benign, err := os.ReadFile(filepath.Join(dir, "prompt_injection", "cyberseceval_frr_benign.json"))
	if err != nil {
		t.Fatal(err)
	}
	var prompts []struct {
		Text string `json:"mutated_prompt"`
	}
	if err := json.Unmarshal(benign, &prompts); err != nil {
		t.Fatal(err)
	}
	for _, p := range prompts {
		quiet("cyberseceval", p.Text)
	}
	mails, err := os.Open(filepath.Join(dir, "prompt_injection", "bipia", "email_train.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer mails.Close()
	for dec := json.NewDecoder(mails); dec.More(); {
		var mail struct {
			Context string `json:"context"`
		}
		if err := dec.Decode(&mail); err != nil {
			t.Fatal(err)
		}
		quiet("bipia", mail.Context)
	}
	if n < 500 {
		t.Errorf("got %d texts, want at least 500", n)
	}
}
