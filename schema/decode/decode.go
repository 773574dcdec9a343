package decode

import (
	"fmt"
	"net/netip"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/formats/llm"
	"github.com/aidr-engine/aidr/schema/scan"
)

// The caps of one record. Anything beyond a cap becomes a dead letter.
const (
	MaxRecord   = 16 << 20 // bytes of a record, and of all that it inflates to; larger Kafka messages are not logs
	MaxElement  = 4 << 20  // bytes of one element; the longest model contexts are smaller
	MaxEnvelope = 6        // levels of envelopes around an element; gzip and consecutive values are not levels
)

// Auto is the format of a source whose records are recognised by their keys.
const Auto = "auto"

// Options configure the decoder of one source.
type Options struct {
	// Format is a format's name, or several names separated by commas. Auto, which is also the meaning of "", detects the
	// format; names beside Auto lift the limits of formats.Scope.
	Format string
	Tenant string
	Wanted schema.Wanted // fields to set, beside identity, time, dataset and class, which are always set
	// TrustForwarded lists the peers, as CIDRs or single addresses, whose X-Forwarded-For is trusted.
	TrustForwarded []string

	// Maps are field maps: formats in addition to the built-in ones. Of two maps with one name the first counts.
	Maps []*Map

	Override *Override // may be nil
	// Aliases returns the agent for which a registry lists uid as another name in records of the dataset, or "". uid may be
	// a schema.DeclaredName. It is called by all workers concurrently. Without a registry it is nil.
	Aliases func(dataset, uid string) string
	// TrustDeclared is set if the producer checks the agent ids that callers declare, so that such an id refines the
	// principal: ai_agent.uid is principal/declared. Otherwise only ids that the registry lists under the principal do.
	TrustDeclared bool
	// Enrich returns, for one worker, a function that adds to an event facts about its address. It may be nil.
	Enrich func() func(e *schema.Event)
}

// Decoder decodes the records of one source in one worker. It is not safe for concurrent use.
type Decoder struct {
	paths     *formats.Paths
	selection *scan.Found // the values at the paths of the current value
	found     []scan.Span // selection.Spans: by place
	root      int         // place of the current value itself
	elem      *formats.Element
	detector  detector
	envelope  envelope
	finisher  *finisher             // nil if events need no finishing
	finishFn  func(e *schema.Event) // the method finish, bound once
	raws      [][]string            // Options.Wanted.Raw

	// The formats. The index of a format is the same in all of these.
	chosen  []formats.Format
	names   []string
	readers []formats.Reader
	batches []bool // the reader is a formats.Batch

	otlp bool // OTLP is among the formats, so protobuf is decoded
	// The maps of these lines of text are among the formats.
	combined, loadBalancer bool
	json                   []byte                  // buffer for protobuf converted to JSON
	line                   []byte                  // buffer for a line of keys and values converted to JSON
	batched                int                     // the format of the current batch
	splitFn                func(formats.Node) bool // the method decodeSplit, bound once

	// The current record.
	raw      string
	handler  *Handler
	index    int                    // of the next element
	workload bool                   // the current value is in a text that a workload wrote
	mended   mending                // the faults that were mended in the text around the current value
	salvage  int                    // bytes that may be read to find the good elements of lists, in the current text
	inflated int                    // bytes inflated so far
	trail    [MaxEnvelope + 1]layer // the envelopes around the current element, by level
	depth    int                    // the level of the current element

	explainer *explainer       // nil if no explanation is wanted
	readings  map[int]*reading // by format, filled on demand by the explainer
}

// Meta is the origin of a record.
type Meta struct {
	Pos  schema.Position
	Time schema.Instant // the broker's timestamp; 0 for a file; an event without any time becomes a dead letter
}

// Dead is a dead letter: an element, or a whole record, that could not be decoded.
type Dead struct {
	Index  int    // of the element in its record
	Reason string // one of the Reason constants
	Detail string
	Body   string // the element as it was received, not redacted
}

// The reasons of dead letters.
const (
	ReasonEmpty         = "empty"                     // only white space
	ReasonMalformed     = "malformed_json"            // not RFC 8259
	ReasonUTF8          = "invalid_utf8"              // anywhere in the text
	ReasonDepth         = "too_deep"                  // nested deeper than 64, or in more than 6 envelopes
	ReasonSize          = "too_large"                 // a record, its inflated contents, or an element over its cap
	ReasonFanOut        = "fan_out"                   // more than 5,000 events in a record; the first 5,000 were emitted
	ReasonTooExpensive  = "too_expensive"             // a record that costs more than formats.MaxCost; its first events were emitted
	ReasonUnknownFormat = formats.ReasonUnknownFormat // no format has these top-level keys
	ReasonNoTime        = formats.ReasonNoTime        // neither the record nor the broker has a time
)

