package deploy

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	//lint:ignore SA1019 as in dashboard.go
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var update = flag.Bool("update", false, "write the generated dashboards")

// TestDashboardsAreCurrent compares the files with the generated ones, and reads them back as Grafana does.
func TestDashboardsAreCurrent(t *testing.T) {
	files, err := Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		path := filepath.Join(Folder, "grafana", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not the generated one: run go test ./deploy -run TestDashboardsAreCurrent -update", path)
		}
		var d dashboard.Dashboard
		if err := json.Unmarshal(got, &d); err != nil {
			t.Errorf("%s: Grafana cannot read it: %v", path, err)
		}
		again, err := json.Marshal(d)
		if err != nil || !sameJSON(t, again, got) {
			t.Errorf("%s: Grafana's model does not hold all of it (%v)", path, err)
		}
	}
}

// sameJSON reports whether two texts are the same value.
func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	for text, v := range map[*[]byte]*any{&a: &x, &b: &y} {
		if err := json.Unmarshal(*text, v); err != nil {
			t.Fatal(err)
		}
	}
	return reflect.DeepEqual(x, y)
}

var (
	metricName  = regexp.MustCompile(`\baidr_[a-z0-9_]+`)
	metricRow   = regexp.MustCompile(`(?m)^\| (aidr_[a-z0-9_]+) \| (\w+) \| [^|]* \| ([^|]*) \|`)
	metricParts = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// metrics returns the type of each metric that aidr has.
func metrics(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Folder, "..", "metrics", "METRICS.md"))
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]string{}
	for _, m := range metricRow.FindAllStringSubmatch(string(text), -1) {
		types[m[1]] = m[2]
	}
	return types
}

// TestQueriesNameMetrics checks that every metric in a dashboard or an alert is one that aidr has, and that none of them is
// deprecated. Each metric of aidr is on a dashboard or in an alert, or is one of a few that need none.
func TestQueriesNameMetrics(t *testing.T) {
	types := metrics(t)
	used := map[string]bool{}
	check := func(where, expr string) {
		for _, name := range metricName.FindAllString(expr, -1) {
			base := name
			if types[base] == "" {
				base = metricParts.ReplaceAllString(name, "")
			}
			if kind := types[base]; kind == "" || base != name && kind != "histogram" {
				t.Errorf("%s: aidr has no metric %s", where, name)
			}
			used[base] = true
		}
	}
	for _, b := range boards {
		for _, r := range b.rows {
			for _, p := range r.panels {
				for _, q := range p.queries {
					check(b.uid+": "+p.title, q.expr)
				}
			}
		}
	}
	alerts, err := os.ReadFile(filepath.Join(Folder, "prometheus", "alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	check("alerts.yaml", string(alerts))
	if len(used) < len(types)/2 {
		t.Errorf("%d of %d metrics are used: the dashboards show too little", len(used), len(types))
	}
	for _, deprecated := range []string{"aidr_watermark_seconds", "aidr_rule_watermark_seconds"} {
		if used[deprecated] {
			t.Errorf("%s is deprecated", deprecated)
		}
	}
}

// TestPanelsDescribeThemselves checks that a panel has a title of its own, a description and a unit.
func TestPanelsDescribeThemselves(t *testing.T) {
	for _, b := range boards {
		var titles []string
		for _, r := range b.rows {
			for _, p := range r.panels {
				if p.description == "" || p.unit == "" || slices.Contains(titles, p.title) {
					t.Errorf("%s: panel %q: want a title of its own, a description and a unit", b.uid, p.title)
				}
				titles = append(titles, p.title)
			}
		}
	}
	files, err := Dashboards()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if !json.Valid(text) {
			t.Errorf("%s is no JSON", name)
		}
	}
}
