package decode

import (
	"encoding/csv"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// samplesDir returns the folder of real logs, which are not part of the repository. Without the folder the test is
// skipped, unless AIDR_TEST_REQUIRE names "samples".
func samplesDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = "../../../shared/samples"
	}
	if _, err := os.Stat(dir); err != nil {
		if strings.Contains(os.Getenv("AIDR_TEST_REQUIRE"), "samples") {
			t.Fatalf("samples are required: %v", err)
		}
		t.Skipf("no samples: %v (AIDR_SAMPLES names their folder)", err)
	}
	return dir
}

// linesOf returns the lines of a file, or the whole file if it is a single document.
func linesOf(t testing.TB, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(file) != ".jsonl" {
		return []string{string(text)}
	}
	return strings.Split(strings.TrimRight(string(text), "\n"), "\n")
}

// Every file of the samples is decoded by auto: nothing panics, every event has the mandatory fields, and anything that
// is not decoded becomes a dead letter with a reason.
func TestSamplesThroughAuto(t *testing.T) {
	dir := samplesDir(t)
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	records, events, reasons := 0, 0, map[string]int{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		for _, line := range linesOf(t, path) {
			records++
			res := d.all(t, line, Meta{Time: 1})
			for _, e := range res.events {
				events++
				checkEvent(t, e)
			}
			for _, dead := range res.dead {
				reasons[dead.Reason]++
			}
			if len(res.events)+len(res.dead) == 0 && line != "[]" && !strings.Contains(line, earlierStage) {
				t.Errorf("%s: a record gave neither events nor dead letters: %.80s", path, line)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records gave %d events; dead letters: %v", records, events, reasons)
	if events == 0 {
		t.Error("no events")
	}
}

// earlierStage occurs in records that Kubernetes logs of a request before its end, which is another record.
const earlierStage = "ResponseStarted"

// checkEvent checks that an event has the mandatory fields and no empty ones.
func checkEvent(t testing.TB, e map[string]any) {
	t.Helper()
	for _, name := range []string{"time", "event.dataset", "event.class"} {
		if s, _ := e[name].(string); s == "" {
			t.Errorf("event without %s: %v", name, e)
		}
	}
	for name, v := range e {
		if v == "" || v == nil {
			t.Errorf("%s is %v: absent means absent", name, v)
		}
	}
}

// CloudTrail's real files give one event per record, each with an agent.
func TestSamplesOfCloudTrail(t *testing.T) {
	dir := samplesDir(t)
	for pattern, want := range map[string]int{"aws_cloudtrail/invictus/*.json": 0, "aws_cloudtrail/stratus/*.json": 0} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, file := range files {
			text := linesOf(t, file)[0]
			res := decodeAll(t, Options{Format: Auto, Wanted: everything()}, text, Meta{})
			want = countRecords(t, text)
			if len(res.events) != want || len(res.dead) > 0 || len(res.faults) > 0 {
				t.Errorf("%s: got %d events, dead %v, faults %v, want %d events", file, len(res.events), res.dead, res.faults, want)
			}
			for _, e := range res.events {
				if e["ai_agent.uid"] == nil || e["event.dataset"] != "aws.cloudtrail" || !strings.Contains(e["event.action"].(string), ":") {
					t.Errorf("%s: event lacks its agent or its action: %v", file, e)
				}
			}
		}
	}
}

// countRecords counts the records of a CloudTrail file with another parser.
func countRecords(t testing.TB, text string) int {
	t.Helper()
	var list []any
	if err := json.Unmarshal([]byte(text), &list); err == nil {
		return len(list)
	}
	var file struct{ Records []any }
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	return len(file.Records)
}

// The replay repeats each session's history in every request. Still every tool call is one event: a session has as many
// distinct ones as its label counts, and every result answers a call.
func TestReplayCountsEachToolCallOnce(t *testing.T) {
	dir := samplesDir(t)
	const model = "gpt-4o-2024-05-13-spotlighting_with_delimiting.jsonl"
	want := toolCallsByLine(t, filepath.Join(dir, "agentdojo", "labels.csv"), model)
	d, err := New(Options{Format: "litellm", Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]map[schema.ID]bool{}
	asked := map[string]bool{} // by session and call id
	h := &Handler{
		Dead:       func(dead Dead) { t.Errorf("dead letter: %v", dead.Reason) },
		FieldError: func(dataset, name string) { t.Errorf("field error: %s", name) },
		Event: func(e *schema.Event) {
			session, id := strings.Clone(e.Text(schema.SessionID)), strings.Clone(e.Text(schema.GenAIToolCallID))
			if calls[session] == nil {
				calls[session] = map[schema.ID]bool{}
			}
			switch e.Text(schema.EventAction) {
			case "tool_call":
				calls[session][e.Identity()] = true
				asked[session+id] = true
			case "tool_result":
				if !asked[session+id] || !e.Has(schema.GenAIToolName) {
					t.Errorf("session %s: result %s answers no call, or has no name", session, id)
				}
			}
		},
	}
	for _, line := range linesOf(t, filepath.Join(dir, "replay_litellm_from_agentdojo", model)) {
		var wrapped struct{ Raw json.RawMessage }
		if err := json.Unmarshal([]byte(line), &wrapped); err != nil {
			t.Fatal(err)
		}
		d.Decode(string(wrapped.Raw), Meta{}, h)
		d.Decode(string(wrapped.Raw), Meta{}, h) // delivered twice, but still one event
	}
	for session, got := range calls {
		line := strings.TrimLeft(session[strings.LastIndexByte(session, '-')+1:], "0")
		if w := want[line]; strconv.Itoa(len(got)) != w {
			t.Errorf("session %s: got %d distinct tool calls, want %s, as labelled", session, len(got), w)
		}
	}
	if len(calls) == 0 {
		t.Error("no sessions")
	}
}

// toolCallsByLine returns the labelled number of tool calls of a model's sessions, by the line of the session.
func toolCallsByLine(t testing.TB, file, model string) map[string]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	counts := map[string]string{}
	for _, row := range rows[1:] {
		if row[column["file"]] == model {
			counts[row[column["line"]]] = row[column["tool_calls"]]
		}
	}
	return counts
}
