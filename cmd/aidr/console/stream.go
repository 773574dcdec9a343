package console

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/contain"
)

const (
	// maxStreams is the number of streams of one console: more than people on duty have pages open, and few enough that the
	// listener (api.MaxConnections) still serves pages.
	maxStreams = 100
	// lookEvery is the time between two looks at the versions. It bounds how late a page is.
	lookEvery = 500 * time.Millisecond
	// lookedAt is the number of findings, the latest first, whose changes callers of one tenant hear of at once. They may not see the
	// number of changes of all tenants.
	lookedAt = 100
	// beatEvery is the time between two signs of life on a stream. It bounds how long a stream outlives its session.
	beatEvery = 10 * time.Second
	// tailEvery is the time between two looks at a tail: people cannot read faster.
	tailEvery = 700 * time.Millisecond
	// sendTime is how long a client may take to accept one event of a few bytes. A client that does not read is cut off after it.
	sendTime = 5 * time.Second
)

// versions are numbers that change with the content of the live parts.
type versions struct {
	findings    string // changes of findings
	containment string // the containment table with receipts and proofs
}

// hubs holds a hub for each tenant that streams are limited to; "" is the hub of all tenants.
type hubs struct {
	look func(ctx context.Context, tenant string) (versions, error)

	mu      sync.Mutex
	streams int
	all     map[string]*hub
}

func newHubs(look func(context.Context, string) (versions, error)) *hubs {
	return &hubs{look: look, all: map[string]*hub{}}
}

// hub looks at the versions while at least one stream is open and wakes the streams when one changes. Nothing is queued: a stream
// that wakes late finds the newest versions. hubs.mu guards it.
type hub struct {
	tenant  string
	streams int
	now     versions
	changed chan struct{} // closed at the next change
	stop    context.CancelFunc
}

// enter adds a stream; it returns nil if there are too many.
func (h *hubs) enter(tenant string) *hub {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams == maxStreams {
		return nil
	}
	h.streams++
	x := h.all[tenant]
	if x == nil {
		ctx, stop := context.WithCancel(context.Background())
		x = &hub{tenant: tenant, changed: make(chan struct{}), stop: stop}
		h.all[tenant] = x
		go h.watch(ctx, x)
	}
	x.streams++
	return x
}

// leave removes a stream. The hub of the last one ends.
func (h *hubs) leave(x *hub) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.streams--
	if x.streams--; x.streams == 0 {
		x.stop()
		delete(h.all, x.tenant)
	}
}

// latest returns the versions, and a channel that is closed when they change.
func (h *hubs) latest(x *hub) (versions, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return x.now, x.changed
}

// watch looks until the last stream ends.
func (h *hubs) watch(ctx context.Context, x *hub) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if v, err := h.look(ctx, x.tenant); err == nil {
			h.set(x, v)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *hubs) set(x *hub, v versions) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if v == x.now {
		return
	}
	x.now = v
	close(x.changed)
	x.changed = make(chan struct{})
}

// versions reads the versions from the control API, as a caller that sees a tenant, or all if it is "". The hub reads for all
// streams of a tenant, and they see numbers only.
func (c *Console) versions(ctx context.Context, tenant string) (v versions, err error) {
	h := c.opts.Control()
	if h == nil {
		return v, errNotOpen
	}
	ctx, cancel := context.WithTimeout(access.With(ctx, access.Caller{Name: "console", Scopes: []access.Scope{access.Read}, Tenant: tenant}), queryTime)
	defer cancel()
	client := api.InProcess(h)
	if tenant == "" {
		var s api.Status
		if err := client.Do(ctx, http.MethodGet, "/v1/status", nil, &s); err != nil {
			return v, err
		}
		v.findings = fmt.Sprint(s.Entries)
	} else if v.findings, err = lastChanges(ctx, client); err != nil {
		return v, err
	}
	var l contain.Contained
	if err := client.Do(ctx, http.MethodGet, "/v1/containments", nil, &l); err != nil {
		return v, err
	}
	v.containment = versionOf(&l)
	return v, nil
}

