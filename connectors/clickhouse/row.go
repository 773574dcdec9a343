package clickhouse

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/aidr-engine/aidr/schema"
)

// column is one column of the table findings. Its name is that of the field in the JSON form of schema.Finding; a field of
// its provenance has the name of both, as in provenance_value.
type column struct {
	name  string
	value func(f *schema.Finding) any
}

// findingColumns lists the columns of the table findings, in the order in which the migrations added them. It is not
// changed at run time. A test compares it with the table that the migrations create.
var findingColumns = [...]column{
	{"id", func(f *schema.Finding) any { return uuid.UUID(f.ID) }},
	{"revision", func(f *schema.Finding) any { return f.Revision }},
	{"status", func(f *schema.Finding) any { return string(f.Status) }},
	{"rule_id", func(f *schema.Finding) any { return f.RuleID }},
	{"rule_version", func(f *schema.Finding) any { return int32(f.RuleVersion) }},
	{"kind", func(f *schema.Finding) any { return f.Kind }},
	{"title", func(f *schema.Finding) any { return f.Title }},
	{"severity", func(f *schema.Finding) any { return string(f.Severity) }},
	{"confidence", func(f *schema.Finding) any { return uint8(f.Confidence) }},
	{"tags", func(f *schema.Finding) any { return f.Tags }},
	{"shadow", func(f *schema.Finding) any { return f.Shadow }},
	{"tenant", func(f *schema.Finding) any { return f.Tenant }},
	{"agent_uid", func(f *schema.Finding) any { return f.AgentUID }},
	{"agent_name", func(f *schema.Finding) any { return f.AgentName }},
	{"agent_uid_source", func(f *schema.Finding) any { return f.AgentSource }},
	{"session_id", func(f *schema.Finding) any { return f.SessionID }},
	{"key", func(f *schema.Finding) any { return f.Key }},
	{"group_start", func(f *schema.Finding) any { return timeOf(f.GroupStart) }},
	{"first_seen", func(f *schema.Finding) any { return timeOf(f.FirstSeen) }},
	{"last_seen", func(f *schema.Finding) any { return timeOf(f.LastSeen) }},
	{"detected_at", func(f *schema.Finding) any { return timeOf(detectedAt(f)) }},
	{"count", func(f *schema.Finding) any { return f.Count }},
	{"value", func(f *schema.Finding) any { return number(f.Value) }},
	{"threshold", func(f *schema.Finding) any { return number(f.Threshold) }},
	{"baseline", func(f *schema.Finding) any { return string(f.Baseline) }},
	{"late", func(f *schema.Finding) any { return f.Late }},
	{"warming_until", func(f *schema.Finding) any { return warmingUntil(f) }},
	{"explanation", func(f *schema.Finding) any { return f.Explanation }},
	{"reasons", func(f *schema.Finding) any { return f.Reasons }},

	{"evidence.event_id", evidence(func(e *schema.Evidence) string { return e.EventID })},
	{"evidence.identity", evidence(func(e *schema.Evidence) uuid.UUID { return uuid.UUID(e.Identity) })},
	{"evidence.time", evidence(func(e *schema.Evidence) time.Time { return timeOf(e.Time) })},
	{"evidence.topic", evidence(func(e *schema.Evidence) string { return e.Topic })},
	{"evidence.partition", evidence(func(e *schema.Evidence) int32 { return e.Partition })},
	{"evidence.offset", evidence(func(e *schema.Evidence) int64 { return e.Offset })},
	{"evidence.index", evidence(func(e *schema.Evidence) int64 { return int64(e.Index) })},
	{"evidence.dataset", evidence(func(e *schema.Evidence) string { return e.Dataset })},
	{"evidence.action", evidence(func(e *schema.Evidence) string { return e.Action })},
	{"evidence.resource", evidence(func(e *schema.Evidence) string { return e.Resource })},
	{"evidence.outcome", evidence(func(e *schema.Evidence) string { return e.Outcome })},
	{"evidence.step", evidence(func(e *schema.Evidence) string { return e.Step })},
	{"evidence.fields", evidence(func(e *schema.Evidence) map[string]string { return texts(e.Fields) })},

	{"response.action", response(func(r *schema.Response) string { return r.Action })},
	{"response.target", response(func(r *schema.Response) string { return r.Target })},
	{"response.state", response(func(r *schema.Response) string { return r.State })},
	{"response.mode", response(func(r *schema.Response) string { return r.Mode })},
	{"response.ttl", response(func(r *schema.Response) string { return r.TTL })},
	{"response.result", response(func(r *schema.Response) string { return r.Result })},

	{"evidence.class", evidence(func(e *schema.Evidence) string { return e.Class })},
	{"evidence.tool", evidence(func(e *schema.Evidence) string { return e.Tool })},
	{"evidence.tool_server", evidence(func(e *schema.Evidence) string { return e.ToolServer })},
	{"evidence.target", evidence(func(e *schema.Evidence) string { return e.Target })},
	{"evidence.credential_uid", evidence(func(e *schema.Evidence) string { return e.CredentialUID })},

	{"summary", func(f *schema.Finding) any { return f.Summary }},
	{"withdrawn_reason", func(f *schema.Finding) any { return f.WithdrawnReason }},

	{"provenance_value", provenance(func(p *schema.Provenance) string { return p.Value })},
	{"provenance_argument", provenance(func(p *schema.Provenance) string { return p.Argument })},
	{"provenance_source", provenance(func(p *schema.Provenance) string { return p.Source })},
	{"operational", func(f *schema.Finding) any { return f.Operational }},

	{"evidence.source_ip", evidence(func(e *schema.Evidence) string { return e.SourceIP })},
	{"evidence.workflow", evidence(func(e *schema.Evidence) string { return e.Workflow })},
	{"credential_uid", about(schema.CredentialUID, func(e *schema.Evidence) string { return e.CredentialUID })},
	{"source_ip", about(schema.SourceIP, func(e *schema.Evidence) string { return e.SourceIP })},
	{"tool", about(schema.GenAIToolName, func(e *schema.Evidence) string { return e.Tool })},
	{"target", func(f *schema.Finding) any {
		return cmp.Or(latest(f.Evidence, func(e *schema.Evidence) string { return e.Target }), f.Key[schema.URLDomain.String()])
	}},
	{"workflow", about(schema.AIAgentWorkflow, func(e *schema.Evidence) string { return e.Workflow })},
}

