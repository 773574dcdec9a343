package fold

import (
	"testing"

	"github.com/aidr-engine/aidr/schema"
)

func TestPaneOf(t *testing.T) {
	f := func(at schema.Instant, length, want int64) {
		t.Helper()
		if got := paneOf(at, length); got != want {
			t.Errorf("paneOf(%d, %d): got %d, want %d", at, length, got, want)
		}
	}
	f(0, 10, 0)
	f(9, 10, 0)
	f(10, 10, 1)
	f(-1, 10, -1)
	f(-10, 10, -1)
	f(-11, 10, -2)
	f(schema.MaxInstant, 1, int64(schema.MaxInstant))
	f(schema.MinInstant, 1, int64(schema.MinInstant))
	if got := paneEnd(int64(schema.MaxInstant), 1); got != schema.MaxInstant {
		t.Errorf("paneEnd of the last pane: got %d, want %d", got, schema.MaxInstant)
	}
}
