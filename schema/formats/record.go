package formats

import (
	"net/netip"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// MaxEvents is the most events and dead letters that one record gives, 5,000: more is a bomb, not a batch.
const MaxEvents = 5000

// Record is one element on its way to events: what stands at the paths, and the one event that is filled again and
// again. It belongs to one worker.
type Record struct {
	Event schema.Event
	Arena scan.Arena
	Index scan.Index // of the texts that the whole record is made of

	wanted  schema.FieldSet
	raws    []int // places of Wanted.Raw
	trusted []netip.Prefix
	tenant  string

	src    string
	found  []scan.Span
	pos    schema.Position
	broker int64

	dataset string
	time    int64 // the element's, once Start said so
	timed   bool
	place   uint32
	room    int // how many more events the whole record may give
	refusal string
	scratch []byte

	emit       func(*schema.Event)
	fieldError func(dataset, name string)
}

// Setup is what a record needs to know of its source, once.
type Setup struct {
	Wanted  schema.Wanted
	Trusted []netip.Prefix // peers whose X-Forwarded-For is believed
	Tenant  string
}

// always are the fields that are extracted whatever is wanted.
var always = [...]schema.Field{
	schema.Time, schema.EventID, schema.EventDuration, schema.EventDataset, schema.EventClass, schema.EventAction,
	schema.EventOutcome, schema.AIAgentUID, schema.AIAgentUIDSource,
}

// content are the fields that are cut to MaxText, which event.truncated tells.
var content = [...]schema.Field{
	schema.MessageContextPromptText, schema.MessageContextResponseText, schema.GenAIToolCallArguments,
	schema.GenAIToolCallResult,
}

// NewRecord returns a record for one worker. It adds the paths of Wanted.Raw to p, which has to be complete before the
// first Reset.
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
		r.raws = append(r.raws, p.Add(path...))
	}
	return r
}

// Handle says who takes the events and the field errors of what follows, and where it comes from: broker is the
// record's timestamp in ns, 0 where there is none. It also gives room for MaxEvents events again.
func (r *Record) Handle(pos schema.Position, broker int64, emit func(*schema.Event), fieldError func(dataset, name string)) {
	r.pos, r.broker, r.emit, r.fieldError = pos, broker, emit, fieldError
	r.room = MaxEvents
	r.Index.Reset()
}

// Take uses up room for one event or dead letter; false where none is left.
func (r *Record) Take() bool {
	r.room--
	return r.room >= 0
}

// Full says that the record gave all that it may.
func (r *Record) Full() bool { return r.room < 0 }

// Reset begins a new element: its place among the elements, its text, and what stands at the paths of src.
func (r *Record) Reset(index int, element, src string, found []scan.Span) {
	r.Event.Reset()
	r.Event.Record, r.Event.Tenant = element, r.tenant
	r.pos.Index = index
	r.Event.Pos = r.pos
	r.src, r.found = src, found
	r.dataset, r.time, r.timed, r.place, r.refusal = "", 0, false, 0, ""
	for _, place := range r.raws {
		r.Event.Raws = append(r.Event.Raws, r.rawValue(r.At(place)))
	}
}

// Begin names the dataset of what follows.
func (r *Record) Begin(dataset string) {
	r.dataset = dataset
	r.Event.SetText(schema.EventDataset, dataset)
}

// Wants says whether the field has to be extracted. It is for work that is worth leaving out.
func (r *Record) Wants(f schema.Field) bool { return r.wanted.Has(f) }

// At returns what stands at a place of the paths.
func (r *Record) At(place int) Node { return Node{r.src, r.found[place]} }

// Start sets the time from the first value that holds one, else from the broker. It is false where there is none: the
// element gives no event then.
func (r *Record) Start(values ...Node) bool {
	for _, v := range values {
		if r.StartBy(v) {
			return true
		}
	}
	return r.StartByBroker()
}

// StartBy sets the time from a value, if it holds one; what is there and holds none is counted.
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

// StartByBroker sets the time from the broker. It is false where there is none: the element gives no event then.
func (r *Record) StartByBroker() bool {
	if r.broker != 0 {
		return r.StartAt(r.broker)
	}
	r.Refuse(NoTime)
	return false
}

// StartAt sets the time in ns. It is true.
func (r *Record) StartAt(ns int64) bool {
	r.time, r.timed = ns, true
	r.Event.SetTime(schema.Time, ns)
	return true
}

// Reasons why a reader refuses an element; they are those of dead letters.
const (
	NoTime        = "no_time"
	UnknownFormat = "unknown_format"
)

// Refuse says that the element gives no event, and why.
func (r *Record) Refuse(reason string) { r.refusal = reason }

// Refusal returns why the element gave no event, "" where it was not refused.
func (r *Record) Refusal() string { return r.refusal }

// Silent says that the element gave no event and was not refused, and names its dataset: an element of a known format
// that is no activity.
func (r *Record) Silent() (dataset string, silent bool) {
	return r.dataset, r.place == 0 && r.refusal == "" && r.room >= 0
}

// End returns the instant in ns at which the activity was over.
func (r *Record) End() int64 {
	end, _ := r.Event.End()
	return end
}

// Time returns the element's time in ns.
func (r *Record) Time() int64 { return r.time }

// Emit hands the event over. What follows in the element begins as a copy of it.
func (r *Record) Emit() {
	if !r.timed || !r.Take() {
		return
	}
	r.Event.Place = r.place
	r.place++
	if r.emit != nil {
		r.emit(&r.Event)
	}
}

// Fault counts a value of an impossible type.
func (r *Record) Fault(f schema.Field) { r.FaultNamed(f.String()) }

// FaultNamed counts a fault of the field or key of this name.
func (r *Record) FaultNamed(name string) {
	if r.fieldError != nil {
		r.fieldError(r.dataset, name)
	}
}

// rawValue is the value of a raw path.
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
