package kafka

import (
	"testing"
	"time"
)

// TestFailureIsLoggedOnce checks that a broker that goes away, which gives a different error every moment, is one line of the
// log per subject, that a later error of another kind is a line again, and that a failure after the recovery is one too.
func TestFailureIsLoggedOnce(t *testing.T) {
	var h health
	start := time.Unix(0, 0)
	h.set("brokers", "joins the group") // not a failure: the first failure is logged
	for _, step := range []struct {
		after  time.Duration
		reason string // "": the subject works again
		logged bool
	}{
		{0, "unexpected EOF", true},
		{time.Millisecond, "connection reset", false},
		{100 * time.Millisecond, "connection refused", false},
		{time.Minute, "connection refused", false},
		{2 * time.Minute, "login refused", true},
		{3 * time.Minute, "", false},
		{3*time.Minute + time.Second, "connection refused", true},
	} {
		if step.reason == "" {
			h.set("brokers", "")
			continue
		}
		if got := h.fail("brokers", step.reason, start.Add(step.after)); got != step.logged {
			t.Errorf("%q after %v: logged %v, want %v", step.reason, step.after, got, step.logged)
		}
		if got := h.problem("brokers"); got != step.reason {
			t.Errorf("problem after %v: got %q, want %q", step.after, got, step.reason)
		}
	}
}
