package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/aidr-engine/aidr/cmd/api"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// refresh is how often the status line of a terminal is drawn again.
const refresh = 250 * time.Millisecond

// display tells what happens: findings as lines, and on a terminal a status line below them.
type display struct {
	out      io.Writer
	terminal bool
	quiet    bool // a summary is all that is wanted

	mu         sync.Mutex
	findings   map[schema.ID]*schema.Finding
	deliveries map[string]int
	began      time.Time
	lines      []line
	probe      func() (api.Status, float64)
	stop       chan struct{}
	stopped    chan struct{}
}

func newDisplay(o Options) *display {
	return &display{out: o.Out, terminal: o.Terminal && !o.JSON, quiet: o.JSON, findings: map[schema.ID]*schema.Finding{}, deliveries: map[string]int{}}
}

// plain shows control and format characters of a log instead of obeying them.
func plain(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return ' '
		}
		return r
	}, s)
	if r := []rune(s); len(r) > limit {
		return string(r[:limit-3]) + "..."
	}
	return s
}

func (d *display) begin(x *demo, lines []line, began time.Time, probe func() (api.Status, float64)) {
	d.mu.Lock()
	d.began, d.lines, d.probe = began, lines, probe
	d.mu.Unlock()
	if d.quiet {
		return
	}
	fmt.Fprintf(d.out, "aidr demo: Kafka on %s, %d shipped rules, webhooks to %s\n", x.broker, probeRules(probe), x.receiver.url)
	fmt.Fprintf(d.out, "Three agents at work. In a while one reads a poisoned page, two share a key, and one appears that nobody registered.\n\n")
	if d.terminal {
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.redraw()
	}
}

func probeRules(probe func() (api.Status, float64)) int {
	s, _ := probe()
	return s.Rules
}

func (d *display) redraw() {
	defer close(d.stopped)
	t := time.NewTicker(refresh)
	defer t.Stop()
	last, lastAt := 0.0, time.Now()
	for {
		select {
		case <-d.stop:
			fmt.Fprint(d.out, "\r\x1b[K")
			return
		case now := <-t.C:
			_, events := d.probe()
			rate := (events - last) / now.Sub(lastAt).Seconds()
			last, lastAt = events, now
			d.mu.Lock()
			fmt.Fprintf(d.out, "\r\x1b[K%3.0f s  %d agents  %.0f events  %.0f/s  %d findings  %d deliveries",
				time.Since(d.began).Seconds(), d.agents(), events, rate, len(d.findings), d.delivers())
			d.mu.Unlock()
		}
	}
}

// agents returns how many agents have appeared so far. mu is held.
func (d *display) agents() int {
	seen := map[string]bool{}
	for _, l := range d.lines {
		if d.began.Add(l.at).Before(time.Now()) {
			seen[l.key] = true
		}
	}
	return len(seen)
}

func (d *display) delivers() (n int) {
	for _, k := range d.deliveries {
		n += k
	}
	return n
}

var colours = map[string]string{"critical": "\x1b[1;31m", "high": "\x1b[31m", "medium": "\x1b[33m", "low": "\x1b[36m"}

// found shows a change of a finding.
func (d *display) found(e connectors.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := e.Finding
	_, known := d.findings[f.ID]
	d.findings[f.ID] = f
	if d.quiet || known && f.Status == schema.StatusOpen {
		return
	}
	severity := fmt.Sprintf("%-8s", f.Severity)
	clear := ""
	if d.terminal {
		severity, clear = colours[f.Severity]+severity+"\x1b[0m", "\r\x1b[K"
	}
	note := ""
	if f.Status != schema.StatusOpen {
		note = string(f.Status) + ": "
	}
	fmt.Fprintf(d.out, "%s%s %s  %s\n    %s%s\n    evidence: %s\n", clear, severity, plain(agentOf(f), 40), f.RuleID,
		note, plain(f.Explanation, 150), plain(evidence(f), 150))
}

func agentOf(f *schema.Finding) string {
	if f.AgentName != "" {
		return f.AgentName
	}
	return f.AgentUID
}

// evidence says on one line what the last event behind a finding was.
func evidence(f *schema.Finding) string {
	if len(f.Evidence) == 0 {
		return "none"
	}
	e := f.Evidence[len(f.Evidence)-1]
	parts := []string{e.Dataset, e.Action, e.Resource}
	var names []string
	for name := range e.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if b, err := json.Marshal(e.Fields[name]); err == nil && !strings.HasPrefix(name, "event.") {
			parts = append(parts, name+"="+string(b))
		}
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

func (d *display) delivered(kind string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deliveries[kind]++
}

func (d *display) end() {
	if d.stop != nil {
		close(d.stop)
		<-d.stopped
	}
}

// ranks of severities, the worst first.
var ranks = map[string]int{"critical": 0, "high": 1, "medium": 2, "low": 3, "info": 4}

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
		if ranks[a.Severity] != ranks[b.Severity] {
			return ranks[a.Severity] < ranks[b.Severity]
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
	fmt.Fprintf(d.out, "\n%d records, %d events of %d agents in %.1f s: %d findings; %d signed deliveries received, %d verified, %d rejected\n\n",
		s.Records, s.Events, s.Agents, s.Seconds, len(s.Findings), s.Deliveries.Received, s.Deliveries.Verified, s.Deliveries.Rejected)
	for _, f := range s.Findings {
		fmt.Fprintf(d.out, "  %-8s  %-34s  %-14s  %s\n", f.Severity, f.Rule, plain(f.Agent, 14), plain(f.Explanation, 90))
	}
	state := x.cfg.State.Dir
	fmt.Fprintf(d.out, "\nTry next (the state directory is kept):\n  aidr findings ls --state %s\n", state)
	if len(s.Findings) > 0 {
		fmt.Fprintf(d.out, "  aidr findings show %s --state %s\n", s.Findings[0].ID, state)
	}
	fmt.Fprintf(d.out, "  aidr rules ls\n  aidr decode FILE...                  # your own logs\n  aidr replay FILE...                  # and what the shipped rules find in them\n  aidr config init aidr.yaml           # then: aidr run --config aidr.yaml\n")
	if x.engine != nil {
		fmt.Fprintf(d.out, "\nClickHouse holds %d findings", *s.ClickHouse)
		if !x.o.Once {
			fmt.Fprintf(d.out, " and runs until you interrupt this:\n  curl -u aidr:%s 'http://%s/?query=SELECT+rule_id,severity,agent_name,count+FROM+aidr.v_findings+FORMAT+PrettyCompact'", x.engine.Password, x.engine.HTTPAddr)
		}
		fmt.Fprintln(d.out)
	}
}
