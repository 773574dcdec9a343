package formats

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Aidr returns the format that AppendEvent writes, for tests and for producers that normalise their own logs: flat dotted
// names, and "_identity" if the producer can recognise a repetition of one of its events.
func Aidr() Format {
	return Format{
		Name:  "aidr",
		Tells: []Tell{{Keys: []string{"event.dataset", "event.class"}}},
		Open:  openAidr,
	}
}

type aidr struct {
	identity int                   // _identity
	places   [schema.NumFields]int // by schema.Field
}

func openAidr(p *Paths) Reader {
	a := &aidr{identity: p.Add(identityKey)}
	for f := range schema.Field(schema.NumFields) {
		a.places[f] = p.Add(f.String())
	}
	return a
}

func (a *aidr) Read(r *Record) {
	dataset, class := r.Text(r.At(a.places[schema.EventDataset])), r.Text(r.At(a.places[schema.EventClass]))
	if dataset == "" || class == "" {
		r.Begin("aidr") // no event follows: the name is for counting the refusal
		r.Refuse(UnknownFormat)
		return
	}
	r.Begin(dataset)
	if !r.Start(r.At(a.places[schema.Time])) {
		return
	}
	for f := range schema.Field(schema.NumFields) {
		if n := r.At(a.places[f]); n.Present() && f != schema.Time && r.Wants(f) {
			r.setField(f, n)
		}
	}
	if n := r.At(a.identity); n.Present() {
		id, err := schema.ParseID(r.Text(n))
		if err != nil {
			r.FaultNamed(identityKey)
		}
		r.Event.Given = id
	}
	r.Emit()
}

// setField sets a field from the form that AppendEvent gives it.
func (r *Record) setField(f schema.Field, n Node) {
	switch f.Info().Type {
	case schema.TypeInt:
		r.setAnyInt(f, n)
	case schema.TypeDouble:
		r.SetDouble(f, n)
	case schema.TypeBool:
		if n.Kind == scan.True || n.Kind == scan.False {
			r.Event.Set(f, schema.BoolValue(n.Kind == scan.True))
			return
		}
		r.Fault(f)
	case schema.TypeTimestamp:
		if ns, ok := scan.Time(n.Src, n.Span); ok {
			r.Event.SetTime(f, ns)
			return
		}
		r.Fault(f)
	case schema.TypeDyn:
		r.SetAsIs(f, n)
	case schema.TypeList:
		r.SetList(f, n)
	case schema.TypeString:
		if f == schema.MessageContextPromptText || f == schema.MessageContextResponseText {
			r.SetContent(f, r.Text(n))
			return
		}
		r.SetText(f, n)
	}
}

// setAnyInt is SetInt without its lower bound: an event that AppendEvent wrote may have a negative integer.
func (r *Record) setAnyInt(f schema.Field, n Node) {
	if v, ok := scan.Int(n.Src, n.Span); ok {
		r.Event.SetInt(f, v)
		return
	}
	r.Fault(f)
}

// SetList sets a list field from an array of strings. Elements of other kinds are counted as field errors and left out.
func (r *Record) SetList(f schema.Field, n Node) {
	if n.Kind != scan.Array {
		r.Fault(f)
		return
	}
	r.StartList()
	r.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.String {
			r.Fault(f)
			return true
		}
		r.ListItem(scan.Text(n.Src, elem, &r.Arena))
		return true
	})
	r.PutList(f)
}

// StartList begins a list of texts, to be followed by calls of ListItem and one of PutList. No other method that builds a
// text (Join, Hash, Quote) may be called between them.
func (r *Record) StartList() { r.scratch = append(r.scratch[:0], '[') }

// ListItem appends a text to the list.
func (r *Record) ListItem(text string) {
	if len(r.scratch) > 1 {
		r.scratch = append(r.scratch, ',')
	}
	r.scratch = appendString(r.scratch, text)
}

// PutList sets a list field to the list, unless the list is empty.
func (r *Record) PutList(f schema.Field) {
	r.scratch = append(r.scratch, ']')
	if len(r.scratch) > len("[]") && r.Wants(f) {
		r.Event.Set(f, schema.ListValue(r.Arena.Hold(r.scratch)))
	}
}
