package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/aidr-engine/aidr/schema"
)

// canonical renders the parts of a finding that depend on events alone: without the revision, the wall clock, and the
// position of its events. Values of fields are texts, as in ClickHouse.
func canonical(t testing.TB, f *schema.Finding) string {
	t.Helper()
	c := *f
	c.Revision, c.DetectedAt, c.Guide = 0, nil, nil
	c.Value, c.Threshold = nine(t, c.Value), nine(t, c.Threshold)
	c.Evidence = slices.Clone(f.Evidence)
	for i := range c.Evidence {
		e := &c.Evidence[i]
		e.Topic, e.Partition, e.Offset, e.Index = "", 0, 0, 0
		fields := map[string]any{}
		for name, v := range e.Fields {
			fields[name] = text(t, v)
		}
		e.Fields = fields
	}
	b, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// nine formats a number with nine decimals, the scale of the column in ClickHouse.
func nine(t testing.TB, n json.Number) json.Number {
	t.Helper()
	if n == "" {
		return ""
	}
	r, ok := new(big.Rat).SetString(string(n))
	if !ok {
		t.Fatalf("%q is no number", n)
	}
	return json.Number(r.FloatString(9))
}

func text(t testing.TB, v any) string {
	t.Helper()
	if s, ok := v.(string); ok {
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(b.String())
}

// byID renders findings, by id.
func byID(t testing.TB, findings map[schema.ID]*schema.Finding) map[schema.ID]string {
	t.Helper()
	out := map[schema.ID]string{}
	for id, f := range findings {
		out[id] = canonical(t, f)
	}
	return out
}

// difference returns an error that describes how got differs from want, or nil.
func difference(got, want map[schema.ID]string) error {
	var lines []string
	for id, w := range want {
		switch g, ok := got[id]; {
		case !ok:
			lines = append(lines, fmt.Sprintf("- %s\n%s", id, brief(w)))
		case g != w:
			lines = append(lines, fmt.Sprintf("! %s\n%s", id, lineDifference(g, w)))
		}
	}
	for id, g := range got {
		if _, ok := want[id]; !ok {
			lines = append(lines, fmt.Sprintf("+ %s\n%s", id, brief(g)))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	slices.Sort(lines)
	const shown = 5
	return fmt.Errorf("%d findings differ (- missing, + surplus, ! different), want %d:\n%s",
		len(lines), len(want), strings.Join(lines[:min(shown, len(lines))], "\n"))
}

func brief(f string) string {
	const most = 700
	if len(f) > most {
		return f[:most] + "..."
	}
	return f
}

// lineDifference returns the lines in which two findings differ.
func lineDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for i := range max(len(g), len(w)) {
		a, b := "", ""
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			out = append(out, "  got  "+brief(a), "  want "+brief(b))
		}
	}
	const shown = 12
	return strings.Join(out[:min(shown, len(out))], "\n")
}

// replayed returns the findings of `aidr replay` over the corpus until now, which are the expected findings of a run.
func replayed(t testing.TB, rules []string, parts []partition) map[schema.ID]*schema.Finding {
	t.Helper()
	args := []string{"replay", "--until", time.Now().UTC().Format(time.RFC3339)}
	for _, r := range rules {
		args = append(args, "--rules", r)
	}
	out := map[schema.ID]*schema.Finding{}
	for _, f := range jsonLines[*schema.Finding](t, mustAidr(t, append(args, writeCorpus(t, parts)...)...)) {
		if f.Status != schema.StatusSettled {
			t.Fatalf("finding %s of %s is %s, want settled: its group is over", f.ID, f.RuleID, f.Status)
		}
		out[f.ID] = f
	}
	return out
}

// database reads findings as an analyst would.
type database struct {
	conn driver.Conn
}

// openDatabase connects to the database of a DSN. The database need not exist yet.
func openDatabase(t testing.TB, dsn string) *database {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal("the DSN does not parse") // the error may contain the password
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &database{conn}
}

// findings reads v_findings, without withdrawn findings.
func (d *database) findings(t testing.TB) (map[schema.ID]*schema.Finding, error) {
	rows, err := d.conn.Query(t.Context(), `SELECT id, status, rule_id, rule_version, kind, title, severity, confidence, tags, shadow, tenant,
		agent_uid, agent_name, agent_uid_source, session_id, key, group_start, first_seen, last_seen, count, value, threshold, baseline,
		provenance_value, provenance_argument, provenance_source, late, warming_until, summary, withdrawn_reason, explanation, reasons, evidence.event_id, evidence.identity, evidence.time, evidence.dataset, evidence.class,
		evidence.action, evidence.tool, evidence.tool_server, evidence.target, evidence.resource,
		evidence.outcome, evidence.credential_uid, evidence.source_ip, evidence.workflow, evidence.step, evidence.fields, response.action, response.target, response.state, response.mode,
		response.ttl, response.result FROM v_findings WHERE status != 'withdrawn'`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[schema.ID]*schema.Finding{}
	for rows.Next() {
		var r row
		if err := rows.Scan(r.fields()...); err != nil {
			return nil, err
		}
		f := r.finding()
		if out[f.ID] != nil {
			return nil, fmt.Errorf("v_findings has finding %s twice", f.ID)
		}
		out[f.ID] = f
	}
	return out, rows.Err()
}

// row is one row of v_findings as the driver reads it.
type row struct {
	f                                              schema.Finding
	id                                             uuid.UUID
	version                                        int32
	confidence                                     uint8
	status, severity, baseline                     string
	provenance                                     schema.Provenance
	groupStart, firstSeen, lastSeen                time.Time
	value, threshold                               *decimal.Decimal
	warming                                        *time.Time
	eventIDs, datasets, classes, actions, tools    []string
	servers, hosts, resources, outcomes            []string
	credentials, addresses, workflows, steps       []string
	identities                                     []uuid.UUID
	times                                          []time.Time
	maps                                           []map[string]string
	doing, targets, states, modes, lasting, result []string
}

func (r *row) fields() []any {
	f := &r.f
	return []any{&r.id, &r.status, &f.RuleID, &r.version, &f.Kind, &f.Title, &r.severity, &r.confidence, &f.Tags, &f.Shadow, &f.Tenant,
		&f.AgentUID, &f.AgentName, &f.AgentSource, &f.SessionID, &f.Key, &r.groupStart, &r.firstSeen, &r.lastSeen,
		&f.Count, &r.value, &r.threshold, &r.baseline,
		&r.provenance.Value, &r.provenance.Argument, &r.provenance.Source, &f.Late, &r.warming, &f.Summary, &f.WithdrawnReason, &f.Explanation, &f.Reasons,
		&r.eventIDs, &r.identities, &r.times, &r.datasets, &r.classes, &r.actions, &r.tools, &r.servers, &r.hosts,
		&r.resources, &r.outcomes, &r.credentials, &r.addresses, &r.workflows, &r.steps, &r.maps,
		&r.doing, &r.targets, &r.states, &r.modes, &r.lasting, &r.result}
}

func (r *row) finding() *schema.Finding {
	f := &r.f
	f.ID, f.Status, f.RuleVersion, f.Confidence = schema.ID(r.id), schema.Status(r.status), int(r.version), int(r.confidence)
	f.Severity = schema.Severity(r.severity)
	f.GroupStart, f.FirstSeen, f.LastSeen = instant(r.groupStart), instant(r.firstSeen), instant(r.lastSeen)
	if r.value != nil {
		f.Value = json.Number(r.value.String())
	}
	if r.threshold != nil {
		f.Threshold = json.Number(r.threshold.String())
	}
	if r.baseline != "" {
		f.Baseline = json.RawMessage(r.baseline)
	}
	if r.provenance != (schema.Provenance{}) {
		f.Provenance = &r.provenance
	}
	if r.warming != nil {
		at := instant(*r.warming)
		f.WarmingUntil = &at
	}
	for i := range r.times {
		e := schema.Evidence{EventID: r.eventIDs[i], Identity: schema.ID(r.identities[i]), Time: instant(r.times[i]), Dataset: r.datasets[i],
			Class: r.classes[i], Action: r.actions[i], Tool: r.tools[i], ToolServer: r.servers[i], Target: r.hosts[i],
			Resource: r.resources[i], Outcome: r.outcomes[i], CredentialUID: r.credentials[i], SourceIP: r.addresses[i],
			Workflow: r.workflows[i], Step: r.steps[i], Fields: map[string]any{}}
		for name, v := range r.maps[i] {
			e.Fields[name] = v
		}
		f.Evidence = append(f.Evidence, e)
	}
	for i := range r.doing {
		f.Response = append(f.Response, schema.Response{
			Action: r.doing[i], Target: r.targets[i], State: r.states[i], Mode: r.modes[i], TTL: r.lasting[i], Result: r.result[i],
		})
	}
	return f
}

func instant(t time.Time) schema.Instant { return schema.Instant(t.UnixNano()) }

// events counts the rows of v_finding_events by finding, without withdrawn findings.
func (d *database) events(t testing.TB) (map[schema.ID]uint64, error) {
	rows, err := d.conn.Query(t.Context(), "SELECT finding_id, count() FROM v_finding_events WHERE status != 'withdrawn' GROUP BY finding_id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[schema.ID]uint64{}
	for rows.Next() {
		var id uuid.UUID
		var n uint64
		if err := rows.Scan(&id, &n); err != nil {
			return nil, err
		}
		out[schema.ID(id)] = n
	}
	return out, rows.Err()
}

// TestDifference tests the comparison itself: every change of a finding is a difference, except the position of an event
// and the time at which it was read.
func TestDifference(t *testing.T) {
	finding := func() *schema.Finding {
		return &schema.Finding{ID: schema.ID{1}, Revision: 3, Status: schema.StatusSettled, RuleID: "a",
			Key: map[string]string{"k": "v"}, Count: 2, Value: "2",
			Evidence: []schema.Evidence{{EventID: "e", Topic: "t", Partition: 1, Offset: 7, Index: 1, Fields: map[string]any{"n": json.Number("1")}}}}
	}
	f := func(same bool, change func(f *schema.Finding)) {
		t.Helper()
		got, want := finding(), finding()
		change(got)
		err := difference(byID(t, map[schema.ID]*schema.Finding{got.ID: got}), byID(t, map[schema.ID]*schema.Finding{want.ID: want}))
		if (err == nil) != same {
			t.Errorf("got %v, want the same: %v", err, same)
		}
	}
	at := schema.Instant(1)
	f(true, func(*schema.Finding) {})
	f(true, func(f *schema.Finding) { f.Revision, f.DetectedAt = 9, &at })
	f(true, func(f *schema.Finding) { e := &f.Evidence[0]; e.Topic, e.Partition, e.Offset, e.Index = "u", 2, 8, 0 })
	f(true, func(f *schema.Finding) { f.Value = "2.000" })
	f(true, func(f *schema.Finding) { f.Evidence[0].Fields["n"] = "1" })
	f(false, func(f *schema.Finding) { f.ID = schema.ID{2} })
	f(false, func(f *schema.Finding) { f.Status = schema.StatusOpen })
	f(false, func(f *schema.Finding) { f.Count = 3 })
	f(false, func(f *schema.Finding) { f.Value = "2.1" })
	f(false, func(f *schema.Finding) { f.Key["k"] = "w" })
	f(false, func(f *schema.Finding) { f.Late = true })
	f(false, func(f *schema.Finding) { f.Evidence[0].EventID = "g" })
	f(false, func(f *schema.Finding) { f.Evidence[0].Fields["n"] = json.Number("2") })
	f(false, func(f *schema.Finding) { f.Evidence = append(f.Evidence, f.Evidence[0]) })
}
