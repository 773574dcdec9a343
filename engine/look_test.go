package engine

import (
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// TestLook checks that a sample has the first events of each period, and that a worker without one does nothing.
func TestLook(t *testing.T) {
	seen := 0
	l := NewLook(time.Second, func(source string, _ *schema.Event) {
		if source != "s" {
			t.Errorf("got the source %q", source)
		}
		seen++
	})
	var e schema.Event
	batch := func(at int64, events int) {
		l.begin(time.Unix(at, 0))
		for range events {
			l.at("s", &e)
		}
		l.end(events)
	}
	batch(1, 10)
	if seen != 0 {
		t.Errorf("%d events before anybody asks", seen)
	}
	l.Take(3)
	batch(1, 10) // the period under way has none
	batch(2, 10)
	batch(2, 10)
	if seen != 3 {
		t.Errorf("%d events of a period, want 3", seen)
	}
	batch(3, 2)
	batch(3, 2)
	if seen != 6 || l.Passed() != 44 {
		t.Errorf("%d of %d events, want 6 of 44", seen, l.Passed())
	}
	var none *Look
	none.begin(time.Unix(1, 0))
	none.at("s", &e)
	none.end(1)
	if n := testing.AllocsPerRun(100, func() { l.at("s", &e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