// Handler receives the results of decoding. An event is valid only during the call. Each function may be nil.
type Handler struct {
	Event func(e *schema.Event)
	Dead  func(d Dead)
	// FieldError reports a field of an impossible type, or a key that occurs twice, by its name.
	FieldError func(dataset, name string)
	// Skipped reports an element of a known format that is passed over on purpose, because it is not an activity: a span
	// that is not about an agent, an earlier stage of a request. The reason is one of the Skip constants.
	Skipped func(dataset, reason string)
	// Explain receives the explanation of each element, after the element's events and its dead letter. It is for
	// diagnosis: with it, decoding allocates.
	Explain func(x *Explanation)
}

// New returns a decoder. It fails if the format is unknown or a trusted peer is not an address.
func New(o Options) (*Decoder, error) {
	chosen, named, err := choose(o.Format, o.Maps)
	if err != nil {
		return nil, err
	}
	trusted, err := parseTrusted(o.TrustForwarded)
	if err != nil {
		return nil, err
	}
	d := &Decoder{paths: new(formats.Paths), finisher: newFinisher(&o), chosen: chosen, raws: o.Wanted.Raw}
	d.finishFn, d.splitFn = d.finish, d.decodeSplit
	d.root = d.paths.AddElements()
	d.envelope = openEnvelope(d.paths)
	for _, f := range chosen {
		d.names = append(d.names, f.Name)
		d.otlp = d.otlp || f.Name == llm.OTLPName
		d.combined, d.loadBalancer = d.combined || f.Name == combinedMap, d.loadBalancer || f.Name == loadBalMap
		reader := f.NewReader(d.paths)
		_, batch := reader.(formats.BatchReader)
		d.readers, d.batches = append(d.readers, reader), append(d.batches, batch)
	}
	d.detector = newDetector(chosen, named, d.paths)
	d.elem = formats.NewElement(formats.Setup{Wanted: o.Wanted, Trusted: trusted, Tenant: o.Tenant}, d.paths)
	d.selection = d.paths.Trie().Found(&d.elem.Index)
	d.found = d.selection.Spans
	return d, nil
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

// Decode decodes a record and calls h with its events and dead letters, in order.
func (d *Decoder) Decode(raw string, m Meta, h *Handler) {
	d.raw, d.handler, d.index, d.inflated, d.workload, d.mended = raw, h, 0, 0, false, 0
	emit := h.Event
	if d.finisher != nil && emit != nil {
		emit = d.finishFn
	}
	fieldError := h.FieldError
	if h.Explain != nil {
		d.explainer = d.explain(h, emit)
		emit, fieldError = d.explainer.event, d.explainer.fieldError
	}
	d.elem.BeginRecord(m.Pos, int64(m.Time), emit, fieldError)
	if record, ok := d.lineRecord(raw); ok {
		raw = record
	}
	d.decodeText(raw, 0)
	if d.elem.LimitExceeded() && h.Dead != nil {
		h.Dead(d.overLimit())
	}
	d.raw, d.handler, d.explainer = "", nil, nil
}

// overLimit returns the dead letter of a record that exceeded MaxEvents or MaxCost.
func (d *Decoder) overLimit() Dead {
	dead := Dead{Index: d.index, Reason: ReasonFanOut, Body: d.raw}
	dead.Detail = fmt.Sprintf("more than %d events in one record", formats.MaxEvents)
	if d.elem.TooExpensive() {
		dead.Reason = ReasonTooExpensive
		dead.Detail = fmt.Sprintf("the record costs more than %d: %d for each byte of it and of each text inside it, %d for each element",
			formats.MaxCost, 1, formats.ElementCost)
	}
	return dead
}

// decodeElement decodes a value inside a text that has been validated.
func (d *Decoder) decodeElement(src string, v scan.Span, level int) {
	dup := d.selection.SelectAt(src, v)
	d.decodeValue(src, v, dup, level)
}

// decodeValue decodes a value whose paths have just been selected.
func (d *Decoder) decodeValue(src string, v scan.Span, dup, level int) {
	d.depth = level
	if d.elem.Charge(formats.ElementCost); d.elem.LimitExceeded() {
		return
	}
	switch v.Kind {
	case scan.Object:
		d.decodeObject(src, v, dup, level)
	case scan.Array:
		d.noteEnvelope(level, "array")
		d.decodeArray(src, v, level)
	case scan.String:
		if !d.decodeEncoded(src, v, "text", level) {
			d.deadLetter(ReasonUnknownFormat, "a text that is neither JSON nor base64 of it", src[v.Start:v.End])
		}
	default:
		d.deadLetter(ReasonUnknownFormat, "neither an object nor an array", src[v.Start:v.End])
	}
}

// decodeObject decodes a record of a format, or peels an envelope. If the configuration names the format, the record
// may lack some of the format's keys.
func (d *Decoder) decodeObject(src string, v scan.Span, dup, level int) {
	if outer := d.workload; !outer && d.isContainerLine(src) {
		d.workload = true
		defer func() { d.workload = outer }()
	}
	if d.isNotification(src) {
		d.decodeNotification(src, v, level)
		return
	}
	f, partial := d.detector.format(src, d.selection, d.workload)
	if f >= 0 && d.explainer != nil {
		d.explainer.recognised(f, src, v)
	}
	switch {
	case f >= 0 && d.batches[f]:
		d.decodeBatch(f, src, v, dup)
	case f >= 0:
		d.readElement(f, src, v, dup)
	case d.peel(src, v, level):
	case d.detector.fixed && partial:
		if d.explainer != nil {
			d.explainer.recognised(0, src, v)
		}
		d.readElement(0, src, v, dup)
	default:
		if d.explainer != nil {
			d.explainer.unknown(src)
		}
		d.deadLetter(ReasonUnknownFormat, d.unknownFormat(src, v), src[v.Start:v.End])
	}
}

// decodeArray decodes each element of an array.
func (d *Decoder) decodeArray(src string, v scan.Span, level int) {
	if !d.enter(level, src[v.Start:v.End]) {
		return
	}
	empty := true
	d.elem.Index.Each(src, v, func(elem scan.Span) bool {
		empty = false
		d.decodeElement(src, elem, level+1)
		return !d.elem.LimitExceeded()
	})
	if empty {
		d.skip(unknownDataset, formats.SkipEmpty)
	}
}

// enter reports whether another envelope may be peeled. If not, body becomes a dead letter.
func (d *Decoder) enter(level int, body string) bool {
	if level < MaxEnvelope {
		return true
	}
	d.deadLetter(ReasonDepth, fmt.Sprintf("more than %d envelopes", MaxEnvelope), body)
	return false
}

// readElement passes an element to the reader of its format.
func (d *Decoder) readElement(format int, src string, v scan.Span, dup int) {
	body := src[v.Start:v.End]
	if len(body) > MaxElement {
		d.deadLetter(ReasonSize, fmt.Sprintf("element of %d bytes is larger than %d", len(body), MaxElement), body)
		return
	}
	d.elem.Reset(d.index, body, src, d.found)
	if d.explainer != nil {
		d.explainer.current.Format = d.names[format]
	}
	d.readers[format].Read(d.elem)
	if dup > 0 {
		d.duplicates(src, v)
	}
	d.mended.count(d.elem)
	if d.decodeCarried() {
		return
	}
	if reason := d.elem.Refusal(); reason != "" {
		d.deadLetter(reason, refusalDetail(reason), body)
		return
	}
	if dataset, reason, ok := d.elem.Skipped(); ok {
		d.skip(dataset, reason)
	}
	if d.explainer != nil {
		d.explainer.done(d.index, "")
	}
	d.index++
}

// skip reports something that is passed over on purpose.
func (d *Decoder) skip(dataset, reason string) {
	if d.handler.Skipped != nil {
		d.handler.Skipped(dataset, reason)
	}
}

// duplicates reports the wanted keys that occur twice in an object.
func (d *Decoder) duplicates(src string, v scan.Span) {
	if d.explainer != nil {
		d.explainer.duplicates = true
		defer func() { d.explainer.duplicates = false }()
	}
	d.paths.Duplicates(src, v, &d.elem.Arena, d.elem.CountFaultNamed)
}

// refusalDetail returns a dead letter's detail for an element that its reader refused.
func refusalDetail(reason string) string {
	if reason == ReasonNoTime {
		return "neither the record nor the broker has a time"
	}
	return "a field that every event has is empty"
}

// deadLetter hands over a dead letter and counts it as an element.
func (d *Decoder) deadLetter(reason, detail, body string) {
	if d.elem.Admit() && d.handler.Dead != nil {
		d.handler.Dead(Dead{Index: d.index, Reason: reason, Detail: detail, Body: body})
	}
	if d.explainer != nil {
		d.explainer.done(d.index, reason)
	}
	d.index++
}

// decodeBatch passes each element of a batch to the batch's reader. The elements count as records of their own: in
// size, in identity, and in the values at the paths.
func (d *Decoder) decodeBatch(format int, src string, v scan.Span, dup int) {
	d.elem.Reset(d.index, src[v.Start:v.End], src, d.found)
	d.batched = format
	d.noteEnvelope(d.depth, d.names[format])
	d.depth = min(d.depth+1, MaxEnvelope)
	before := d.index
	d.readers[format].(formats.BatchReader).Split(d.elem, d.splitFn)
	if dataset, reason, ok := d.elem.Skipped(); ok && d.index == before {
		d.skip(dataset, reason)
	}
	if dup > 0 {
		d.duplicates(src, v)
	}
}

// decodeSplit reads one element of the current batch. It returns false if the record may yield no more events.
func (d *Decoder) decodeSplit(element formats.Node) bool {
	if d.elem.Charge(formats.ElementCost); d.elem.LimitExceeded() {
		return false
	}
	dup := d.selection.SelectAt(element.Src, element.Span)
	d.readElement(d.batched, element.Src, element.Span, dup)
	return !d.elem.LimitExceeded()
}
