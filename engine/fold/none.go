package fold

import "github.com/aidr-engine/aidr/engine/item"

// none is a rule without a stateful clause: every item triggers, and only groups remember.
type none struct{}

func (none) fold(w *work, _ []byte, it *item.Item) {
	w.tr.fired = true
	w.tr.time, w.tr.first, w.tr.item = it.Time, it.Time, it
	w.tr.count, w.tr.more = 1, 1
}

func (none) span() int64                { return 1 }
func (none) expired([]byte, int64) bool { return true }
func (none) check(st []byte) bool       { return len(st) == 0 }
