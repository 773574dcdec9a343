package formats

import (
	"net/netip"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MaxEvents is the maximum number of events and dead letters per record: a record that exceeds it is an attack on the
// decoder rather than a batch.
const MaxEvents = 5000

// Element is an element of a log that is being turned into events: the values selected in it, and the event that its reader
// fills. A worker has a single Element and reuses it for one element after another, and a reader
// reuses its Event for one event after another.
type Element struct {
	Event schema.Event
	Arena scan.Arena
	Index scan.Index // index of the texts of the whole record, including JSON inside strings

	wanted    schema.FieldSet
	rawPlaces []int // places of Wanted.Raw
	trusted   []netip.Prefix
	tenant    string

	src        string
	values     []scan.Span // by place
	pos        schema.Position
	brokerTime int64 // ns, 0 if unknown

	dataset   string
	declared  bool  // DeclareAgent had an id
	time      int64 // ns, if hasTime
	hasTime   bool
	emitted   uint32 // events of this element so far
	remaining int    // events and dead letters that the whole record may still give; negative after more than MaxEvents
	cost      int    // of the whole record so far, see Charge
	refusal   string
	skipped   string // reason given to Skip, or ""
	// hashedWorkflow is true if ai_agent.workflow is a hash, and not the producer's name.
	hashedWorkflow bool
	knownTexts     knownTexts
	scratch        []byte
	sizes          []memberSize                // of the shortener
	secret         struct{ text, hash string } // the last secret of the element, and its hash

	emit       func(*schema.Event)
	fieldError func(dataset, name string)

	carried []Node        // records that the element may hold, see Carry
	around  []surrounding // facts for the events of a carried record
	inside  bool          // the element is a carried record
	outside int64         // the time of the record that carries it, in ns, or 0
}

// Setup configures the elements of one source.
type Setup struct {
	Wanted  schema.Wanted
	Trusted []netip.Prefix // peers whose X-Forwarded-For is believed
	Tenant  string
}

// always lists the fields that are extracted even if no rule or sink needs them.
var always = [...]schema.Field{
	schema.Time, schema.EventID, schema.EventDuration, schema.EventDataset, schema.EventClass, schema.EventAction,
	schema.EventOutcome, schema.AIAgentUID, schema.AIAgentUIDSource, schema.AIAgentDeclaredUID,
}

// content lists the fields that are truncated to MaxContent. If event.truncated is wanted, all of them are extracted, because
// only then is it known whether one was too long.
var content = [...]schema.Field{
	schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAIToolCallArguments,
	schema.GenAIToolCallResult,
}

// NewElement returns an Element for one worker. It adds the paths of Wanted.Raw to p. All paths must be added to p before
// the first Reset.
func NewElement(s Setup, p *Paths) *Element {
	el := &Element{wanted: s.Wanted.Fields, trusted: s.Trusted, tenant: s.Tenant}
	for _, f := range always {
		el.wanted.Add(f)
	}
	if el.wanted.Has(schema.EventTruncated) {
		for _, f := range content {
			el.wanted.Add(f)
		}
	}
	for _, path := range s.Wanted.Raw {
		el.rawPlaces = append(el.rawPlaces, p.Add(path...))
	}
	return el
}

// BeginRecord begins a new record of a partition, which holds any number of elements: their events go to emit, their field
// errors to fieldError. pos is the record's position, and brokerTime its timestamp in ns, or 0. The limit
// of MaxEvents counts from here.
func (el *Element) BeginRecord(pos schema.Position, brokerTime int64, emit func(*schema.Event), fieldError func(dataset, name string)) {
	el.pos, el.brokerTime, el.emit, el.fieldError = pos, brokerTime, emit, fieldError
	el.remaining, el.cost = MaxEvents, 0
	el.Index.Reset()
}

// MaxCost is the largest cost of a record, 128 MiB. A record of 16 MiB that inflates to another 16 MiB and wraps its contents
// in two more envelopes costs half of that. A record that costs more takes longer than a second.
const MaxCost = 128 << 20

// ElementCost is the cost of an element beside that of its bytes: reading an empty element takes as long as scanning about
// this many bytes. So a record may have 131,072 elements, whether they yield events or not.
const ElementCost = 1 << 10

// Charge adds n to the cost of the record. The cost is counted in bytes, of the record and of each text found in it, and in
// elements, which cost ElementCost each. It depends on the record alone: not on the fields that are wanted, and so not on
// the rules. If a reader works through some text again for each of several elements, it charges that text for each of them.
func (el *Element) Charge(n int) { el.cost += n }

// Cost returns the cost of the record so far.
func (el *Element) Cost() int { return el.cost }

// TooExpensive reports whether the record has exceeded MaxCost.
func (el *Element) TooExpensive() bool { return el.cost > MaxCost }

// Admit counts an event or dead letter of the record, and reports whether the record is within MaxEvents and MaxCost.
func (el *Element) Admit() bool {
	if el.cost <= MaxCost {
		el.remaining--
	}
	return !el.LimitExceeded()
}

// LimitExceeded reports whether the record has exceeded MaxEvents or MaxCost, and may yield nothing more.
func (el *Element) LimitExceeded() bool { return el.remaining < 0 || el.cost > MaxCost }

// Reset begins a new element of the record. index is its number in the record, element its text, and values the spans
// of src that were selected for it, by place.
func (el *Element) Reset(index int, element, src string, values []scan.Span) {
	el.Event.Reset()
	el.Event.Record, el.Event.Tenant = element, el.tenant
	el.pos.Index = index
	el.Event.Pos = el.pos
	el.src, el.values = src, values
	el.dataset, el.declared, el.time, el.hasTime, el.emitted, el.refusal, el.skipped = "", false, 0, false, 0, "", ""
	el.carried, el.around, el.inside, el.outside = el.carried[:0], el.around[:0], false, 0
	el.hashedWorkflow = false
	el.secret.text, el.secret.hash = "", ""
	for _, place := range el.rawPlaces {
		el.Event.Raws = append(el.Event.Raws, el.rawValue(el.At(place)))
	}
}

// SetDataset sets the dataset of the element: it is event.dataset of its events, and field errors are counted under it.
func (el *Element) SetDataset(dataset string) {
	el.dataset = dataset
	el.Event.SetText(schema.EventDataset, dataset)
}

// Wanted reports whether a field has to be extracted. The setters check this themselves; readers call Wanted to skip work
// that is only needed for the field.
func (el *Element) Wanted(f schema.Field) bool { return el.wanted.Has(f) }

// At returns the value at a path, by the path's place.
func (el *Element) At(place int) Node { return Node{el.src, el.values[place]} }

// SetTime sets the time from the first value that is a time, else from the broker's timestamp, and reports whether it found
// one. If not, the element is refused and yields no event.
func (el *Element) SetTime(values ...Node) bool {
	for _, v := range values {
		if el.SetTimeFrom(v) {
			return true
		}
	}
	if el.outside != 0 {
		return el.SetTimeNanos(el.outside)
	}
	if el.brokerTime != 0 {
		el.SetTimeNanos(el.brokerTime)
		el.Event.BorrowedTime = true
		return true
	}
	el.Refuse(ReasonNoTime)
	return false
}

// SetTimeFrom sets the time from a value and reports whether the value is a time. A value that is present but is not a
// time is counted as a field error.
func (el *Element) SetTimeFrom(v Node) bool {
	if !v.Present() || empty(v) {
		return false
	}
	if ns, ok := scan.Time(v.Src, v.Span); ok {
		return el.SetTimeNanos(ns)
	}
	el.CountFault(schema.Time)
	return false
}

// SetTimeNanos sets the time in ns since 1970. It returns true, as SetTimeFrom does for a time.
func (el *Element) SetTimeNanos(ns int64) bool {
	el.time, el.hasTime = ns, true
	el.Event.SetTime(schema.Time, ns)
	el.Event.BorrowedTime = false
	return true
}

// Reasons for which a reader refuses an element. They become the reasons of dead letters.
const (
	ReasonNoTime        = "no_time"
	ReasonUnknownFormat = "unknown_format"
)

// Refuse makes the element a dead letter with this reason.
func (el *Element) Refuse(reason string) { el.refusal = reason }

// Refusal returns the reason given to Refuse, "" if the element was not refused.
func (el *Element) Refusal() string { return el.refusal }

// The reasons for which an element of a known format gives no event. They are label values of a metric.
const (
	SkipNotActivity    = "not_an_activity" // it is not about an agent, such as a span of a database client
	SkipEarlierStage   = "earlier_stage"   // another record describes the whole request
	SkipRepeated       = "repeated"        // another record has the same contents
	SkipEmpty          = "empty"           // a list of elements without elements
	SkipDigest         = "digest"          // a file that signs other files
	SkipControlMessage = "control_message" // a test of the connection
)

// Skip records why the element gives no event although it is of a known format.
func (el *Element) Skip(reason string) { el.skipped = reason }

// Skipped returns the element's dataset and the reason given to Skip, if the element gave no event without being refused.
// The reason is SkipEmpty if its reader found nothing to read.
func (el *Element) Skipped() (dataset, reason string, ok bool) {
	if el.emitted > 0 || el.refusal != "" || el.LimitExceeded() {
		return "", "", false
	}
	if el.skipped == "" {
		return el.dataset, SkipEmpty, true
	}
	return el.dataset, el.skipped, true
}

// End returns the instant at which the activity of the event was over.
func (el *Element) End() schema.Instant {
	end, _ := el.Event.End()
	return end
}

// Time returns the element's time in ns.
func (el *Element) Time() int64 { return el.time }

// Emit hands over the event, unless the element lacks a time or the record has exceeded MaxEvents. The fields stay set:
// the element's next event begins as a copy of this one.
func (el *Element) Emit() {
	if !el.hasTime || !el.Admit() {
		return
	}
	el.Event.Place = el.emitted
	el.emitted++
	el.surround()
	if el.emit != nil {
		el.emit(&el.Event)
	}
}

// CountFault counts a field error: a value whose type or form the field cannot have.
func (el *Element) CountFault(f schema.Field) { el.CountFaultNamed(f.String()) }

// CountFaultNamed counts a field error under the name of a field or of a key.
func (el *Element) CountFaultNamed(name string) {
	if el.fieldError != nil {
		el.fieldError(el.dataset, name)
	}
}

// rawValue converts the value at a path of Wanted.Raw.
func (el *Element) rawValue(n Node) schema.Value {
	switch n.Kind {
	case scan.String:
		return schema.StringValue(scan.Text(n.Src, n.Span, &el.Arena))
	case scan.Number:
		if i, ok := scan.Int(n.Src, n.Span); ok {
			return schema.IntValue(i)
		}
		if f, ok := scan.Double(n.Src, n.Span); ok {
			return schema.DoubleValue(f)
		}
	case scan.True, scan.False:
		return schema.BoolValue(n.Kind == scan.True)
	case scan.Object, scan.Array:
		return schema.JSONValue(n.Raw())
	}
	return schema.Value{}
}
