package top

import (
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/schema"
)

var begin = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

func metrics(t *testing.T, text string) map[string]*dto.MetricFamily {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	m, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// two returns samples two seconds apart, with hostile names and errors.
func two(t *testing.T) (before, after *Sample) {
	watermark := schema.InstantOf(begin.Add(-3 * time.Second))
	status := api.Status{
		Status: api.Degraded, Version: "v1", Since: begin.Add(-time.Hour), DeadLetters: 7, Memory: 300 << 20, Budget: 2 << 30,
		Components: map[string]api.Component{
			"source.logs": {Status: api.OK}, "sink.soc": {Status: api.Degraded, Reason: "refused \x1b[2J\x07\nsecond \u202eline"}, "source.idle": {Status: api.OK},
		},
		Partitions: []api.Partition{{Source: "logs", Lag: 5, Watermark: &watermark}, {Source: "logs", Number: 1, Lag: 6}, {Source: "idle", Lag: -1}},
		Sinks:      []api.Sink{{Name: "soc", State: "retrying", Entries: 3, Oldest: 61, Error: "\x1b]0;title\x07 漢字 no route"}},
	}
	sample := func(at time.Time, events, delivered, busy string, hits int64, x float64) *Sample {
		return &Sample{
			At: at, Status: status, Metrics: metrics(t, "# TYPE aidr_events_total counter\naidr_events_total{source=\"logs\",dataset=\"a\"} "+events+
				"\naidr_events_total{source=\"logs\",dataset=\"b\"} 10\n# TYPE aidr_deliveries_total counter\naidr_deliveries_total{sink=\"soc\"} "+delivered+
				"\naidr_deliveries_total{sink=\"other\"} 99\n# TYPE aidr_checkpoint_last_duration_seconds gauge\naidr_checkpoint_last_duration_seconds 0.0042\n"),
			Ledger: engine.Ledger{
				Busy: x, Rules: []engine.RuleCost{{Rule: "cheap", Hits: hits}, {Rule: "dear", Fold: x}},
				Shards: []engine.ShardCost{{Shard: 0, Busy: x, Items: hits, Cells: 12, Bytes: 2048, Queued: 1}},
			},
		}
	}
	return sample(begin, "100", "4", "0", 10, 1), sample(begin.Add(2*time.Second), "300", "8", "1", 30, 2)
}

// TestBetween checks the rates and the sums.
func TestBetween(t *testing.T) {
	before, after := two(t)
	f := Between(before, after)
	if f.Events != 100 || f.Busy != 0.5 || f.Checkpoint != 0.0042 || f.Dead != 7 {
		t.Errorf("got %+v", f)
	}
	if want := (Source{Name: "logs", Status: "ok", Partitions: 2, Lag: 11, Behind: 5}); len(f.Sources) != 2 || f.Sources[1] != want || f.Sources[0].Lag != -1 {
		t.Errorf("sources: got %+v, want %+v", f.Sources, want)
	}
	if f.Rules[0].Rule != "dear" || f.Rules[0].Cores != 0.5 || f.Rules[1].Hits != 10 {
		t.Errorf("rules: got %+v", f.Rules)
	}
	if want := (Shard{0, 0.5, 10, 12, 2048, 1}); !slices.Equal(f.Shards, []Shard{want}) {
		t.Errorf("shards: got %+v, want %+v", f.Shards, want)
	}
	if f.Sinks[0].Delivered != 2 || f.Sinks[0].Waiting != 3 {
		t.Errorf("sinks: got %+v", f.Sinks)
	}
	if back := Between(after, before); back.Events != 0 || back.Busy != 0 { // a reload begins the counters again
		t.Errorf("counters that fall: got %+v", back)
	}
}

// TestScreen checks that a frame fits its screen and that no text in it controls the terminal.
func TestScreen(t *testing.T) {
	before, after := two(t)
	f := Between(before, after)
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == 0x202e {
				return '?'
			}
			return r
		}, s)
	}
	all := strings.Join(Screen(f, 0, 0, plain), "\n")
	if strings.ContainsAny(all, "\x1b\x07\u202e\t") {
		t.Errorf("a control character is left in %q", all)
	}
	for _, want := range []string{"aidr v1  degraded  up 1h0m2s", "100 events/s", "! sink.soc: degraded: refused ?[2J?; second ?line", "RULE", "dear", "300 MiB of 2.0 GiB", "checkpoint 4.2ms"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	lines := Screen(f, 40, 10, plain)
	if len(lines) != 10 {
		t.Errorf("got %d lines", len(lines))
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > 40 {
			t.Errorf("a line has %d columns: %s", n, l)
		}
	}
	if got := cut("a漢字b", 4); got != "a漢" {
		t.Errorf("wide characters: got %q", got)
	}
}
