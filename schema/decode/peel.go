package decode

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// envelope holds the places of the keys of envelopes: what stands around records on their way, none of which a producer
// of records writes.
type envelope struct {
	records, azureRecords, digestStart, digestBucket int // CloudTrail's files; Azure's diagnostics
	detailType, detail                               int // EventBridge
	messageType, logEvents                           int // CloudWatch Logs subscription
	awslogs                                          int // the same as a Lambda function gets it: gzip in base64
	kind, items                                      int // Kubernetes' audit webhook
	pushed, pushID, pulled, pulledID                 int // Google Pub/Sub: pushed to a subscriber, or as pulled
	specVersion, source, eventType, data, dataBase64 int // CloudEvents
	schema, schemaType, payload                      int // Kafka Connect's JSON with its schema
	message, original                                int // Filebeat, Elastic Agent, Vector
	log                                              int // Docker, Fluent Bit
	event                                            *formats.Shape
}

// Place in the shape of a CloudWatch log event.
const logEventMessage = 0

func openEnvelope(p *formats.Paths) envelope {
	return envelope{
		records: p.OpenRecords("Records"), azureRecords: p.OpenRecords("records"),
		digestStart: p.Add("digestStartTime"), digestBucket: p.Add("digestS3Bucket"),
		detailType: p.Add("detail-type"), detail: p.Add("detail"),
		messageType: p.Add("messageType"), logEvents: p.Open("logEvents"), awslogs: p.Add("awslogs", "data"),
		kind: p.Add("kind"), items: p.OpenRecords("items"),
		pushed: p.Add("message", "data"), pushID: p.Add("message", "messageId"), pulled: p.Add("data"), pulledID: p.Add("messageId"),
		specVersion: p.Add("specversion"), source: p.Add("source"), eventType: p.Add("type"), data: p.Add("data"), dataBase64: p.Add("data_base64"),
		schema: p.Add("schema"), schemaType: p.Add("schema", "type"), payload: p.Add("payload"),
		message: p.Add("message"), original: p.Add("event", "original"), log: p.Add("log"),
		event: formats.NewShape([]string{"message"}),
	}
}

// peel takes an object that no format fits as an envelope; false where it is none.
func (d *Decoder) peel(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope
	switch {
	case at(e.records).Kind == scan.Array:
		d.step(level, "Records")
		d.array(src, at(e.records), level)
	case at(e.azureRecords).Kind == scan.Array:
		d.step(level, "records")
		d.array(src, at(e.azureRecords), level)
	case at(e.digestStart).Kind != scan.Absent && at(e.digestBucket).Kind != scan.Absent:
		// A digest signs CloudTrail's files; it holds no records.
	case at(e.messageType).Kind == scan.String && at(e.logEvents).Kind == scan.Array:
		if !holds(src, at(e.messageType), "CONTROL_MESSAGE") {
			d.step(level, "CloudWatch Logs")
			d.logEvents(src, at(e.logEvents), level)
		}
	case at(e.awslogs).Kind == scan.String:
		d.step(level, "awslogs")
		d.encoded(src, v, at(e.awslogs), "awslogs.data", level)
	case at(e.detailType).Kind == scan.String && at(e.detail).Kind == scan.Object:
		d.step(level, "EventBridge")
		d.inner(src, at(e.detail), level)
	case holds(src, at(e.kind), "EventList") && at(e.items).Kind == scan.Array:
		d.step(level, "EventList")
		d.array(src, at(e.items), level)
	default:
		return d.carried(src, v, level)
	}
	return true
}

// carried takes the record that a message bus put into a message of its own.
func (d *Decoder) carried(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope
	switch {
	case at(e.specVersion).Kind == scan.String && at(e.source).Kind == scan.String && at(e.eventType).Kind == scan.String:
		d.step(level, "CloudEvents")
		if at(e.dataBase64).Kind == scan.String {
			d.encoded(src, v, at(e.dataBase64), "data_base64", level)
			return true
		}
		return d.inner(src, at(e.data), level)
	case at(e.pushed).Kind == scan.String && at(e.pushID).Kind != scan.Absent:
		d.step(level, "Pub/Sub")
		d.encoded(src, v, at(e.pushed), "message.data", level)
	case at(e.pulled).Kind == scan.String && at(e.pulledID).Kind != scan.Absent:
		d.step(level, "Pub/Sub")
		d.encoded(src, v, at(e.pulled), "data", level)
	case at(e.schema).Kind != scan.Absent && holds(src, at(e.schemaType), "bytes") && at(e.payload).Kind == scan.String:
		d.step(level, "Kafka Connect")
		d.encoded(src, v, at(e.payload), "payload", level)
	case at(e.schema).Kind != scan.Absent && at(e.payload).Kind != scan.Absent:
		d.step(level, "Kafka Connect")
		return d.inner(src, at(e.payload), level)
	default:
		return d.wrapped(src, level)
	}
	return true
}

