// Package decode makes events of records: it peels envelopes, detects the format by its top-level keys, and identifies
// the agent. It keeps no memory: what a record gives depends on that record alone.
package decode

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The caps of one record. What is beyond one is a dead letter.
const (
	MaxRecord   = 16 << 20 // bytes of a record, and of all that is compressed inside it: Kafka's larger ones are no logs
	MaxElement  = 4 << 20  // bytes of one element: the longest contexts of models stay below it
	MaxEnvelope = 4        // levels of envelopes around an element
)

// Auto is the format of a source whose records tell theirs.
const Auto = "auto"

// Options say how the records of one source are decoded.
type Options struct {
	Format string // "auto", "" for the same, or a format's name
	Tenant string
	Wanted schema.Wanted // fields that have to be there; identity, time, dataset and class always are
	// TrustForwarded: X-Forwarded-For of these peers is believed (CIDRs, or single addresses).
	TrustForwarded []string

	// Maps are field maps, which are formats beside those that are built in. Of two with one name the first counts.
	Maps []*Map

	Override *Override // nil: none
	// Aliases returns the agent that a registry knows by another name in records of the dataset, "" where it knows none.
	// It is asked by all workers at once; nil: there is no registry.
	Aliases func(dataset, uid string) string
	// Enrich returns, for one worker, what adds to an event what is known of its address; nil: nothing is.
	Enrich func() func(e *schema.Event)
}

// Decoder decodes the records of one source in one worker. It is not for concurrent use.
type Decoder struct {
	places   *scan.Found // what stands at the paths of the value in hand
	paths    *formats.Paths
	found    []scan.Span // its spans, by place
	root     int         // place of the value itself
	readers  []formats.Reader
	detector detector
	envelope envelope
	record   *formats.Record
	finisher *finisher             // nil: events go on as they are
	finishes func(e *schema.Event) // Decoder.finish, made once
	names    []string              // of the formats

	explainer *explainer          // nil: nobody asks
	chosen    []formats.Format    // by place in readers
	raws      [][]string          // Options.Wanted.Raw
	readings  map[int]*reading    // by format, made where somebody asks what is ignored
	trail     [MaxEnvelope]string // names of the envelopes around the element in hand
	depth     int                 // how many of them there are
	batches   []bool              // which readers take records that hold many elements
	batched   int                 // the reader of the batch in hand
	splits    func(formats.Node) bool
	otlp      bool   // OTLP is among the formats, so that protobuf is too
	json      []byte // room for what protobuf says as JSON

	raw      string
	handler  *Handler
	index    int // of the next element
	inflated int // bytes that were compressed inside the record
}

// Meta is where a record comes from.
type Meta struct {
	Pos  schema.Position
	Time int64 // the broker's timestamp in ns; 0 in a file, where an event without a time is a dead letter
}

// Dead is what could not be decoded.
type Dead struct {
	Index  int    // which element of the record
	Reason string // one of the Reason constants
	Detail string
	Body   string // the element as it stood, not yet redacted
}

// The reasons of dead letters.
const (
	ReasonEmpty         = "empty"               // nothing but blanks
	ReasonMalformed     = "malformed_json"      // not RFC 8259
	ReasonUTF8          = "invalid_utf8"        // anywhere in the text
	ReasonDepth         = "too_deep"            // nested deeper than 64, or in more than 4 envelopes
	ReasonSize          = "too_large"           // a record, what it inflates to, or an element over its cap
	ReasonFanOut        = "fan_out"             // more than 5,000 events in a record: those before it were taken
	ReasonUnknownFormat = formats.UnknownFormat // no format has these top-level keys
	ReasonNoTime        = formats.NoTime        // neither the record nor the broker has a time
)

// Handler takes what a record gives. The event is valid during the call. Each function may be nil.
type Handler struct {
	Event func(e *schema.Event)
	Dead  func(d Dead)
	// FieldError counts a field of an impossible type or a key that stands twice; name is the field's or the key's.
	FieldError func(dataset, name string)
	// Skipped counts an element of a known format that is no activity: a span that is not about an agent, an earlier
	// stage of a request.
	Skipped func(dataset string)
	// Explain is told how each element was read, after its events and its dead letter. It is for people: with it,
	// decoding allocates.
	Explain func(x *Explanation)
}

