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
	// refresh is how often the status line of a terminal is drawn again.
	refresh = 250 * time.Millisecond
	// fileWidth is how many columns lines have where nobody says how wide they are.
	fileWidth = 160
	// agentWidth is how many columns an agent's name gets.
	agentWidth = 24
	// maxText and maxLines bound what one finding shows, in characters and lines: a log decides how long it could be.
	maxText  = 400
	maxLines = 4
)

// display tells what happens: findings as lines, and on a terminal a status line below them.
type display struct {
	out      io.Writer
	terminal bool
	width    func() int // columns
	quiet    bool       // a summary is all that is wanted

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
	d := &display{
		out: o.Out, terminal: o.Terminal && !o.JSON, quiet: o.JSON, width: o.Width,
		findings: map[schema.ID]*schema.Finding{}, deliveries: map[string]int{},
	}
	if !d.terminal || d.width == nil {
		d.width = func() int { return fileWidth }
	}
	return d
}

// say writes a text of any length, broken between words where the line is full; further lines begin with the indent.
func (d *display) say(text, indent string) {
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
	d.say(fmt.Sprintf("aidr demo: Kafka on %s, %d shipped rules, webhooks to %s", x.broker, probeRules(probe), x.receiver.url), "")
	d.say("Three agents at work. In a while one reads a poisoned page, two share a key, and one appears that nobody registered.", "")
	fmt.Fprintln(d.out)
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
			status := fmt.Sprintf("%3.0f s  %d agents  %.0f events  %.0f/s  %d findings  %d deliveries",
				time.Since(d.began).Seconds(), d.agents(), events, rate, len(d.findings), d.delivers())
			fmt.Fprintf(d.out, "\r\x1b[K%s", plain(status, d.width()-1)) // a full line would scroll
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

var colours = map[schema.Severity]string{
	schema.SeverityCritical: "\x1b[1;31m",
	schema.SeverityHigh:     "\x1b[31m",
	schema.SeverityMedium:   "\x1b[33m",
	schema.SeverityLow:      "\x1b[36m",
}

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
	d.say(f.RuleID+": "+note+f.Explanation, "    ")
	d.say("evidence: "+plain(evidence(f), 2*width-32), "    ") // two lines, most of the time
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
		if strings.HasPrefix(name, "event.") || strings.HasPrefix(name, "ai_agent.") {
			continue // said already
		}
		if b, err := json.Marshal(e.Fields[name]); err == nil {
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
