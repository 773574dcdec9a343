package decode

import (
	"bufio"
	"compress/gzip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

// In recorded sessions, the workflow is the same for all events of a session, and a few workflows cover all sessions of an
// agent: its system instructions hold nothing that differs from one session to the next.
func TestWorkflowsOfAgentSessions(t *testing.T) {
	file, err := os.Open(filepath.Join(samplesDir(t), "agentdyn", "dev.jsonl.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	text, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	var wanted schema.Wanted
	for _, f := range []schema.Field{schema.SessionID, schema.AIAgentWorkflow} {
		wanted.Fields.Add(f)
	}
	d, err := New(Options{Format: "litellm", Wanted: wanted})
	if err != nil {
		t.Fatal(err)
	}
	ofSession, ofAgent, changed, events := map[string]string{}, map[string]map[string]int{}, map[string]bool{}, 0
	h := &Handler{Event: func(e *schema.Event) {
		events++
		session, agent := strings.Clone(e.Text(schema.SessionID)), strings.Clone(e.Text(schema.AIAgentUID))
		workflow := strings.Clone(e.Text(schema.AIAgentWorkflow))
		if known, ok := ofSession[session]; ok && known != workflow {
			changed[session] = true
		}
		ofSession[session] = workflow
		if ofAgent[agent] == nil {
			ofAgent[agent] = map[string]int{}
		}
		ofAgent[agent][workflow]++
	}}
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		d.Decode(lines.Text(), Meta{Time: 1}, h)
	}
	if err := lines.Err(); err != nil || events == 0 {
		t.Fatalf("got %d events: %v", events, err)
	}
	for agent, workflows := range ofAgent {
		if len(workflows) > 4 || workflows[""] > 0 {
			t.Errorf("agent %s has the workflows %v", agent, workflows)
		}
	}
	if len(changed) > 0 {
		t.Errorf("the workflow changes within %d of %d sessions", len(changed), len(ofSession))
	}
}
