package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

const (
	// tailShown is the number of events that a tail shows, the newest first.
	tailShown = 60
	// tailIdle is the time after the last look at which a tail ends.
	tailIdle = 30 * time.Second
	// maxTails is the number of tails at one time; people with the same filter share one.
	maxTails = 16
	// tailWait is how long the first page of a tail waits for whether its filter compiles.
	tailWait = 2 * time.Second
)

// tails holds the tails that people follow.
type tails struct {
	mu  sync.Mutex
	all map[tailKey]*tail
}

// tailKey names a tail: people of one tenant with one filter share it.
type tailKey struct{ tenant, filter string }

// tail is the newest events for one filter. tails.mu guards it.
type tail struct {
	lines          []tailLine // the newest last
	number         int64      // of the last event
	looked, passed int64
	err            error
	started        chan struct{} // closed once the engine has taken the filter, or refused it
	begun          bool
	used           time.Time
	stop           context.CancelFunc
}

// tailLine is one event.
type tailLine struct {
	api.EventLine
	Number int64
}

// tailView is a tail as a page shows it.
type tailView struct {
	Lines          []tailLine // the newest first
	Looked, Passed int64
	Number         int64
}

// view returns the tail of a filter, which begins with the first call.
func (c *Console) tailView(ctx context.Context, k tailKey) (v tailView, err error) {
	c.tails.mu.Lock()
	t := c.tails.all[k]
	if t == nil {
		if len(c.tails.all) >= maxTails {
			c.tails.mu.Unlock()
			return v, errors.New("too many filters are followed at the same time: try again in a minute")
		}
		t = &tail{started: make(chan struct{})}
		var life context.Context
		life, t.stop = context.WithCancel(context.Background())
		c.tails.all[k] = t
		go c.follow(life, k, t)
	}
	t.used = c.opts.Now()
	c.tails.mu.Unlock()
	select {
	case <-t.started:
	case <-ctx.Done():
		return v, ctx.Err()
	case <-time.After(tailWait):
	}
	c.tails.mu.Lock()
	defer c.tails.mu.Unlock()
	v = tailView{Lines: slices.Clone(t.lines), Looked: t.looked, Passed: t.passed, Number: t.number}
	slices.Reverse(v.Lines)
	return v, t.err
}

// tailVersion returns a text that changes with a tail, and keeps the tail alive.
func (c *Console) tailVersion(k tailKey) string {
	c.tails.mu.Lock()
	defer c.tails.mu.Unlock()
	t := c.tails.all[k]
	if t == nil {
		return ""
	}
	t.used = c.opts.Now()
	return fmt.Sprint(t.number)
}

// follow reads the events of a tail until nobody looks at it.
func (c *Console) follow(ctx context.Context, k tailKey, t *tail) {
	err := errNotOpen
	if h := c.opts.Control(); h != nil {
		who := access.Caller{Name: "console", Scopes: []access.Scope{access.Read, access.Triage}, Tenant: k.tenant}
		err = api.InProcess(h).Lines(access.With(ctx, who), "/v1/events/tail", url.Values{"filter": {k.filter}}, func(line []byte) bool {
			var x api.EventTail
			return json.Unmarshal(line, &x) == nil && c.tails.add(t, &x, c.opts.Now())
		})
	}
	c.tails.mu.Lock()
	defer c.tails.mu.Unlock()
	if t.err = err; !t.begun {
		t.begun = true
		close(t.started)
	}
	t.stop()
	if c.tails.all[k] == t {
		delete(c.tails.all, k)
	}
}

// add adds events to a tail. ok is false once nobody looks at it.
func (s *tails) add(t *tail, x *api.EventTail, now time.Time) (ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.begun {
		t.begun = true
		close(t.started)
	}
	t.looked, t.passed = x.Looked, x.Passed
	for _, e := range x.Events {
		t.number++
		t.lines = append(t.lines, tailLine{e, t.number})
	}
	t.lines = t.lines[max(0, len(t.lines)-tailShown):]
	return now.Sub(t.used) < tailIdle
}

// close ends all tails.
func (s *tails) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.all {
		t.stop()
	}
}

// tailBody is the content of the page tail.
type tailBody struct {
	tailView
	Filter string
	Failed string
	Rows   []tailRow
}

// tailRow is one event as it is shown.
type tailRow struct {
	tailLine
	What   string // the action, the tool and what it was about
	Agent  string
	Fields []seenValue
	Test   string // the event as an entry of a rule's tests
}

// tail shows the events that are read now.
func (q *request) tail() error {
	b := tailBody{Filter: q.value("filter")}
	v, err := q.console.tailView(q.r.Context(), tailKey{q.session.who.Tenant, b.Filter})
	switch {
	case errors.Is(err, errNotOpen):
		return err
	case err != nil:
		b.Failed = err.Error()
	}
	b.tailView = v
	for _, l := range v.Lines {
		b.Rows = append(b.Rows, rowOf(l))
	}
	p := page{
		Name: "tail", Nav: "tail", Title: "Live tail", Body: b,
		Help: &help{
			From: "A sample of the events that the engine reads, at most 4,000 a second over all people that look, redacted as in findings, with the fields that rules " +
				"and the inventory read. The filter is a condition as in a rule, over the redacted fields. The newest 60 are shown.",
			Command: []string{"aidr tap --config FILE"},
			SQL:     "SELECT * FROM aidr.v_events WHERE time >= now() - INTERVAL 5 MINUTE ORDER BY time DESC LIMIT 60",
		},
	}
	if b.Failed == "" {
		p.Live = "tail"
	}
	return q.show(p)
}

// rowOf returns an event as it is shown.
func rowOf(l tailLine) tailRow {
	r := tailRow{tailLine: l}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(l.Event), &fields) != nil {
		return r
	}
	text := func(name string) string {
		var s string
		if json.Unmarshal(fields[name], &s) != nil {
			return string(fields[name])
		}
		return s
	}
	for name := range fields {
		r.Fields = append(r.Fields, seenValue{Name: name, Values: []string{text(name)}})
	}
	slices.SortFunc(r.Fields, func(a, b seenValue) int { return strings.Compare(a.Name, b.Name) })
	r.What = joinFilled(" ", text("event.action"), text("gen_ai.tool.name"), text("url.domain"), text("resource.id"), text("event.outcome"))
	r.Agent = text("ai_agent.name")
	if r.Agent == "" {
		r.Agent = text("ai_agent.uid")
	}
	r.Test = testEvent(r.Fields, fields)
	return r
}

// timeFields are left out of test events, whose times are offsets.
var timeFields = []string{"time", "event.start", "event.end", "event.ingested", "event.created"}

// testEvent returns an event as an entry of the `events` of a rule's test. JSON is YAML, so values are JSON.
func testEvent(fields []seenValue, values map[string]json.RawMessage) string {
	out := "- set:\n"
	for _, f := range fields {
		if !slices.Contains(timeFields, f.Name) {
			out += "    " + f.Name + ": " + string(values[f.Name]) + "\n"
		}
	}
	return out
}