// about returns the value of a column with one value of a field of the events: that of the finding's key, else that of the
// last event in the evidence that has one. Evidence is in the order of event time, so the choice does not depend on arrival.
func about(key schema.Field, field func(*schema.Evidence) string) func(*schema.Finding) any {
	name := key.String()
	return func(f *schema.Finding) any { return cmp.Or(f.Key[name], latest(f.Evidence, field)) }
}

// latest returns the value of the last event that has one; "" if none has.
func latest(events []schema.Evidence, field func(*schema.Evidence) string) string {
	for i := len(events) - 1; i >= 0; i-- {
		if v := field(&events[i]); v != "" {
			return v
		}
	}
	return ""
}

// provenance returns the value of a column about the finding's provenance; "" if the finding has none.
func provenance(field func(*schema.Provenance) string) func(*schema.Finding) any {
	return func(f *schema.Finding) any {
		if f.Provenance == nil {
			return ""
		}
		return field(f.Provenance)
	}
}

// evidence returns the value of a nested column: an array with one element for each event of the evidence.
func evidence[T any](field func(*schema.Evidence) T) func(*schema.Finding) any {
	return func(f *schema.Finding) any { return each(f.Evidence, field) }
}

// response returns the value of a nested column: an array with one element for each response.
func response[T any](field func(*schema.Response) T) func(*schema.Finding) any {
	return func(f *schema.Finding) any { return each(f.Response, field) }
}

func each[E, T any](list []E, field func(*E) T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = field(&list[i])
	}
	return out
}

// rowValues returns the finding's values in the order of findingColumns. An error means that the finding can never be a
// row. Times and names come from logs, so the author of a log can cause many such findings; the check here spares them
// the round trips that separate bad rows from good ones on the server.
func rowValues(f *schema.Finding) ([]any, error) {
	if err := checkRow(f); err != nil {
		return nil, err
	}
	out := make([]any, len(findingColumns))
	for i := range findingColumns {
		out[i] = findingColumns[i].value(f)
	}
	return out, nil
}

