package demo

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/aidr-engine/aidr/schema"
)

// Summary is the output of the demo with --json. Its JSON names are a contract.
type Summary struct {
	Records    int              `json:"records"`
	Events     int              `json:"events"`
	Seconds    *float64         `json:"seconds,omitempty"` // duration of the run; nil with --once --json, whose output is deterministic
	Agents     int              `json:"agents"`
	Findings   []FindingSummary `json:"findings"`
	Deliveries DeliveryCounts   `json:"deliveries"`
	ClickHouse *int             `json:"clickhouse_findings,omitempty"` // number of rows in v_findings; nil without ClickHouse
	State      string           `json:"state,omitempty"`               // path of the state directory; "" if it is temporary and the output JSON
}

// FindingSummary is one finding in the Summary.
type FindingSummary struct {
	ID          string          `json:"id"`
	Rule        string          `json:"rule_id"`
	Severity    schema.Severity `json:"severity"`
	Agent       string          `json:"agent"`
	Count       int64           `json:"count"`
	Datasets    []string        `json:"datasets"` // of its evidence, in the order of the events
	Explanation string          `json:"explanation"`
}

// summary returns the summary of the run, without its duration and state directory.
func (d *display) summary(records, events int, got DeliveryCounts) *Summary {
	d.mu.Lock()
	defer d.mu.Unlock()
	agents := map[string]bool{}
	for _, l := range d.lines {
		agents[l.key] = true
	}
	s := &Summary{
		Records: records, Events: events, Agents: len(agents), Deliveries: got, Findings: []FindingSummary{},
	}
	for _, f := range d.findings {
		if f.Status != schema.StatusWithdrawn {
			s.Findings = append(s.Findings, FindingSummary{
				ID: f.ID.String(), Rule: f.RuleID, Severity: f.Severity,
				Agent: agentOf(f), Count: f.Count, Datasets: datasets(f), Explanation: f.Explanation,
			})
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

// datasets returns the datasets of a finding's evidence, each once, in the order of the events.
func datasets(f *schema.Finding) (out []string) {
	for _, e := range f.Evidence {
		if !slices.Contains(out, e.Dataset) {
			out = append(out, e.Dataset)
		}
	}
	return out
}

// last prints the summary and suggestions for the next steps.
func (d *display) last(s *Summary, x *demo) {
	if d.quiet {
		enc := json.NewEncoder(d.out)
		enc.SetEscapeHTML(false)
		enc.Encode(s)
		return
	}
	fmt.Fprintln(d.out)
	took := 0.0
	if s.Seconds != nil {
		took = *s.Seconds
	}
	d.print(fmt.Sprintf("%d records, %d events of %d agents in %.1f s: %d findings; %d signed deliveries received, %d verified, %d rejected",
		s.Records, s.Events, s.Agents, took, len(s.Findings), s.Deliveries.Received, s.Deliveries.Verified, s.Deliveries.Rejected), "")
	fmt.Fprintln(d.out)
	for _, f := range s.Findings {
		line := fmt.Sprintf("%-8s  %-16s  %-31s  %s", f.Severity, plain(f.Agent, 16), f.Rule, f.Explanation)
		fmt.Fprintf(d.out, "  %s\n", plain(line, d.width()-2))
	}
	d.join(s)
	d.suggest(s, x)
}

// join prints the end of the story: the finding that joins the actions of one agent in all sources.
func (d *display) join(s *Summary) {
	for _, f := range s.Findings {
		if f.Rule != hijackID {
			continue
		}
		fmt.Fprintln(d.out)
		d.print(fmt.Sprintf("%s is one agent under three names: its key at the LLM gateway, its consumer at the API gateway, its role in "+
			"the cloud. agents.yaml makes them one, so one finding tells the whole attack, with evidence from %s:",
			plain(f.Agent, agentWidth), strings.Join(f.Datasets, ", ")), "")
		d.print(f.Explanation, "    ")
	}
}

// suggest prints commands to try next. They work without changes, except for FILE.
func (d *display) suggest(s *Summary, x *demo) {
	fmt.Fprintf(d.out, "\nTry next (the state directory is kept):\n  aidr findings ls --state %s\n", s.State)
	if len(s.Findings) > 0 {
		first := max(0, slices.IndexFunc(s.Findings, func(f FindingSummary) bool { return f.Rule == hijackID }))
		fmt.Fprintf(d.out, "  aidr findings show %s --state %s\n", s.Findings[first].ID, s.State)
	}
	fmt.Fprint(d.out, `  aidr rules ls
  aidr decode FILE...           # print the events in your own logs
  aidr replay FILE...           # run the shipped rules over them
  aidr config init aidr.yaml    # then: aidr run --config aidr.yaml
`)
	if x.opts.Stay {
		fmt.Fprintf(d.out, "  aidr console link --state %s    # another link to the console, which runs until you interrupt this command\n", s.State)
	}
	if x.engine == nil {
		return
	}
	fmt.Fprintf(d.out, "\nClickHouse holds %d findings", *s.ClickHouse)
	if !x.opts.Once {
		const query = "SELECT+rule_id,severity,agent_name,count+FROM+aidr.v_findings+FORMAT+PrettyCompact"
		fmt.Fprintf(d.out, " and runs until you interrupt this command:\n  curl -u aidr:%s 'http://%s/?query=%s'",
			x.engine.Password, x.engine.HTTPAddr, query)
	}
	fmt.Fprintln(d.out)
}