// New returns a decoder; it fails where the format is not known or an address to trust is none.
func New(o Options) (*Decoder, error) {
	chosen, err := choose(o.Format, o.Maps)
	if err != nil {
		return nil, err
	}
	trusted, err := parseTrusted(o.TrustForwarded)
	if err != nil {
		return nil, err
	}
	d := &Decoder{paths: new(formats.Paths), finisher: newFinisher(&o), chosen: chosen, raws: o.Wanted.Raw}
	d.finishes, d.splits = d.finish, d.split
	d.root = d.paths.OpenRecords()
	d.envelope = openEnvelope(d.paths)
	for _, f := range chosen {
		d.names = append(d.names, f.Name)
		d.otlp = d.otlp || f.Name == llm.OTLPName
		reader := f.Open(d.paths)
		_, batch := reader.(formats.Batch)
		d.readers, d.batches = append(d.readers, reader), append(d.batches, batch)
	}
	d.detector = newDetector(chosen, d.paths, o.Format != Auto && o.Format != "")
	d.record = formats.NewRecord(formats.Setup{Wanted: o.Wanted, Trusted: trusted, Tenant: o.Tenant}, d.paths)
	d.places = d.paths.Trie().Found(&d.record.Index)
	d.found = d.places.Spans
	return d, nil
}

// choose returns the formats that a name means.
func choose(name string, maps []*Map) ([]formats.Format, error) {
	list := withMaps(maps)
	if name == Auto || name == "" {
		return list, nil
	}
	var names []string
	for _, f := range list {
		if f.Name == name || slices.Contains(f.Aliases, name) || slices.Contains(f.Datasets, name) {
			return []formats.Format{f}, nil
		}
		names = append(names, f.Name)
	}
	return nil, fmt.Errorf("find format %q: there is no such format: use auto or one of %s", name, strings.Join(names, ", "))
}

