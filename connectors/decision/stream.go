package decision

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// maxStreams is the number of processes that may follow at a time: one for each gateway of a large site.
const maxStreams = 1_000

// stream serves /v1/snapshot: server-sent events, each a schema.Snapshot. The first is full, or holds the changes since
// Last-Event-ID; later ones hold changes, and come at least once a beat.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, p *Point, t Table) {
	if !s.metrics.begin() {
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%d processes follow already", maxStreams))
		return
	}
	defer s.metrics.end()
	c := http.NewResponseController(w)
	_ = c.SetWriteDeadline(time.Time{}) // a stream lasts; an error means that the connection is closed
	_ = c.SetReadDeadline(time.Time{})
	w.Header().Set("Content-Type", "text/event-stream")
	epoch, version := parseEventID(r.Header.Get("Last-Event-ID"))
	for {
		changed := t.Changed()
		snapshot := t.Since(epoch, version)
		body, err := json.Marshal(snapshot)
		if err != nil {
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(streamWrite))
		if _, err := fmt.Fprintf(w, "id: %d:%d\nevent: snapshot\ndata: %s\n\n", snapshot.Epoch, snapshot.Version, body); err != nil {
			return
		}
		if c.Flush() != nil {
			return
		}
		epoch, version = snapshot.Epoch, snapshot.Version
		waitOr(r.Context(), changed, s.opts.Beat)
		if r.Context().Err() != nil || s.opts.Table() != t {
			return // the follower connects again, and asks the process that has the table now
		}
	}
}

// streamWrite bounds the time that a follower takes to accept an event. One that is slower is cut off, and connects again.
const streamWrite = 10 * time.Second

// parseEventID returns the epoch and the version of an id of an event, or zeros.
func parseEventID(id string) (schema.Instant, uint64) {
	a, b, ok := strings.Cut(id, ":")
	epoch, err := strconv.ParseInt(a, 10, 64)
	version, err2 := strconv.ParseUint(b, 10, 64)
	if !ok || err != nil || err2 != nil {
		return 0, 0
	}
	return schema.Instant(epoch), version
}

// begin counts a stream, and reports whether another one is allowed.
func (m *serverMetrics) begin() bool {
	if m.open.Add(1) > maxStreams {
		m.open.Add(-1)
		return false
	}
	m.streams.Inc()
	return true
}

func (m *serverMetrics) end() {
	m.open.Add(-1)
	m.streams.Dec()
}

const (
	// maxEvent is the largest event that a follower reads: a full snapshot of many containments.
	maxEvent = 256 << 20
	// quiet is how many beats a follower waits for a sign of life before it connects again.
	quiet = 4
)

// Follower follows the table of another process.
type Follower struct {
	URL    string // of the process, such as https://aidr.example.com:8473
	Token  string
	Client *http.Client
	Beat   time.Duration // of the server; 0: DefaultBeat
	// Snapshot is called with each snapshot, in order, and reports whether it could be used: if not, a full one is asked for.
	// State is called when the connection is made, with "", or lost, with the reason.
	Snapshot func(*schema.Snapshot) bool
	State    func(problem string)
}

// Run follows until ctx ends. It never gives up: while the process is away, it tries again with growing pauses.
func (f *Follower) Run(ctx context.Context) {
	pauses := connectors.Backoff{Min: 100 * time.Millisecond, Max: 5 * time.Second}
	last := ""
	for ctx.Err() == nil {
		got, err := f.follow(ctx, &last)
		if got {
			pauses.Reset()
		}
		if ctx.Err() != nil {
			return
		}
		f.State(err.Error())
		waitOr(ctx, nil, pauses.Next())
	}
}

// follow reads one stream until it ends. got reports whether it gave a snapshot.
func (f *Follower) follow(ctx context.Context, last *string) (got bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beat := f.Beat
	if beat <= 0 {
		beat = DefaultBeat
	}
	alive := time.AfterFunc(quiet*beat, cancel)
	defer alive.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(f.URL, "/")+"/v1/snapshot", nil)
	if err != nil {
		return false, errors.New("the URL cannot be requested")
	}
	req.Header.Set("Authorization", "Bearer "+f.Token)
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	resp, err := f.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return false, fmt.Errorf("answered %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	f.State("")
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEvent)
	id := ""
	for lines.Scan() {
		line := lines.Text()
		if v, ok := strings.CutPrefix(line, "id: "); ok {
			id = v
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok {
			continue
		}
		var s schema.Snapshot
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			*last = ""
			return got, fmt.Errorf("a snapshot cannot be read: %w", err)
		}
		alive.Reset(quiet * beat)
		if !f.Snapshot(&s) {
			*last = ""
			return got, errors.New("a change does not build on what is known; asking for everything")
		}
		*last, got = id, true
	}
	if err := lines.Err(); err != nil {
		return got, err
	}
	return got, errors.New("the stream ended")
}

// Ask asks the process about one call.
func (f *Follower) Ask(ctx context.Context, q *schema.Question) (*schema.Decision, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(f.URL, "/")+"/v1/decision", strings.NewReader(string(body)))
	if err != nil {
		return nil, errors.New("the URL cannot be requested")
	}
	req.Header.Set("Authorization", "Bearer "+f.Token)
	resp, err := f.Client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", resp.StatusCode)
	}
	var d schema.Decision
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxQuestion)).Decode(&d); err != nil {
		return nil, err
	}
	return &d, nil
}

// Report sends receipts to the process.
func (f *Follower) Report(ctx context.Context, list []schema.Receipt) error {
	body, err := json.Marshal(list)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(f.URL, "/")+"/v1/receipts", strings.NewReader(string(body)))
	if err != nil {
		return errors.New("the URL cannot be requested")
	}
	req.Header.Set("Authorization", "Bearer "+f.Token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("answered %d", resp.StatusCode)
	}
	return nil
}
