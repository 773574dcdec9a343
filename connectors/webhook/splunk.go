package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/aidr-engine/aidr/connectors"
)

const (
	// splunkSourceType and splunkResponseType are the source types of findings, and of responses and approvals, in Splunk.
	splunkSourceType   = "aidr:finding"
	splunkResponseType = "aidr:response"
	// ackEvery is the time between two questions whether an event is indexed. Splunk itself checks every few seconds.
	ackEvery = 500 * time.Millisecond
	// ackPath follows the path of the collector.
	ackPath = "/services/collector/ack"
)

// splunk renders events for Splunk's HTTP Event Collector. If the token asks for indexer acknowledgment, the answer carries
// an ackId, and an event counts as delivered only when Splunk has indexed it: 200 alone means that the event is valid.
type splunk struct {
	sink    *Sink
	index   string
	channel string // names this sender, as acknowledgment demands; the same after a restart
	ackURL  string
}

func newSplunk(s *Sink) (*form, error) {
	c := &s.config
	if c.Token == "" {
		return nil, errors.New("token: missing: want the token of the HTTP Event Collector")
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, errors.New("url: cannot be parsed")
	}
	u.Path, u.RawQuery = ackPath, ""
	hash := sha256.Sum256([]byte("aidr\x00" + c.Name))
	channel, err := uuid.FromBytes(hash[:16])
	if err != nil {
		return nil, err
	}
	p := &splunk{sink: s, index: c.Index, channel: channel.String(), ackURL: u.String() + "?channel=" + channel.String()}
	return &form{
		contentType: "application/json", render: p.render, answered: p.answered,
		headers: map[string]string{"Authorization": "Splunk " + c.Token, "X-Splunk-Request-Channel": p.channel},
	}, nil
}

func (p *splunk) render(m *message) ([]byte, error) {
	n := noticeOf(m)
	out := map[string]any{
		"time": splunkTime(int64(m.Timestamp)), "source": "aidr", "sourcetype": splunkSourceType, "event": m,
		"fields": map[string]any{
			"type": m.Type, "id": m.entry.ID(), "rule_id": n.rule, "severity": n.severity, "agent_uid": n.agentUID,
		},
	}
	if m.finding == nil {
		out["sourcetype"] = splunkResponseType
	}
	if p.index != "" {
		out["index"] = p.index
	}
	return encode(out)
}

// splunkTime returns nanoseconds since 1970 as seconds with milliseconds.
func splunkTime(ns int64) json.Number {
	ns = max(ns, 0) // before 1970 Splunk has no time
	return json.Number(fmt.Sprintf("%d.%03d", ns/1e9, ns/1e6%1e3))
}

// answered waits until the event is indexed, if the answer asks for it.
func (p *splunk) answered(ctx context.Context, _ *connectors.Entry, body []byte) answer {
	var got struct {
		AckID *json.Number `json:"ackId"`
	}
	if json.Unmarshal(body, &got) != nil || got.AckID == nil {
		return answer{verdict: verdictDelivered}
	}
	id := got.AckID.String()
	if strings.Trim(id, "0123456789") != "" || len(id) > 20 {
		return answer{verdict: verdictRetry, reason: connectors.ReasonUnacknowledged, detail: "the answer has an ackId that is not a number"}
	}
	tick := time.NewTicker(ackEvery)
	defer tick.Stop()
	for {
		done, err := p.indexed(ctx, id)
		if done {
			return answer{verdict: verdictDelivered}
		}
		if err != nil && ctx.Err() == nil {
			return answer{verdict: verdictRetry, reason: connectors.ReasonUnacknowledged, detail: errorText(err)}
		}
		select {
		case <-ctx.Done():
			return answer{
				verdict: verdictRetry, reason: connectors.ReasonUnacknowledged,
				detail: "accepted, but not acknowledged as indexed in time: the event is sent again, and may be indexed twice",
			}
		case <-tick.C:
		}
	}
}

// indexed asks whether an event is indexed.
func (p *splunk) indexed(ctx context.Context, id string) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.ackURL, bytes.NewReader([]byte(`{"acks":[`+id+`]}`)))
	if err != nil {
		return false, errors.New("the URL of acknowledgments cannot be requested")
	}
	p.sink.setHeaders(req)
	resp, err := p.sink.client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false, fmt.Errorf("the question for the acknowledgment was answered with %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return false, err
	}
	var got struct{ Acks map[string]bool }
	if err := json.Unmarshal(body, &got); err != nil {
		return false, errors.New("the answer to the question for the acknowledgment is not JSON")
	}
	return got.Acks[id], nil
}
