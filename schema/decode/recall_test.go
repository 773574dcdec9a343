package decode_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	. "github.com/aidr-engine/aidr/schema/decode"
)

// recall counts, for the records of one folder or file, how many are recognised, and for their events how many have each
// of the facts that rules need. A fact counts only for the events that can have it.
type recall struct {
	records, recognised int
	facts               map[string]*[2]int // how many events have the fact, and how many could
}

// add counts one event.
func (r *recall) add(e *schema.Event) {
	tool := e.Text(schema.EventClass) == "tool"
	called, returned := e.Has(schema.GenAIToolCalled), e.Has(schema.GenAIToolReturned)
	for _, fact := range []struct {
		name     string
		can, has bool
	}{
		{"agent", true, e.Has(schema.AIAgentUID)},
		{"session", true, e.Has(schema.SessionID)},
		{"tool", tool, e.Has(schema.GenAIToolName) || e.Has(schema.MCPMethodName)},
		{"args", tool && called, e.Has(schema.GenAIToolCallArguments)},
		{"result", tool && returned, e.Has(schema.GenAIToolCallResult)},
		{"outcome", true, e.Text(schema.EventOutcome) != "unknown"},
		{"time", true, !e.BorrowedTime},
	} {
		if !fact.can {
			continue
		}
		if r.facts[fact.name] == nil {
			r.facts[fact.name] = new([2]int)
		}
		r.facts[fact.name][1]++
		if fact.has {
			r.facts[fact.name][0]++
		}
	}
}

// notLogs lists the folders of samples that hold conversations and prompts instead of logs.
var notLogs = []string{"agentdojo", "agentdyn", "injecagent", "prompt_injection", "tau_bench"}

// labelled returns the log record in a line of the samples, which has it beside its labels, or the line itself.
func labelled(line string) string {
	var l struct {
		Log json.RawMessage `json:"log"`
		Raw json.RawMessage `json:"raw"`
	}
	if json.Unmarshal([]byte(line), &l) != nil || l.Log == nil && l.Raw == nil {
		return line
	}
	if l.Log != nil {
		return string(l.Log)
	}
	var text string
	if json.Unmarshal(l.Raw, &text) == nil {
		return text
	}
	return string(l.Raw)
}

// TestRecallTable prints how much of the samples, and of the field records beside them, reaches the events: for each folder
// of samples and each dataset of the field, the share of records that are recognised and of events with each fact. Run it
// with -v.
func TestRecallTable(t *testing.T) {
	dir := SamplesDir(t)
	d, err := New(Options{Format: Auto, Wanted: Everything(), Maps: shippedMaps(t).Maps()})
	if err != nil {
		t.Fatal(err)
	}
	meta, rows := Meta{Time: 1}, map[string]*recall{}
	count := func(of, record string) {
		r := rows[of]
		if r == nil {
			r = &recall{facts: map[string]*[2]int{}}
			rows[of] = r
		}
		r.records++
		known := false
		d.Decode(record, meta, &Handler{
			Event:   func(e *schema.Event) { known = true; r.add(e) },
			Skipped: func(string, string) { known = true },
		})
		if known {
			r.recognised++
		}
	}
	for _, root := range []string{dir, filepath.Join(dir, "..", "field", "llm"), filepath.Join(dir, "..", "field", "cloud")} {
		if _, err := os.Stat(root); err != nil {
			continue
		}
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.HasSuffix(path, ".csv") || strings.HasSuffix(path, ".md") {
				return err
			}
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			of, _, _ := strings.Cut(rel, string(filepath.Separator))
			if root != dir {
				of = "field/" + filepath.Base(root)
			}
			for _, line := range LinesOf(t, path) {
				if record := labelled(line); record != "" && !slices.Contains(notLogs, of) {
					count(of, record)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	facts := []string{"agent", "session", "tool", "args", "result", "outcome", "time"}
	t.Logf("%-30s %8s %10s %s", "source", "records", "recognised", strings.Join(facts, "      "))
	for _, of := range slices.Sorted(maps.Keys(rows)) {
		r := rows[of]
		line := []string{}
		for _, fact := range facts {
			line = append(line, ofAll(r.facts[fact]))
		}
		t.Logf("%-30s %8d %10s %s", of, r.records, ofAll(&[2]int{r.recognised, r.records}), strings.Join(line, " "))
	}
}

// ofAll formats a share in percent, or a dash if there was nothing to count.
func ofAll(n *[2]int) string {
	if n == nil || n[1] == 0 {
		return "       -"
	}
	return fmt.Sprintf("%7.1f%%", 100*float64(n[0])/float64(n[1]))
}
