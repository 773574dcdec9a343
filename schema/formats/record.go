package formats

import (
	"net/netip"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MaxEvents is the maximum number of events and dead letters per record: a record that exceeds it is an attack on the
// decoder rather than a batch.
const MaxEvents = 5000

// Record is an element of a log that is being turned into events: the values selected in it, and the event that its reader
// fills. A worker has a single Record and reuses it for one element after another, and a reader
// reuses its Event for one event after another.
type Record struct {
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
	time      int64 // ns, if hasTime
	hasTime   bool
	emitted   uint32 // events of this element so far
	remaining int    // events and dead letters that the whole record may still give; negative after more than MaxEvents
	refusal   string
	scratch   []byte

	emit       func(*schema.Event)
	fieldError func(dataset, name string)
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
	schema.EventOutcome, schema.AIAgentUID, schema.AIAgentUIDSource,
}

// content lists the fields that are truncated to MaxText. If event.truncated is wanted, all of them are extracted, because
// only then is it known whether one was too long.
var content = [...]schema.Field{
	schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAIToolCallArguments,
	schema.GenAIToolCallResult,
}

// NewRecord returns a Record for one worker. It adds the paths of Wanted.Raw to p. All paths must be added to p before
// the first Reset.
func NewRecord(s Setup, p *Paths) *Record {
	r := &Record{wanted: s.Wanted.Fields, trusted: s.Trusted, tenant: s.Tenant}
	for _, f := range always {
		r.wanted.Add(f)
	}
	if r.wanted.Has(schema.EventTruncated) {
		for _, f := range content {
			r.wanted.Add(f)
		}
	}
	for _, path := range s.Wanted.Raw {
		r.rawPlaces = append(r.rawPlaces, p.Add(path...))
	}
	return r
}

// Handle begins a new record of a partition, which holds any number of elements: their events go to emit, their field
// errors to fieldError. pos is the record's position, and brokerTime its timestamp in ns, or 0. The limit
// of MaxEvents counts from here.
func (r *Record) Handle(pos schema.Position, brokerTime int64, emit func(*schema.Event), fieldError func(dataset, name string)) {
	r.pos, r.brokerTime, r.emit, r.fieldError = pos, brokerTime, emit, fieldError
	r.remaining = MaxEvents
	r.Index.Reset()
}

// Take counts an event or dead letter of the record, and reports whether it is within MaxEvents.
func (r *Record) Take() bool {
	r.remaining--
	return r.remaining >= 0
}

// Full reports whether the record has exceeded MaxEvents: Take returned false.
func (r *Record) Full() bool { return r.remaining < 0 }

// Reset begins a new element of the record. index is its number in the record, element its text, and values the spans
// of src that were selected for it, by place.
func (r *Record) Reset(index int, element, src string, values []scan.Span) {
	r.Event.Reset()
	r.Event.Record, r.Event.Tenant = element, r.tenant
	r.pos.Index = index
	r.Event.Pos = r.pos
	r.src, r.values = src, values
	r.dataset, r.time, r.hasTime, r.emitted, r.refusal = "", 0, false, 0, ""
	for _, place := range r.rawPlaces {
		r.Event.Raws = append(r.Event.Raws, r.rawValue(r.At(place)))
	}
}

// Begin sets the dataset of the element: it is event.dataset of its events, and field errors are counted under it.
func (r *Record) Begin(dataset string) {
	r.dataset = dataset
	r.Event.SetText(schema.EventDataset, dataset)
}

// Wants reports whether a field has to be extracted. The setters check this themselves; readers call Wants to skip work
// that is only needed for the field.
func (r *Record) Wants(f schema.Field) bool { return r.wanted.Has(f) }

// At returns the value at a path, by the path's place.
func (r *Record) At(place int) Node { return Node{r.src, r.values[place]} }

// Start sets the time from the first value that is a time, else from the broker's timestamp, and reports whether it found
// one. If not, the element is refused and yields no event.
func (r *Record) Start(values ...Node) bool {
	for _, v := range values {
		if r.StartBy(v) {
			return true
		}
	}
	if r.brokerTime != 0 {
		return r.StartAt(r.brokerTime)
	}
	r.Refuse(NoTime)
	return false
}

// StartBy sets the time from a value and reports whether the value is a time. A value that is present but is not a time is
// counted as a field error.
func (r *Record) StartBy(v Node) bool {
	if !v.Present() || empty(v) {
		return false
	}
	if ns, ok := scan.Time(v.Src, v.Span); ok {
		return r.StartAt(ns)
	}
	r.Fault(schema.Time)
	return false
}

// StartAt sets the time in ns since 1970. It returns true, as StartBy does for a time.
func (r *Record) StartAt(ns int64) bool {
	r.time, r.hasTime = ns, true
	r.Event.SetTime(schema.Time, ns)
	return true
}

// Reasons for which a reader refuses an element. They become the reasons of dead letters.
const (
	NoTime        = "no_time"
	UnknownFormat = "unknown_format"
)

// Refuse makes the element a dead letter with this reason.
func (r *Record) Refuse(reason string) { r.refusal = reason }

// Refusal returns the reason given to Refuse, "" if the element was not refused.
func (r *Record) Refusal() string { return r.refusal }

// Silent returns the element's dataset, and reports whether the element gave no event without being refused: it is of a
// known format but does not describe an activity.
func (r *Record) Silent() (dataset string, silent bool) {
	return r.dataset, r.emitted == 0 && r.refusal == "" && r.remaining >= 0
}

// End returns the time in ns at which the activity of the event ended.
func (r *Record) End() int64 {
	end, _ := r.Event.End()
	return end
}

// Time returns the element's time in ns.
func (r *Record) Time() int64 { return r.time }

// Emit hands over the event, unless the element lacks a time or the record has exceeded MaxEvents. The fields stay set:
// the element's next event begins as a copy of this one.
func (r *Record) Emit() {
	if !r.hasTime || !r.Take() {
		return
	}
	r.Event.Place = r.emitted
	r.emitted++
	if r.emit != nil {
		r.emit(&r.Event)
	}
}

// Fault counts a field error: a value whose type or form the field cannot have.
func (r *Record) Fault(f schema.Field) { r.FaultNamed(f.String()) }

// FaultNamed counts a field error under the name of a field or of a key.
func (r *Record) FaultNamed(name string) {
	if r.fieldError != nil {
		r.fieldError(r.dataset, name)
	}
}

// rawValue converts the value at a path of Wanted.Raw.
func (r *Record) rawValue(n Node) schema.Value {
	switch n.Kind {
	case scan.String:
		return schema.StringValue(scan.Text(n.Src, n.Span, &r.Arena))
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
