package predicate

import (
	"errors"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
)

// Scratch is the working memory of one worker for evaluating conditions; workers do not share it. Slots read from it: it
// holds the event, the captured values or the finding of the current evaluation.
type Scratch struct {
	// Agents, if it is not nil, takes the place of the registry that conditions were compiled with. The tests of rules have
	// registries of their own.
	Agents Registry

	slots     []Slot // of the current condition
	event     *schema.Event
	captured  []schema.Value
	finding   *schema.Finding
	entryType string // of the outbox entry that brings the finding

	err error // of the last node that failed

	sharing bool            // between Begin and End
	epoch   uint64          // number of calls of Begin
	shared  []sharedVerdict // by shared.id

	// The last JSON text whose escapes were spelled out, and the result: many conditions search the arguments of one
	// event. escaped is a copy, because the event's memory is used again.
	escaped, spelledOut string

	// Values that were made from texts of the event of Begin, and the memory of the texts among them.
	made     [8]madeValue // in turn
	nextMade int
	texts    []byte
	textsFor uint64
	injector content.Injector

	// The labels of the event of Begin, and of names.
	eventLabels Labels
	labelsOf    Capabilities
	labelsFor   uint64
	namedLabels []namedLabels
	namedOf     Capabilities
}

// NewScratch returns an empty Scratch.
func NewScratch() *Scratch { return &Scratch{} }

// Slot returns the value of field slot number n of the condition that is being evaluated; ok is false if n is not the
// number of a slot.
func (s *Scratch) Slot(n int) (v schema.Value, ok bool) {
	if n < 0 || n >= len(s.slots) {
		return schema.Value{}, false
	}
	return s.read(&s.slots[n]), true
}

// searchable returns the text that text functions search in a value: the value itself if it is a text, or the text of an
// object or array as in the record, with its escapes spelled out. So
// gen_ai.tool.call.arguments.contains("/etc/shadow") searches all arguments, whatever their names, however deep they are,
// and whether the producer writes / or \/. ok is false for other values.
func (s *Scratch) searchable(v schema.Value) (text string, ok bool) {
	switch {
	case v.Kind == schema.KindString:
		return v.Text, true
	case v.Kind != schema.KindJSON:
		return "", false
	case strings.IndexByte(v.Text, '\\') < 0:
		return v.Text, true
	}
	if s.escaped != v.Text {
		s.escaped, s.spelledOut = strings.Clone(v.Text), SpellOut(v.Text)
	}
	return s.spelledOut, true
}

// The errors of nodes are made once, so that hostile values cost no allocation.
var (
	// ErrNotText reports a value that is not a text, in a test or a name that needs a text.
	ErrNotText = errors.New("the value is not a text")

	errOrder   = errors.New("the values cannot be ordered: they are of different types")
	errNotBool = errors.New("the value is not true or false, as a condition must be")
)

func (s *Scratch) fail(err error) verdict {
	s.err = err
	return failed
}
