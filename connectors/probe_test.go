package connectors_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
)

// TestClockAnswer checks that only a difference that no delay explains is a warning.
func TestClockAnswer(t *testing.T) {
	asked := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	f := func(theirs, took, step time.Duration, want string) {
		t.Helper()
		a := connectors.ClockAnswer(asked.Add(theirs), asked, asked.Add(took), step)
		if a.Warning != (want != "agrees") || !strings.Contains(a.Text, want) {
			t.Errorf("%v: got %+v, want %q", theirs, a, want)
		}
	}
	f(0, time.Millisecond, 0, "agrees")
	f(2*time.Second, time.Millisecond, 0, "agrees")
	f(3*time.Second, time.Millisecond, 0, "at least 2.999s ahead")
	f(3*time.Second, 2*time.Second, 0, "agrees") // the request may have taken all of it
	f(-3*time.Second, time.Millisecond, 0, "at least 3s behind")
	f(-3*time.Second, time.Millisecond, time.Second, "agrees") // Date has whole seconds
	f(-4*time.Second, time.Millisecond, time.Second, "at least 3s behind")
}
