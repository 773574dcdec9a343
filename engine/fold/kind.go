package fold

import (
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// A kind folds the items of one key, in the total order, into a State: flat bytes. Fold is pure but for its scratch.
// State that check accepts never makes fold panic, whatever it says.
type kind interface {
	// fold appends the State that follows from st and the item to w.state, and sets w.tr where the item triggers.
	// st is nil for a new key; nothing appended says that the key is forgotten.
	fold(w *work, st []byte, it *item.Item)
	// span is how long a State makes a difference, ns; about.
	span() int64
	// expired says that st makes no difference to items at w or later.
	expired(st []byte, w int64) bool
	// check says whether st is well formed.
	check(st []byte) bool
}

// A timed kind has deadlines.
type timed interface {
	// wake returns the deadline that the State waits for.
	wake(st []byte) (at int64, ok bool)
	// fire folds that deadline, like fold.
	fire(w *work, st []byte)
	// peek sets w.tr where the deadline will trigger whatever comes before it.
	peek(w *work, st []byte)
}

// work is the scratch of one fold.
type work struct {
	state  []byte
	tr     trigger
	limits Limits
	views  []view   // the latest events of the State
	keys   []string // of deadlines
	groups []Group  // with what triggers early
	body   []byte   // a group's flat form
	chains partials
	values []schema.Value
}

// begin empties the scratch for one fold; the limits add up.
func (w *work) begin() {
	w.state = w.state[:0]
	w.tr = trigger{}
}

// A trigger says that a rule's condition held.
type trigger struct {
	fired bool
	time  int64
	first int64         // first_seen of a group that it opens
	count int64         // what it adds to the count of a group that it opens
	more  int64         // what it adds to a group that is open
	value rules.Decimal // in the program's unit
	// item is the event that triggered, nil for a deadline; its place in a sequence is step.
	item *item.Item
	step int
	// views are the events that State knows of the window, in order, without item. They stand in the State that was
	// folded. From own on they are brought to a group that is open, too.
	views []view
	own   int
	// known, from and text are what new_value says of a value: how many others the key had, since when, which it is.
	known int64
	from  int64
	text  string
}

// A view is one event as State keeps it.
type view struct {
	time     int64
	role     uint16
	step     int // place of the step in the rule + 1, 0 for none
	id       schema.ID
	evidence []byte
}

// Limits counts what went beyond a limit. Limits are part of a rule's meaning (rules.md 3.1); the counters tell an
// operator that one was met.
type Limits struct {
	Times     int64 // times of a threshold beyond the ring
	Values    int64 // values of distinct or new_value given up
	Partials  int64 // chains of a sequence given up
	Where     int64 // conditions over steps that could not be evaluated
	Copies    int64 // copies of counted events
	BelowMark int64 // items that came below the watermark
	Held      int64 // changes of findings that were held back at a cut
}

// Add adds o's counters.
func (l *Limits) Add(o Limits) { l.add(o, 1) }

func (l *Limits) add(o Limits, sign int64) {
	l.Times += sign * o.Times
	l.Values += sign * o.Values
	l.Partials += sign * o.Partials
	l.Where += sign * o.Where
	l.Copies += sign * o.Copies
	l.BelowMark += sign * o.BelowMark
	l.Held += sign * o.Held
}
