package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

const (
	// refresh is how often the status line of a terminal is redrawn.
	refresh = 250 * time.Millisecond
	// fileWidth is the width of lines, in columns, if the output is not a terminal.
	fileWidth = 160
	// agentWidth is the maximum width of an agent's name, in columns.
	agentWidth = 24
	// maxText and maxLines bound the text of one finding, in characters and lines, because logs determine its length.
	maxText  = 400
	maxLines = 4
)

// display prints findings as they come and, on a terminal, a status line below them.
type display struct {
	out      io.Writer
	terminal bool
	width    func() int // columns
	quiet    bool       // print only the summary

	mu         sync.Mutex
	findings   map[schema.ID]*schema.Finding
	deliveries map[string]int
	began      time.Time
	lines      []line
	probe      func() (api.Status, float64)
	stop       chan struct{}
	stopped    chan struct{}
}

func newDisplay(opts Options) *display {
	d := &display{
		out: opts.Out, terminal: opts.Terminal && !opts.JSON, quiet: opts.JSON, width: opts.Width,
		findings: map[schema.ID]*schema.Finding{}, deliveries: map[string]int{},
	}
	if !d.terminal || d.width == nil {
		d.width = func() int { return fileWidth }
	}
	return d
}

// print writes at most maxText characters and maxLines lines of a text, wrapped between words. Each line starts with indent.
func (d *display) print(text, indent string) {
	for i, line := range fold(plain(text, maxText), d.width()-len(indent)) {
		if i < maxLines {
			fmt.Fprintf(d.out, "%s%s\n", indent, line)
		}
	}
}

func (d *display) begin(x *demo, lines []line, began time.Time, probe func() (api.Status, float64)) {
	d.mu.Lock()
	d.began, d.lines, d.probe = began, lines, probe
	d.mu.Unlock()
	if d.quiet {
		return
	}
	d.print(fmt.Sprintf("aidr demo: Kafka on %s, %d shipped rules, webhooks to %s", x.broker, probeRules(probe), x.receiver.url), "")
	d.print("Four agents at work. Soon one reads a poisoned page and is hijacked, two more share a key, an unregistered agent appears, "+
		"and one pays to an account out of a mail, as it never did in a week.", "")
	fmt.Fprintln(d.out)
	if d.terminal {
		d.stop, d.stopped = make(chan struct{}), make(chan struct{})
		go d.redraw()
	}
}

// console prints the link to the console.
func (d *display) console(link api.ConsoleLink) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.quiet {
		return
	}
	clear := ""
	if d.terminal {
		clear = "\r\x1b[K"
	}
	fmt.Fprintf(d.out, "%sconsole, once and within %d s: %s\n\n", clear, link.Seconds, link.URL)
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
			status := fmt.Sprintf("%3.0f s  %d agents  %.0f events  %.0f/s  %d findings  %d deliveries",
				time.Since(d.began).Seconds(), d.agents(), events, rate, len(d.findings), d.delivered())
			fmt.Fprintf(d.out, "\r\x1b[K%s", plain(status, d.width()-1)) // one column less, because a full line would scroll
			d.mu.Unlock()
		}
	}
}

// agents returns the number of agents that have appeared so far. Its caller holds mu.
func (d *display) agents() int {
	seen := map[string]bool{}
	for _, l := range d.lines {
		if d.began.Add(l.at).Before(time.Now()) {
			seen[l.key] = true
		}
	}
	return len(seen)
}

// delivered returns the number of deliveries so far. Its caller holds mu.
func (d *display) delivered() (n int) {
	for _, k := range d.deliveries {
		n += k
	}
	return n
}

var colours = map[schema.Severity]string{
	schema.SeverityCritical: "\x1b[1;31m",
	schema.SeverityHigh:     "\x1b[31m",
	schema.SeverityMedium:   "\x1b[33m",
	schema.SeverityLow:      "\x1b[36m",
}

// finding prints a new finding, or a change of its status.
func (d *display) finding(e connectors.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := e.Finding
	if f == nil {
		return
	}
	_, known := d.findings[f.ID]
	d.findings[f.ID] = f
	if d.quiet || known && f.Status == schema.StatusOpen {
		return
	}
	severity, clear := fmt.Sprintf("%-8s", f.Severity), ""
	if d.terminal {
		severity, clear = colours[f.Severity]+severity+"\x1b[0m", "\r\x1b[K"
	}
	note := ""
	if f.Status != schema.StatusOpen {
		note = string(f.Status) + ": "
	}
	width := d.width()
	title := plain(plain(agentOf(f), agentWidth)+": "+f.Title, width-9)
	fmt.Fprintf(d.out, "%s%s %s\n", clear, severity, title)
	d.print(f.RuleID+": "+note+f.Explanation, "    ")
	if v := f.Provenance; v != nil {
		text := fmt.Sprintf("value: %q of argument %q came out of the result of %q", v.Value, v.Argument, v.Source)
		d.print(plain(text, 2*width-32), "    ")
	}
	d.print("evidence: "+plain(evidence(f), 2*width-32), "    ") // usually two lines
}

func agentOf(f *schema.Finding) string {
	if f.AgentName != "" {
		return f.AgentName
	}
	return f.AgentUID
}

// evidence returns one line that describes the last event in the evidence of a finding.
func evidence(f *schema.Finding) string {
	if len(f.Evidence) == 0 {
		return "none"
	}
	e := f.Evidence[len(f.Evidence)-1]
	parts := []string{e.Dataset, e.Action, e.Tool, e.Target, e.Resource}
	var names []string
	for name := range e.Fields {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasPrefix(name, "event.") || strings.HasPrefix(name, "ai_agent.") || strings.HasPrefix(name, "provenance.") || name == "gen_ai.tool.name" {
			continue // dataset, action, tool, agent and value are printed already
		}
		if b, err := json.Marshal(e.Fields[name]); err == nil {
			parts = append(parts, name+"="+string(b))
		}
	}
	return strings.Join(strings.Fields(strings.Join(parts, " ")), " ")
}

// delivery counts a delivery by its type.
func (d *display) delivery(kind string) {
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
