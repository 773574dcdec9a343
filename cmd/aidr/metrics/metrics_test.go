package metrics

import (
	"errors"
	"fmt"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// family returns the series of a metric.
func family(t *testing.T, p *Process, name string) []*dto.Metric {
	t.Helper()
	families, err := p.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

// TestReloaded checks that a failed reload shows in the success and leaves the time of the rules in use.
func TestReloaded(t *testing.T) {
	start := time.Unix(1000, 0)
	p := New("v1", nil, start)
	f := func(what Loaded, success, at float64) {
		t.Helper()
		name := "aidr_" + string(what) + "_last_reload_success"
		if m := family(t, p, name); len(m) != 1 || m[0].GetGauge().GetValue() != success {
			t.Errorf("%s: got %v, want %v", name, m, success)
		}
		name += "_timestamp_seconds"
		if m := family(t, p, name); len(m) != 1 || m[0].GetGauge().GetValue() != at {
			t.Errorf("%s: got %v, want %v", name, m, at)
		}
	}
	f(Rules, 1, 1000)
	f(Config, 1, 1000)
	p.Reloaded(Rules, start.Add(time.Minute), errors.New("bad"))
	f(Rules, 0, 1000)
	f(Config, 1, 1000)
	p.Reloaded(Rules, start.Add(2*time.Minute), nil)
	f(Rules, 1, 1120)
}

// TestWebhookStatuses checks that an endpoint cannot create any number of series.
func TestWebhookStatuses(t *testing.T) {
	p := New("v1", []string{"soc"}, time.Unix(1000, 0))
	for status := 100; status < 1000; status++ {
		p.WebhookAttempt("soc", fmt.Sprint(status), time.Second)
	}
	if n := len(family(t, p, "aidr_webhook_attempts_total")); n != maxStatuses+1 {
		t.Errorf("got %d series, want %d", n, maxStatuses+1)
	}
	if m := family(t, p, "aidr_webhook_status_overflow_total"); len(m) != 1 || m[0].GetCounter().GetValue() != 900-maxStatuses {
		t.Errorf("overflow: got %v, want %d", m, 900-maxStatuses)
	}
}
