package webhook

import (
	"cmp"
	"errors"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of the Events API v2 of PagerDuty.
const (
	maxPagerSummary = 1024 // characters; counted in bytes here
	maxPagerSource  = 255  // bytes; the documentation gives a limit for dedup_key only
)

// pagerDuty renders events for the Events API v2. The finding's id is the dedup_key, so all changes of a finding belong to
// one alert. A withdrawn finding resolves its alert. That a finding is settled is not sent: it is no news for the person on
// call, and it would open a new alert if the first one is resolved. Of responses only the question for an approval is sent,
// because a person has to act.
type pagerDuty struct {
	routingKey string
}

func newPagerDuty(c *Config) (*form, error) {
	if c.RoutingKey == "" {
		return nil, errors.New("routing_key: missing: want the integration key of the service (Events API v2)")
	}
	return &form{
		contentType: "application/json", render: pagerDuty{c.RoutingKey}.render,
		wants: func(t connectors.EntryType) bool {
			return t != connectors.FindingSettled && t != connectors.AgentContained && t != connectors.AgentReleased
		},
	}, nil
}

func (p pagerDuty) render(m *message) ([]byte, error) {
	n := noticeOf(m)
	out := map[string]any{"routing_key": p.routingKey, "dedup_key": m.entry.ID().String(), "event_action": "trigger"}
	if m.Type == connectors.FindingWithdrawn {
		out["event_action"] = "resolve"
		return encode(out)
	}
	out["client"] = "AIDR"
	payload := map[string]any{
		"summary":        truncate(n.title+": "+n.summary, maxPagerSummary-len(ellipsis)),
		"source":         truncate(cmp.Or(n.agent, n.tenant, "aidr"), maxPagerSource-len(ellipsis)),
		"severity":       pagerSeverity(n.severity),
		"timestamp":      m.Timestamp,
		"component":      n.rule,
		"class":          n.class,
		"custom_details": m.Data,
	}
	if n.tenant != "" {
		payload["group"] = n.tenant
	}
	out["payload"] = payload
	if l := m.Links; l != nil {
		var all []any
		if l.Console != "" {
			out["client_url"] = l.Console
			all = append(all, map[string]any{"href": l.Console, "text": "Open in AIDR"})
		}
		if l.Runbook != "" {
			all = append(all, map[string]any{"href": l.Runbook, "text": "Runbook"})
		}
		out["links"] = all
	}
	return encode(out)
}

// pagerSeverity returns the name that PagerDuty has for a severity.
func pagerSeverity(s schema.Severity) string {
	switch s {
	case schema.SeverityCritical:
		return "critical"
	case schema.SeverityHigh:
		return "error"
	case schema.SeverityMedium:
		return "warning"
	}
	return "info"
}