// checkRow reports values that the types of the columns cannot hold.
func checkRow(f *schema.Finding) error {
	switch f.Status {
	case schema.StatusOpen, schema.StatusSettled, schema.StatusWithdrawn:
	default:
		return fmt.Errorf("status %q: want open, settled or withdrawn", f.Status)
	}
	if f.Severity.Rank() < 0 {
		return fmt.Errorf("severity %q: want one of %v", f.Severity, schema.Severities())
	}
	if f.Confidence < 0 || f.Confidence > 100 {
		return fmt.Errorf("confidence %d: want 0 to 100", f.Confidence)
	}
	if f.RuleVersion < math.MinInt32 || f.RuleVersion > math.MaxInt32 {
		return fmt.Errorf("rule_version %d: want a number of 32 bits", f.RuleVersion)
	}
	for _, t := range []struct {
		name string
		at   schema.Instant
	}{{"group_start", f.GroupStart}, {"first_seen", f.FirstSeen}, {"last_seen", f.LastSeen}, {"detected_at", detectedAt(f)}} {
		if err := checkTime(t.name, t.at); err != nil {
			return err
		}
	}
	if f.WarmingUntil != nil {
		if err := checkTime("warming_until", *f.WarmingUntil); err != nil {
			return err
		}
	}
	for i := range f.Evidence {
		if err := checkTime("evidence.time", f.Evidence[i].Time); err != nil {
			return err
		}
	}
	return nil
}

// The range of DateTime64(9): 1900-01-01 to 2262-04-11 23:47:16.
const (
	minInstant schema.Instant = -2208988800 * 1e9
	maxInstant schema.Instant = 9223372036 * 1e9
)

func checkTime(name string, t schema.Instant) error {
	if t < minInstant || t > maxInstant {
		return fmt.Errorf("%s %v: want a time from 1900 to 2262", name, t)
	}
	return nil
}

func timeOf(t schema.Instant) time.Time { return time.Unix(0, int64(t)).UTC() }

// detectedAt returns the time of detection. For a finding of a replay, in which it is not set, it returns last_seen.
func detectedAt(f *schema.Finding) schema.Instant {
	if f.DetectedAt == nil {
		return f.LastSeen
	}
	return *f.DetectedAt
}

func warmingUntil(f *schema.Finding) *time.Time {
	if f.WarmingUntil == nil {
		return nil
	}
	t := timeOf(*f.WarmingUntil)
	return &t
}

const (
	maxDecimal = "99999999999999999999999999999.999999999" // the largest Decimal(38, 9)

	// maxNumberText is the length of the longest text of a number that is parsed exactly. The engine's numbers have at
	// most 40 characters.
	maxNumberText = 64
)

// number converts n to a Decimal(38, 9); the result is nil if n is not a number. A number beyond the range of the type
// becomes the limit of the range, because the finding matters more than the 30th digit of its value. The work must not
// grow with the exponent: 1e999999999 is a short text.
func number(n json.Number) *decimal.Decimal {
	if n == "" {
		return nil
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil && !math.IsInf(f, 0) || math.IsNaN(f) {
		return nil
	}
	text := string(n)
	switch {
	case f >= 1e29:
		text = maxDecimal
	case f <= -1e29:
		text = "-" + maxDecimal
	case math.Abs(f) < 1e-10:
		text = "0"
	case len(text) > maxNumberText:
		text = strconv.FormatFloat(f, 'f', 9, 64)
	}
	d, err := decimal.NewFromString(text)
	if err != nil {
		return nil
	}
	d = d.Round(9)
	if limit := decimal.RequireFromString(maxDecimal); d.Abs().GreaterThan(limit) { // a number just below 1e29 was rounded up
		d = limit.Mul(decimal.NewFromInt(int64(d.Sign())))
	}
	return &d
}

// texts renders the values of fields: a text as it is, every other value as JSON.
func texts(fields map[string]any) map[string]string {
	out := make(map[string]string, len(fields))
	for name, v := range fields {
		if s, ok := v.(string); ok {
			out[name] = s
			continue
		}
		var b strings.Builder
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			out[name] = fmt.Sprint(v) // NaN or an infinity, which JSON cannot represent
			continue
		}
		out[name] = strings.TrimSuffix(b.String(), "\n")
	}
	return out
}
