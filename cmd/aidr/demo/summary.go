package demo

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// Summary is what the demo prints with --json; its names are a contract.
type Summary struct {
	Records    int            `json:"records"`
	Events     int            `json:"events"`
	Seconds    float64        `json:"seconds"`
	Agents     int            `json:"agents"`
	Findings   []Found        `json:"findings"`
	Deliveries DeliveryCounts `json:"deliveries"`
	ClickHouse *int           `json:"clickhouse_findings,omitempty"` // rows of v_findings
	State      string         `json:"state"`                         // the state directory, for `aidr findings --state`
}

// Found is one finding of the summary.
type Found struct {
	ID          string          `json:"id"`
	Rule        string          `json:"rule_id"`
	Severity    schema.Severity `json:"severity"`
	Agent       string          `json:"agent"`
	Count       int64           `json:"count"`
	Explanation string          `json:"explanation"`
}

func (d *display) summary(records, events int, took time.Duration, got DeliveryCounts, state string) *Summary {
	d.mu.Lock()
	defer d.mu.Unlock()
	agents := map[string]bool{}
	for _, l := range d.lines {
		agents[l.key] = true
	}
	s := &Summary{Records: records, Events: events, Seconds: took.Seconds(), Agents: len(agents), Deliveries: got, State: state, Findings: []Found{}}
	for _, f := range d.findings {
		if f.Status != schema.StatusWithdrawn {
			s.Findings = append(s.Findings, Found{ID: f.ID.String(), Rule: f.RuleID, Severity: f.Severity, Agent: agentOf(f), Count: f.Count, Explanation: f.Explanation})
		}
	}
	sort.Slice(s.Findings, func(i, j int) bool {
		a, b := s.Findings[i], s.Findings[j]
		if x, y := a.Severity.Rank(), b.Severity.Rank(); x != y {
			return x > y
		}
		if a.Rule != b.Rule {
			return a.Rule < b.Rule
		}
		return a.ID < b.ID
	})
	return s
}

// last prints the summary, and what to try next.
func (d *display) last(s *Summary, x *demo) {
	if d.quiet {
		enc := json.NewEncoder(d.out)
		enc.SetEscapeHTML(false)
		enc.Encode(s)
		return
	}
	fmt.Fprintln(d.out)
	d.say(fmt.Sprintf("%d records, %d events of %d agents in %.1f s: %d findings; %d signed deliveries received, %d verified, %d rejected",
		s.Records, s.Events, s.Agents, s.Seconds, len(s.Findings), s.Deliveries.Received, s.Deliveries.Verified, s.Deliveries.Rejected), "")
	fmt.Fprintln(d.out)
	for _, f := range s.Findings {
		line := fmt.Sprintf("%-8s  %-16s  %-31s  %s", f.Severity, plain(f.Agent, 16), f.Rule, f.Explanation)
		fmt.Fprintf(d.out, "  %s\n", plain(line, d.width()-2))
	}
	d.next(s, x)
}

// next says what to try next, with commands that work as they stand.
func (d *display) next(s *Summary, x *demo) {
	fmt.Fprintf(d.out, "\nTry next (the state directory is kept):\n  aidr findings ls --state %s\n", s.State)
	if len(s.Findings) > 0 {
		fmt.Fprintf(d.out, "  aidr findings show %s --state %s\n", s.Findings[0].ID, s.State)
	}
	fmt.Fprint(d.out, `  aidr rules ls
  aidr decode FILE...           # your own logs
  aidr replay FILE...           # and what the shipped rules find in them
  aidr config init aidr.yaml    # then: aidr run --config aidr.yaml
`)
	if x.engine == nil {
		return
	}
	fmt.Fprintf(d.out, "\nClickHouse holds %d findings", *s.ClickHouse)
	if !x.o.Once {
		fmt.Fprintf(d.out, " and runs until you interrupt this:\n  curl -u aidr:%s 'http://%s/?query=SELECT+rule_id,severity,agent_name,count+FROM+aidr.v_findings+FORMAT+PrettyCompact'", x.engine.Password, x.engine.HTTPAddr)
	}
	fmt.Fprintln(d.out)
}