// shipped are the keys that log shippers wrap a record in, in the order in which they are tried.
var shipped = [...]string{"message", "event.original", "log"}

// wrapped takes the record that a log shipper wrapped, as text or as an object.
func (d *Decoder) wrapped(src string, level int) bool {
	e := &d.envelope
	for i, place := range [...]int{e.message, e.original, e.log} {
		d.step(level, shipped[i])
		if d.inner(src, d.found[place], level) {
			return true
		}
	}
	return false
}

// inner takes what stands in an envelope: an object, an array, or a text that looks like JSON. Of other lines it is
// false: they are of no format.
func (d *Decoder) inner(src string, v scan.Span, level int) bool {
	switch v.Kind {
	case scan.Object, scan.Array:
		if d.enter(level, src[v.Start:v.End]) {
			d.element(src, v, level+1)
		}
		return true
	case scan.String:
		text := scan.Text(src, v, &d.record.Arena)
		start := strings.TrimLeft(text, " \t\r\n")
		if start == "" || start[0] != '{' && start[0] != '[' {
			return false
		}
		if d.enter(level, src[v.Start:v.End]) {
			d.document(text, level+1)
		}
		return true
	}
	return false
}

// logEvents takes each line of a CloudWatch Logs subscription.
func (d *Decoder) logEvents(src string, list scan.Span, level int) {
	if !d.enter(level, src[list.Start:list.End]) {
		return
	}
	d.record.Index.Each(src, list, func(elem scan.Span) bool {
		d.envelope.event.Select(d.record, formats.Node{Src: src, Span: elem})
		line := d.envelope.event.At(logEventMessage).Span
		d.step(level+1, "message")
		if !d.inner(src, line, level+1) {
			d.dead(ReasonUnknownFormat, "the log line is no JSON", src[elem.Start:elem.End])
		}
		return !d.record.Full()
	})
}

// encoded takes base64, which stands at the key that is named.
func (d *Decoder) encoded(src string, outer, v scan.Span, name string, level int) {
	if !d.enter(level, src[outer.Start:outer.End]) {
		return
	}
	raw := scan.Text(src, v, &d.record.Arena)
	encoding := base64.StdEncoding
	if strings.ContainsAny(raw, "-_") {
		encoding = base64.URLEncoding // Pub/Sub's clients write either
	}
	text, err := encoding.DecodeString(raw)
	if err != nil {
		d.dead(ReasonMalformed, fmt.Sprintf("decode %s: %v", name, err), src[outer.Start:outer.End])
		return
	}
	d.document(string(text), level+1)
}

// isGzip looks at the magic number. No JSON begins like this.
func isGzip(text string) bool { return strings.HasPrefix(text, "\x1f\x8b") }

// inflate takes a gzip stream. All that one record inflates to has to stay below MaxRecord.
func (d *Decoder) inflate(text string, level int) {
	d.step(level, "gzip")
	if !d.enter(level, text) {
		return
	}
	var out bytes.Buffer
	stream, err := gzip.NewReader(strings.NewReader(text))
	if err == nil {
		_, err = io.Copy(&out, io.LimitReader(stream, int64(MaxRecord-d.inflated)+1))
	}
	d.inflated += out.Len()
	switch {
	case d.inflated > MaxRecord:
		d.dead(ReasonSize, fmt.Sprintf("gzip holds more than %d bytes", MaxRecord), text)
	case err != nil:
		d.dead(ReasonMalformed, fmt.Sprintf("inflate gzip: %v", err), text)
	default:
		d.document(out.String(), level+1)
	}
}

// reasonOf turns an error of the scanner into a dead letter's reason and detail.
func reasonOf(err error) (reason, detail string) {
	reason = ReasonMalformed
	switch {
	case errors.Is(err, scan.ErrUTF8):
		reason = ReasonUTF8
	case errors.Is(err, scan.ErrDepth):
		reason = ReasonDepth
	case errors.Is(err, scan.ErrEmpty):
		reason = ReasonEmpty
	}
	return reason, err.Error()
}
