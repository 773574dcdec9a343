package pipeline

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/metrics"
)

var update = flag.Bool("update", false, "write METRICS.md again")

// descriptions returns all metrics of a process with an open state directory.
func descriptions(t *testing.T) []metrics.Description {
	t.Helper()
	gateways := config.Decisions{Listen: "127.0.0.1:0", Open: "local"}
	p, err := New(&config.Config{State: config.State{Dir: t.TempDir()}, Decisions: gateways}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.life.Lock()
	defer p.life.Unlock()
	if err := p.open(); err != nil {
		t.Fatal(err)
	}
	defer p.close(0)
	l, err := p.listenDecisions()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	all := append(p.registry.Descriptions(), p.opened.outbox.Descriptions()...)
	slices.SortFunc(all, func(a, b metrics.Description) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// TestMetricsPage holds METRICS.md to the code.
func TestMetricsPage(t *testing.T) {
	path := filepath.Join("..", "metrics", "METRICS.md")
	page := metrics.Page(descriptions(t))
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != page {
		t.Errorf("%s differs from the code, %v: run this test with -update", path, err)
	}
}

// TestMetricConventions checks the names, labels and texts of all metrics.
func TestMetricConventions(t *testing.T) {
	form := regexp.MustCompile(`^aidr_[a-z][a-z0-9_]*[a-z]$`)
	units := regexp.MustCompile(`_(milliseconds|ms|minutes|kb|mb|percent)(_|$)`)
	for _, d := range descriptions(t) {
		deprecated := strings.HasPrefix(d.Help, "Deprecated, use aidr_")
		switch {
		case !form.MatchString(d.Name) || units.MatchString(d.Name):
			t.Errorf("%s: the name breaks the conventions", d.Name)
		case (d.Type == "counter") != strings.HasSuffix(d.Name, "_total"):
			t.Errorf("%s: a %s", d.Name, d.Type)
		case len(d.Help) < 20 || !strings.HasSuffix(d.Help, ".") || strings.Contains(d.Help, "\n"):
			t.Errorf("%s: help %q, want a sentence", d.Name, d.Help)
		case strings.Contains(d.Help, "Unix time") != strings.HasSuffix(d.Name, "_timestamp_seconds") && !deprecated:
			t.Errorf("%s: an instant ends in _timestamp_seconds, and its help has the unit: %q", d.Name, d.Help)
		}
		for _, l := range d.Labels {
			if l != strings.ToLower(l) || l == "le" || strings.HasPrefix(l, "_") {
				t.Errorf("%s: label %q", d.Name, l)
			}
		}
	}
}
