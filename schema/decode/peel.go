package decode

import (
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// envelope holds the places of the keys by which envelopes are recognised. Envelopes are added to records on their way;
// no producer of records writes these keys.
type envelope struct {
	lists   listEnvelope
	cloud   cloudEnvelope
	bus     busEnvelope
	shipped shippedEnvelope

	jaeger jaeger
}

// The datasets under which skipped contents of envelopes are counted. No event has the last two.
const (
	cloudTrailDataset = "aws.cloudtrail"
	cloudWatchDataset = "aws.cloudwatch_logs"
	unknownDataset    = "unknown" // of an empty list, which may be of any dataset
)

func openEnvelope(p *formats.Paths) envelope {
	return envelope{
		lists: openListEnvelope(p), cloud: openCloudEnvelope(p), bus: openBusEnvelope(p), shipped: openShippedEnvelope(p),
		jaeger: openJaeger(p),
	}
}

// peel decodes the contents of an object that fits no format. It returns false if the object is not an envelope.
func (d *Decoder) peel(src string, v scan.Span, level int) bool {
	return d.peelList(src, v, level) || d.peelCloud(src, v, level) || d.peelBus(src, v, level) || d.peelJaeger(src, v, level) ||
		d.peelShipped(src, v, level)
}

// has reports whether the current object has a value at a place, which may be null.
func (d *Decoder) has(place int) bool { return d.found[place].Kind != scan.Absent }

// listEnvelope holds the places of the keys of files and pages, which are lists of records.
type listEnvelope struct {
	records                  int // Records: CloudTrail's files, and events of AWS for Lambda functions
	azureRecords             int // records: Azure diagnostics
	digestStart, digestID    int // digestStartTime, digestS3Bucket: CloudTrail's digests
	kind, items              int // kind, items: Kubernetes audit webhook, Google Workspace
	value, context, nextLink int // value, @odata.context, @odata.nextLink: Microsoft Graph
	upperEvents              int // Events: CloudTrail's lookup-events
	events                   int // events
	entries, metadata        int // entries, response_metadata: Slack
	data, object, more       int // data, object, has_more: OpenAI, Anthropic
	limit, offset            int // limit, offset, beside data: Jaeger
	oktaVersion, oktaEvents  int // cloudEventsVersion, data.events: Okta's event hooks
	messages, pulled         int // Messages: SQS; receivedMessages: Pub/Sub
	requestID, timestamp     int // requestId, timestamp: Firehose over HTTP
	invocation               int // invocationId: Firehose's transformations
	firehose                 *formats.Shape
}

func openListEnvelope(p *formats.Paths) listEnvelope {
	return listEnvelope{
		records: p.AddElements("Records"), azureRecords: p.AddElements("records"),
		digestStart: p.Add("digestStartTime"), digestID: p.Add("digestS3Bucket"),
		kind: p.Add("kind"), items: p.AddElements("items"),
		value: p.Add("value"), context: p.Add("@odata.context"), nextLink: p.Add("@odata.nextLink"),
		upperEvents: p.Add("Events"), events: p.Add("events"),
		entries: p.Add("entries"), metadata: p.Add("response_metadata"),
		data: p.Add("data"), object: p.Add("object"), more: p.Add("has_more"),
		limit: p.Add("limit"), offset: p.Add("offset"),
		oktaVersion: p.Add("cloudEventsVersion"), oktaEvents: p.Add("data", "events"),
		messages: p.Add("Messages"), pulled: p.Add("receivedMessages"),
		requestID: p.Add("requestId"), timestamp: p.Add("timestamp"), invocation: p.Add("invocationId"),
		firehose: formats.NewShape([]string{"data"}),
	}
}

// peelList decodes the elements of a list. It returns false if the object is not an envelope with a list.
func (d *Decoder) peelList(src string, v scan.Span, level int) bool {
	e := &d.envelope.lists
	name, list := "", scan.Span{}
	isList := func(place int) bool { return d.found[place].Kind == scan.Array }
	switch {
	case isList(e.records):
		name, list = "Records", d.found[e.records]
	case isList(e.azureRecords) && (d.has(e.requestID) && d.has(e.timestamp) || d.has(e.invocation)):
		d.decodeFirehose(src, d.found[e.azureRecords], level)
		return true
	case isList(e.azureRecords):
		name, list = "records", d.found[e.azureRecords]
	case d.has(e.digestStart) && d.has(e.digestID):
		d.skip(cloudTrailDataset, formats.SkipDigest) // it signs CloudTrail's files and holds no records
		return true
	case isList(e.items) && isText(src, d.found[e.kind], "EventList"):
		name, list = "EventList", d.found[e.items]
	case isList(e.oktaEvents) && d.has(e.oktaVersion):
		name, list = "data.events", d.found[e.oktaEvents]
	case isList(e.messages):
		name, list = "Messages", d.found[e.messages]
	case isList(e.pulled):
		name, list = "receivedMessages", d.found[e.pulled]
	default:
		if name, list = d.page(src, v); name == "" {
			return false
		}
	}
	d.noteEnvelope(level, name)
	d.decodeArray(src, list, level)
	return true
}

// page returns the list of a page of an API. A list with one of these names in any other object is part of a record of an
// unknown format, and its elements may be content.
func (d *Decoder) page(src string, v scan.Span) (name string, list scan.Span) {
	e := &d.envelope.lists
	for _, p := range [...]struct {
		name  string
		place int
		known bool
	}{
		{"value", e.value, d.has(e.context) || d.has(e.nextLink)},
		{"Events", e.upperEvents, false},
		{"events", e.events, false},
		{"items", e.items, isText(src, d.found[e.kind], "admin#reports#activities") || isText(src, d.found[e.kind], "reports#activities")},
		{"entries", e.entries, d.has(e.metadata)},
		{"data", e.data, d.has(e.more) || isText(src, d.found[e.object], "list") || d.has(e.limit) && d.has(e.offset)},
	} {
		if d.found[p.place].Kind == scan.Array && (p.known || d.members(src, v) == 1 || p.place == e.upperEvents && d.members(src, v) == 2) {
			return p.name, d.found[p.place]
		}
	}
	return "", scan.Span{}
}

// members returns the number of members of an object, at most 4.
func (d *Decoder) members(src string, v scan.Span) (n int) {
	d.elem.Index.Members(src, v, &d.elem.Arena, func(string, scan.Span) bool {
		n++
		return n < 4
	})
	return n
}

// decodeFirehose decodes the records of a request of Amazon Data Firehose: base64 of what the source delivered.
func (d *Decoder) decodeFirehose(src string, list scan.Span, level int) {
	d.noteEnvelope(level, "Firehose")
	if !d.enter(level, src[list.Start:list.End]) {
		return
	}
	d.elem.Index.Each(src, list, func(elem scan.Span) bool {
		d.envelope.lists.firehose.Select(d.elem, formats.Node{Src: src, Span: elem})
		if data := d.envelope.lists.firehose.At(0).Span; !d.decodeEncoded(src, data, "data", level+1) {
			d.deadLetter(ReasonUnknownFormat, "the data is not base64 of JSON or gzip", src[elem.Start:elem.End])
		}
		return !d.elem.LimitExceeded()
	})
}

// decodeInner decodes the contents of an envelope: an object, an array, or a text that looks like JSON. It returns
// false for any other text, which has no format.
func (d *Decoder) decodeInner(src string, v scan.Span, level int) bool {
	switch v.Kind {
	case scan.Object, scan.Array:
		if d.enter(level, src[v.Start:v.End]) {
			d.decodeElement(src, v, level+1)
		}
		return true
	case scan.String:
		text := scan.Text(src, v, &d.elem.Arena)
		if record, ok := d.lineRecord(text); ok {
			text = record
		}
		if !d.looksLikeRecord(text) {
			return false
		}
		if d.enter(level, src[v.Start:v.End]) {
			d.decodeText(text, level+1)
		}
		return true
	}
	return false
}
