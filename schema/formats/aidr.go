package formats

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Aidr returns the format that AppendEvent writes, for tests and for producers that normalise their own logs: flat dotted
// names, and "_identity" if the producer can recognise a repetition of one of its events.
func Aidr() Format {
	return Format{
		Name:       "aidr",
		Signatures: []Signature{{Keys: []string{"event.dataset", "event.class"}}},
		Scope:      ScopeNamed,
		NewReader:  openAidr,
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

func (a *aidr) Read(el *Element) {
	dataset, class := el.Text(el.At(a.places[schema.EventDataset])), el.Text(el.At(a.places[schema.EventClass]))
	if dataset == "" || class == "" {
		el.SetDataset("aidr") // no event follows: the name is for counting the refusal
		el.Refuse(ReasonUnknownFormat)
		return
	}
	el.SetDataset(dataset)
	if !el.SetTime(el.At(a.places[schema.Time])) {
		return
	}
	for f := range schema.Field(schema.NumFields) {
		if n := el.At(a.places[f]); n.Present() && f != schema.Time && !f.OfTrigger() && el.Wanted(f) {
			el.setField(f, n)
		}
	}
	if n := el.At(a.identity); n.Present() {
		id, err := schema.ParseID(el.Text(n))
		if err != nil {
			el.CountFaultNamed(identityKey)
		}
		el.Event.Given = id
	}
	el.Emit()
}

// setField sets a field from the form that AppendEvent gives it.
func (el *Element) setField(f schema.Field, n Node) {
	switch f.Info().Type {
	case schema.TypeInt:
		el.setAnyInt(f, n)
	case schema.TypeDouble:
		el.CopyDouble(f, n)
	case schema.TypeBool:
		if n.Kind == scan.True || n.Kind == scan.False {
			el.Event.Set(f, schema.BoolValue(n.Kind == scan.True))
			return
		}
		el.CountFault(f)
	case schema.TypeTimestamp:
		if ns, ok := scan.Time(n.Src, n.Span); ok {
			el.Event.SetTime(f, ns)
			return
		}
		el.CountFault(f)
	case schema.TypeDyn:
		el.CopyJSON(f, n)
	case schema.TypeList:
		el.CopyList(f, n)
	case schema.TypeString:
		if f == schema.MessageContextPromptText || f == schema.MessageContextResponseText {
			el.SetContent(f, el.Text(n))
			return
		}
		el.CopyText(f, n)
	}
}

// setAnyInt is CopyInt without its lower bound: an event that AppendEvent wrote may have a negative integer.
func (el *Element) setAnyInt(f schema.Field, n Node) {
	if v, ok := scan.Int(n.Src, n.Span); ok {
		el.Event.SetInt(f, v)
		return
	}
	el.CountFault(f)
}

// CopyList sets a list field from an array of strings. Elements of other kinds are counted as field errors and left out.
func (el *Element) CopyList(f schema.Field, n Node) {
	if n.Kind != scan.Array {
		el.CountFault(f)
		return
	}
	el.BeginList()
	el.Index.Each(n.Src, n.Span, func(elem scan.Span) bool {
		if elem.Kind != scan.String {
			el.CountFault(f)
			return true
		}
		el.AddListItem(scan.Text(n.Src, elem, &el.Arena))
		return true
	})
	el.EndList(f)
}

// BeginList begins a list of texts, to be followed by calls of AddListItem and one of EndList. No other method that builds a
// text (Join, Hash, Quote) may be called between them.
func (el *Element) BeginList() { el.scratch = append(el.scratch[:0], '[') }

// AddListItem appends a text to the list.
func (el *Element) AddListItem(text string) {
	if len(el.scratch) > 1 {
		el.scratch = append(el.scratch, ',')
	}
	el.scratch = appendString(el.scratch, text)
}

// EndList sets a list field to the list, unless the list is empty.
func (el *Element) EndList(f schema.Field) {
	el.scratch = append(el.scratch, ']')
	if len(el.scratch) > len("[]") && el.Wanted(f) {
		el.Event.Set(f, schema.ListValue(el.Arena.Copy(el.scratch)))
	}
}