// lastChanges returns a text that changes with the latest findings that the caller sees.
func lastChanges(ctx context.Context, client *api.Client) (string, error) {
	sum := fnv.New64a()
	err := client.Lines(ctx, "/v1/findings", url.Values{"limit": {strconv.Itoa(lookedAt)}}, func(line []byte) bool {
		sum.Write(line) // never fails
		return true
	})
	return strconv.FormatUint(sum.Sum64(), 36), err
}

// versionOf returns a text that changes with the table, its receipts and its proofs.
func versionOf(l *contain.Contained) string {
	var receipts, proofs, stages int64
	for i := range l.Responses {
		r := &l.Responses[i]
		proofs += r.Proof.Denials + r.Proof.Successes
		for _, x := range r.Receipts {
			receipts += x.Refused + x.Allowed
		}
		stages = stages*31 + int64(len(r.Stage)) + int64(r.Version)
	}
	return fmt.Sprintf("%d.%d.%d.%d.%d", l.Version, len(l.Approvals), receipts, proofs, stages)
}

// liveTail sends an event whenever the tail of a filter has events, at the pace at which people can read.
func (q *request) liveTail() error {
	if !q.session.who.may(access.Triage) {
		return badRequest{fmt.Errorf("%s lacks the scope %s", q.session.who.Name, access.Triage)}
	}
	q.w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(tailEvery)
	defer tick.Stop()
	last, beat := "", q.console.opts.Now()
	for {
		text := q.console.tailVersion(tailKey{q.session.who.Tenant, q.value("filter")})
		now := q.console.opts.Now()
		switch {
		case !q.console.sessions.alive(q.session):
			return nil
		case text != last:
			if last, beat = text, now; !q.sendEvent("event: version\ndata: " + text + "\n\n") {
				return nil
			}
		case now.Sub(beat) >= beatEvery:
			if beat = now; !q.sendEvent(": alive\n\n") {
				return nil
			}
		}
		select {
		case <-q.r.Context().Done():
			return nil
		case <-q.session.ctx.Done():
			return nil
		case <-q.session.who.Ended:
			return nil
		case <-tick.C:
		}
	}
}

// live sends an event whenever the part that the page shows has changed: findings, containments, or both.
func (q *request) live() error {
	h := q.console.hubs
	x := h.enter(q.session.who.Tenant)
	if x == nil {
		http.Error(q.w, "too many live pages are open: reload the page to see the present state", http.StatusServiceUnavailable)
		return nil
	}
	defer h.leave(x)
	if q.value("of") == "tail" {
		return q.liveTail()
	}
	q.w.Header().Set("Content-Type", "text/event-stream")
	of := q.value("of")
	last, beat := "", time.NewTicker(beatEvery)
	defer beat.Stop()
	for first := true; ; first = false {
		v, changed := h.latest(x)
		if text := v.text(of); v != (versions{}) && (text != last || first) {
			last = text
			if !q.sendEvent("event: version\ndata: " + text + "\n\n") {
				return nil
			}
		}
		select {
		case <-q.r.Context().Done():
			return nil
		case <-q.session.ctx.Done():
			return nil
		case <-q.session.who.Ended:
			return nil
		case <-beat.C:
			if !q.console.sessions.alive(q.session) || !q.sendEvent(": alive\n\n") {
				return nil
			}
		case <-changed:
		}
	}
}

// text returns what a page that follows a part compares.
func (v versions) text(of string) string {
	switch of {
	case "findings":
		return v.findings
	case "containment":
		return v.containment
	}
	return v.findings + "." + v.containment
}

// sendEvent writes to the stream; ok is false if the client does not take it in time.
func (q *request) sendEvent(text string) (ok bool) {
	c := http.NewResponseController(q.w)
	c.SetWriteDeadline(time.Now().Add(sendTime)) // an error means that the writer has no deadlines
	if _, err := q.w.Write([]byte(text)); err != nil {
		return false
	}
	return c.Flush() == nil
}