func parseTrusted(list []string) ([]netip.Prefix, error) {
	var trusted []netip.Prefix
	for _, s := range list {
		if ip, err := netip.ParseAddr(s); err == nil {
			trusted = append(trusted, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("read trusted peer %q: %w: write a network such as 10.0.0.0/8", s, err)
		}
		trusted = append(trusted, p.Masked())
	}
	return trusted, nil
}

// Decode calls h with everything that the record gives, in order.
func (d *Decoder) Decode(raw string, m Meta, h *Handler) {
	d.raw, d.handler, d.index, d.inflated = raw, h, 0, 0
	emit := h.Event
	if d.finisher != nil && emit != nil {
		emit = d.finishes
	}
	fieldError := h.FieldError
	if h.Explain != nil {
		d.explainer = d.explain(h, emit)
		emit, fieldError = d.explainer.event, d.explainer.fieldError
	}
	d.record.Handle(m.Pos, m.Time, emit, fieldError)
	d.document(raw, 0)
	if d.record.Full() && h.Dead != nil {
		h.Dead(Dead{Index: d.index, Reason: ReasonFanOut, Detail: fmt.Sprintf("more than %d events in one record", formats.MaxEvents), Body: raw})
	}
	d.raw, d.handler, d.explainer = "", nil, nil
}

// document takes a whole text: one JSON value, several, or gzip.
func (d *Decoder) document(text string, level int) {
	d.depth = level
	if len(text) > MaxRecord {
		d.dead(ReasonSize, fmt.Sprintf("%d bytes are more than %d", len(text), MaxRecord), text)
		return
	}
	if isGzip(text) {
		d.inflate(text, level)
		return
	}
	if isFramed(text) {
		d.framed(text, level)
		return
	}
	if d.protobuf(text, level) {
		return
	}
	text = strings.TrimPrefix(text, "\ufeff")
	dup, err := d.places.Select(text)
	if err != nil {
		d.values(text, level)
		return
	}
	d.value(text, d.found[d.root], dup, level)
}

// values takes JSON values that stand behind one another, as NDJSON does. A fault ends one line of them: what follows a
// bad line that begins with an object is taken again from the next line that does.
func (d *Decoder) values(text string, level int) {
	for from := 0; !d.record.Full(); {
		v, next, dup, err := d.places.Next(text, from)
		if err != nil {
			start := from + len(text[from:]) - len(strings.TrimLeft(text[from:], " \t\r\n"))
			end := lineEnd(text, start)
			reason, detail := reasonOf(err)
			d.dead(reason, detail, text[start:end])
			if end == len(text) {
				return
			}
			from = end
			continue
		}
		if v.Kind == scan.Absent {
			if from == 0 {
				d.dead(ReasonEmpty, "nothing but blanks", text)
			}
			return
		}
		from = next
		d.step(level, "lines")
		if d.enter(level, text[v.Start:v.End]) {
			d.value(text, d.found[d.root], dup, level+1)
		}
	}
}

// lineEnd returns where a bad value that begins at start ends: before the next line that begins with an object, if the
// bad one is such a line too; else all the rest is lost.
func lineEnd(text string, start int) int {
	if start < len(text) && text[start] == '{' && (start == 0 || text[start-1] == '\n') {
		if i := strings.Index(text[start:], "\n{"); i >= 0 {
			return start + i
		}
	}
	return len(text)
}

// element takes a value of an already validated text.
func (d *Decoder) element(src string, v scan.Span, level int) {
	dup := d.places.SelectAt(src, v)
	d.value(src, v, dup, level)
}

// value takes a value whose paths were just found.
func (d *Decoder) value(src string, v scan.Span, dup, level int) {
	d.depth = level
	switch v.Kind {
	case scan.Object:
		d.object(src, v, dup, level)
	case scan.Array:
		d.step(level, "array")
		d.array(src, v, level)
	default:
		d.dead(ReasonUnknownFormat, "neither an object nor an array", src[v.Start:v.End])
	}
}

// object takes a record of a format, else an envelope. A record that the configuration names the format of may lack some
// of the keys that tell it.
func (d *Decoder) object(src string, v scan.Span, dup, level int) {
	f, some := d.detector.format(src, d.places)
	if f >= 0 && d.explainer != nil {
		d.explainer.told(f, src)
	}
	switch {
	case f >= 0 && d.batches[f]:
		d.batch(f, src, v, dup)
	case f >= 0:
		d.read(f, src, v, dup)
	case d.peel(src, v, level):
	case d.detector.fixed && some:
		if d.explainer != nil {
			d.explainer.told(0, src)
		}
		d.read(0, src, v, dup)
	default:
		if d.explainer != nil {
			d.explainer.unknown(src)
		}
		d.dead(ReasonUnknownFormat, "no format has these top-level keys", src[v.Start:v.End])
	}
}

// array takes each element of an array.
func (d *Decoder) array(src string, v scan.Span, level int) {
	if !d.enter(level, src[v.Start:v.End]) {
		return
	}
	d.record.Index.Each(src, v, func(elem scan.Span) bool {
		d.element(src, elem, level+1)
		return !d.record.Full()
	})
}

// enter says that one more envelope may be peeled; if not, body is a dead letter.
func (d *Decoder) enter(level int, body string) bool {
	if level < MaxEnvelope {
		return true
	}
	d.dead(ReasonDepth, fmt.Sprintf("more than %d envelopes", MaxEnvelope), body)
	return false
}

// read hands an element to the reader of its format.
func (d *Decoder) read(format int, src string, v scan.Span, dup int) {
	body := src[v.Start:v.End]
	if len(body) > MaxElement {
		d.dead(ReasonSize, fmt.Sprintf("element of %d bytes is larger than %d", len(body), MaxElement), body)
		return
	}
	d.record.Reset(d.index, body, src, d.found)
	if d.explainer != nil {
		d.explainer.now.Format = d.names[format]
	}
	d.readers[format].Read(d.record)
	if dup > 0 {
		d.duplicates(src, v)
	}
	if reason := d.record.Refusal(); reason != "" {
		d.dead(reason, refusals(reason), body)
		return
	}
	if dataset, silent := d.record.Silent(); silent && d.handler.Skipped != nil {
		d.handler.Skipped(dataset)
	}
	if d.explainer != nil {
		d.explainer.done(d.index, "")
	}
	d.index++
}

// duplicates counts the wanted keys that stand twice in an object.
func (d *Decoder) duplicates(src string, v scan.Span) {
	if d.explainer != nil {
		d.explainer.twice = true
		defer func() { d.explainer.twice = false }()
	}
	d.paths.Duplicates(src, v, &d.record.Arena, d.record.FaultNamed)
}

// refusals says in words why a reader refused an element.
func refusals(reason string) string {
	if reason == ReasonNoTime {
		return "neither the record nor the broker has a time"
	}
	return "a field that every event has is empty"
}

// dead hands over a dead letter and counts it as an element.
func (d *Decoder) dead(reason, detail, body string) {
	if d.record.Take() && d.handler.Dead != nil {
		d.handler.Dead(Dead{Index: d.index, Reason: reason, Detail: detail, Body: body})
	}
	if d.explainer != nil {
		d.explainer.done(d.index, reason)
	}
	d.index++
}
