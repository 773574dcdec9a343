package clickhouse

import (
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

// column is one column of findings: its name and what a finding has for it. The names are those of schema.Finding's
// JSON; the table in migrations has the same, and a test holds the three together.
type column struct {
	name  string
	value func(f *schema.Finding) any
}

// findingColumns is constant.
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
	{"group_start", func(f *schema.Finding) any { return clock(f.GroupStart) }},
	{"first_seen", func(f *schema.Finding) any { return clock(f.FirstSeen) }},
	{"last_seen", func(f *schema.Finding) any { return clock(f.LastSeen) }},
	{"detected_at", func(f *schema.Finding) any { return clock(detectedAt(f)) }},
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
	{"evidence.time", evidence(func(e *schema.Evidence) time.Time { return clock(e.Time) })},
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
}

func evidence[T any](of func(*schema.Evidence) T) func(*schema.Finding) any {
	return func(f *schema.Finding) any { return each(f.Evidence, of) }
}

func response[T any](of func(*schema.Response) T) func(*schema.Finding) any {
	return func(f *schema.Finding) any { return each(f.Response, of) }
}

func each[E, T any](list []E, of func(*E) T) []T {
	out := make([]T, len(list))
	for i := range list {
		out[i] = of(&list[i])
	}
	return out
}

// row returns the finding's values in the order of findingColumns, or why it can never be a row. What is checked here
// costs no round trip: time and names come from logs, so somebody may send many that do not fit.
func row(f *schema.Finding) ([]any, error) {
	if err := checkRow(f); err != nil {
		return nil, err
	}
	out := make([]any, len(findingColumns))
	for i := range findingColumns {
		out[i] = findingColumns[i].value(f)
	}
	return out, nil
}

func checkRow(f *schema.Finding) error {
	switch f.Status {
	case schema.StatusOpen, schema.StatusSettled, schema.StatusWithdrawn:
	default:
		return fmt.Errorf("status %q is none of open, settled, withdrawn", f.Status)
	}
	switch f.Severity {
	case "info", "low", "medium", "high", "critical":
	default:
		return fmt.Errorf("severity %q is none of info, low, medium, high, critical", f.Severity)
	}
	if f.Confidence < 0 || f.Confidence > 100 {
		return fmt.Errorf("confidence %d is not within 0 to 100", f.Confidence)
	}
	if f.RuleVersion < math.MinInt32 || f.RuleVersion > math.MaxInt32 {
		return fmt.Errorf("rule_version %d does not fit 32 bits", f.RuleVersion)
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

// DateTime64(9) holds 1900-01-01 to 2262-04-11 23:47:16.
const (
	minInstant schema.Instant = -2208988800 * 1e9
	maxInstant schema.Instant = 9223372036 * 1e9
)

func checkTime(name string, t schema.Instant) error {
	if t < minInstant || t > maxInstant {
		return fmt.Errorf("%s %v is not within 1900 to 2262", name, t)
	}
	return nil
}

func clock(t schema.Instant) time.Time { return time.Unix(0, int64(t)).UTC() }

// detectedAt falls back to last_seen, for a finding that was not made by a running engine.
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
	t := clock(*f.WarmingUntil)
	return &t
}

const (
	maxDecimal = "99999999999999999999999999999.999999999" // of Decimal(38, 9)

	// maxNumberText is the longest number that is read digit by digit; the engine's have at most 40 characters.
	maxNumberText = 64
)

// number makes a Decimal(38, 9) of n, nil for none. What lies beyond the type becomes its limit: the finding matters
// more than the 30th digit of its value. It must not work in proportion to an exponent.
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
	if limit := decimal.RequireFromString(maxDecimal); d.Abs().GreaterThan(limit) { // 1e29 - something, rounded up
		d = limit.Mul(decimal.NewFromInt(int64(d.Sign())))
	}
	return &d
}

// texts renders the values of fields: text as it is, everything else as JSON.
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
			out[name] = fmt.Sprint(v) // NaN or an infinity: JSON has none
			continue
		}
		out[name] = strings.TrimSuffix(b.String(), "\n")
	}
	return out
}
