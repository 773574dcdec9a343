package decode

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// envelope holds the places of the keys by which envelopes are recognised. Envelopes are added to records on their way;
// no producer of records writes these keys.
type envelope struct {
	records, digestStart, digestBucket int // CloudTrail files: Records, digestStartTime, digestS3Bucket
	azureRecords                       int // Azure diagnostics: records
	detailType, detail                 int // EventBridge: detail-type, detail
	messageType, logEvents             int // CloudWatch Logs subscription: messageType, logEvents
	awslogs                            int // the same, as gzip in base64 for a Lambda function: awslogs.data
	kind, items                        int // Kubernetes audit webhook: kind, items
	pushed, pushID                     int // Google Pub/Sub, push: message.data, message.messageId
	pulled, pulledID                   int // Google Pub/Sub, pull: data, messageId
	specVersion, source, eventType     int // CloudEvents: specversion, source, type
	data, dataBase64                   int // CloudEvents: data, data_base64
	schema, schemaType, payload        int // Kafka Connect's JSON with schema: schema, schema.type, payload
	message, original                  int // Filebeat, Elastic Agent, Vector: message, event.original
	log                                int // Docker, Fluent Bit: log
	stream                             int // Docker, CRI: stream
	logGroup                           int // CloudWatch Logs: logGroup
	event                              *formats.Shape
}

// The datasets under which skipped contents of envelopes are counted. No event has the last two.
const (
	cloudTrailDataset = "aws.cloudtrail"
	cloudWatchDataset = "aws.cloudwatch_logs"
	unknownDataset    = "unknown" // of an empty list, which may be of any dataset
)

// Place in the shape of a CloudWatch log event.
const logEventMessage = 0

func openEnvelope(p *formats.Paths) envelope {
	return envelope{
		records: p.AddElements("Records"), azureRecords: p.AddElements("records"),
		digestStart: p.Add("digestStartTime"), digestBucket: p.Add("digestS3Bucket"),
		detailType: p.Add("detail-type"), detail: p.Add("detail"),
		messageType: p.Add("messageType"), logEvents: p.AddIndexed("logEvents"), awslogs: p.Add("awslogs", "data"),
		kind: p.Add("kind"), items: p.AddElements("items"),
		pushed: p.Add("message", "data"), pushID: p.Add("message", "messageId"), pulled: p.Add("data"), pulledID: p.Add("messageId"),
		specVersion: p.Add("specversion"), source: p.Add("source"), eventType: p.Add("type"), data: p.Add("data"), dataBase64: p.Add("data_base64"),
		schema: p.Add("schema"), schemaType: p.Add("schema", "type"), payload: p.Add("payload"),
		message: p.Add("message"), original: p.Add("event", "original"), log: p.Add("log"), stream: p.Add("stream"),
		logGroup: p.Add("logGroup"),
		event:    formats.NewShape([][]string{logEventMessage: {"message"}}...),
	}
}

// peel decodes the contents of an object that fits no format. It returns false if the object is not an envelope.
func (d *Decoder) peel(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope
	switch {
	case at(e.records).Kind == scan.Array:
		d.noteEnvelope(level, "Records")
		d.decodeArray(src, at(e.records), level)
	case at(e.azureRecords).Kind == scan.Array:
		d.noteEnvelope(level, "records")
		d.decodeArray(src, at(e.azureRecords), level)
	case at(e.digestStart).Kind != scan.Absent && at(e.digestBucket).Kind != scan.Absent:
		d.skip(cloudTrailDataset, formats.SkipDigest) // it signs CloudTrail's files and holds no records
	case at(e.messageType).Kind == scan.String && at(e.logEvents).Kind == scan.Array:
		if !isText(src, at(e.messageType), "CONTROL_MESSAGE") {
			d.noteEnvelope(level, "CloudWatch Logs")
			outer := d.workload
			d.workload = outer || isWorkloadGroup(scan.Text(src, at(e.logGroup), &d.elem.Arena))
			d.decodeLogEvents(src, at(e.logEvents), level)
			d.workload = outer
		} else {
			d.skip(cloudWatchDataset, formats.SkipControlMessage)
		}
	case at(e.awslogs).Kind == scan.String:
		d.noteEnvelope(level, "awslogs")
		d.decodeBase64(src, v, at(e.awslogs), "awslogs.data", level)
	case at(e.detailType).Kind == scan.String && at(e.detail).Kind == scan.Object:
		d.noteEnvelope(level, "EventBridge")
		d.decodeInner(src, at(e.detail), level)
	case isText(src, at(e.kind), "EventList") && at(e.items).Kind == scan.Array:
		d.noteEnvelope(level, "EventList")
		d.decodeArray(src, at(e.items), level)
	default:
		return d.peelMessage(src, v, level)
	}
	return true
}

// peelMessage peels the envelope of a message bus. It returns false if the object is not such an envelope.
func (d *Decoder) peelMessage(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope
	switch {
	case at(e.specVersion).Kind == scan.String && at(e.source).Kind == scan.String && at(e.eventType).Kind == scan.String:
		d.noteEnvelope(level, "CloudEvents")
		if at(e.dataBase64).Kind == scan.String {
			d.decodeBase64(src, v, at(e.dataBase64), "data_base64", level)
			return true
		}
		return d.decodeInner(src, at(e.data), level)
	case at(e.pushed).Kind == scan.String && at(e.pushID).Kind != scan.Absent:
		d.noteEnvelope(level, "Pub/Sub")
		d.decodeBase64(src, v, at(e.pushed), "message.data", level)
	case at(e.pulled).Kind == scan.String && at(e.pulledID).Kind != scan.Absent:
		d.noteEnvelope(level, "Pub/Sub")
		d.decodeBase64(src, v, at(e.pulled), "data", level)
	case at(e.schema).Kind != scan.Absent && isText(src, at(e.schemaType), "bytes") && at(e.payload).Kind == scan.String:
		d.noteEnvelope(level, "Kafka Connect")
		d.decodeBase64(src, v, at(e.payload), "payload", level)
	case at(e.schema).Kind != scan.Absent && at(e.payload).Kind != scan.Absent:
		d.noteEnvelope(level, "Kafka Connect")
		return d.decodeInner(src, at(e.payload), level)
	default:
		return d.peelShipped(src, level)
	}
	return true
}

// shippedKeys are the keys under which log shippers wrap a record, in the order in which they are tried.
var shippedKeys = [...]string{"message", "event.original", "log"}

// peelShipped peels the envelope of a log shipper, which wraps a record as text or as an object. The text is the
// log of a workload.
func (d *Decoder) peelShipped(src string, level int) bool {
	e := &d.envelope
	outer := d.workload
	d.workload = true
	defer func() { d.workload = outer }()
	for i, place := range [...]int{e.message, e.original, e.log} {
		d.noteEnvelope(level, shippedKeys[i])
		if d.decodeInner(src, d.found[place], level) {
			return true
		}
	}
	return false
}

// isWorkloadGroup reports whether a log group of CloudWatch Logs holds the output of workloads, by the names that AWS
// gives to such groups. Other groups may be those of CloudTrail or of a cluster's audit log.
func isWorkloadGroup(name string) bool {
	for _, prefix := range [...]string{
		"/ecs/", "/aws/ecs/", "/aws/lambda/", "/aws/containerinsights/", "/aws/batch/", "/aws/codebuild/", "/aws/sagemaker/",
		"/aws/apprunner/", "/aws/elasticbeanstalk/",
	} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
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
		if record, ok := d.keyed(text); ok {
			text = record
		}
		start := strings.TrimLeft(text, " \t\r\n")
		if start == "" || start[0] != '{' && start[0] != '[' {
			return false
		}
		if d.enter(level, src[v.Start:v.End]) {
			d.decodeText(text, level+1)
		}
		return true
	}
	return false
}

// decodeLogEvents decodes each line of a CloudWatch Logs subscription.
func (d *Decoder) decodeLogEvents(src string, list scan.Span, level int) {
	if !d.enter(level, src[list.Start:list.End]) {
		return
	}
	empty := true
	d.elem.Index.Each(src, list, func(elem scan.Span) bool {
		empty = false
		d.envelope.event.Select(d.elem, formats.Node{Src: src, Span: elem})
		line := d.envelope.event.At(logEventMessage).Span
		d.noteEnvelope(level+1, "message")
		if !d.decodeInner(src, line, level+1) {
			d.deadLetter(ReasonUnknownFormat, "the log line is not JSON", src[elem.Start:elem.End])
		}
		return !d.elem.LimitExceeded()
	})
	if empty {
		d.skip(cloudWatchDataset, formats.SkipEmpty)
	}
}

// decodeBase64 decodes the base64 in the value of the named key.
func (d *Decoder) decodeBase64(src string, outer, v scan.Span, name string, level int) {
	if !d.enter(level, src[outer.Start:outer.End]) {
		return
	}
	raw := scan.Text(src, v, &d.elem.Arena)
	encoding := base64.StdEncoding
	if strings.ContainsAny(raw, "-_") {
		encoding = base64.URLEncoding // Pub/Sub's clients write either encoding
	}
	text, err := encoding.DecodeString(raw)
	if err != nil {
		d.deadLetter(ReasonMalformed, fmt.Sprintf("decode %s: %v", name, err), src[outer.Start:outer.End])
		return
	}
	d.decodeText(string(text), level+1)
}

// isGzip reports whether the text begins with gzip's magic number. JSON never does.
func isGzip(text string) bool { return strings.HasPrefix(text, "\x1f\x8b") }

// decodeGzip inflates a gzip stream and decodes its contents. All that one record inflates to must stay within
// MaxRecord.
func (d *Decoder) decodeGzip(text string, level int) {
	d.noteEnvelope(level, "gzip")
	if !d.enter(level, text) {
		return
	}
	var out bytes.Buffer
	stream, err := gzip.NewReader(strings.NewReader(text))
	if err == nil {
		_, err = io.Copy(&out, io.LimitReader(stream, int64(MaxRecord-d.inflated)+1))
	}
	d.inflated += out.Len()
	d.elem.Charge(gzipCost)
	switch {
	case d.inflated > MaxRecord:
		d.deadLetter(ReasonSize, fmt.Sprintf("gzip holds more than %d bytes", MaxRecord), text)
	case err != nil:
		d.deadLetter(ReasonMalformed, fmt.Sprintf("inflate gzip: %v", err), text)
	default:
		d.decodeText(out.String(), level+1)
	}
}

// gzipCost is the cost of a gzip stream beside that of its contents: the tables of the decompressor, 40 KB, are allocated
// for each.
const gzipCost = 32 << 10

// reasonOf returns a dead letter's reason and detail for an error of the scanner.
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

// frameHead is the length in bytes of the frame that Confluent's serializers put before a message: a zero byte and the
// schema's id in a registry, big-endian. JSON, gzip and telemetry in protobuf never begin with a zero byte.
const frameHead = 5

// isFramed reports whether the text begins with a frame.
func isFramed(text string) bool { return len(text) > frameHead && text[0] == 0 }

// decodeFramed decodes a framed message: JSON, or protobuf after the position of its message in the schema. The schema
// is not needed, because the formats are recognised by their contents.
func (d *Decoder) decodeFramed(text string, level int) {
	d.noteEnvelope(level, "schema registry frame")
	if !d.enter(level, text) {
		return
	}
	body := text[frameHead:]
	if start := strings.TrimLeft(body, " \t\r\n"); start != "" && (start[0] == '{' || start[0] == '[') {
		d.decodeText(body, level+1)
		return
	}
	rest, ok := readIndexes(body)
	if !ok {
		d.deadLetter(ReasonMalformed, "the frame of a schema registry is followed by neither JSON nor protobuf: is it Avro?", text)
		return
	}
	d.decodeText(rest, level+1)
}

// maxIndexes is the largest number of indexes read. No producer nests messages as deeply in a schema.
const maxIndexes = 16

// readIndexes reads past the position of a protobuf message in its schema: the number of indexes and then the indexes,
// each a zigzag varint. No indexes means the schema's first message.
func readIndexes(body string) (rest string, ok bool) {
	count, n := binary.Varint([]byte(body[:min(len(body), binary.MaxVarintLen64)]))
	if n <= 0 || count < 0 || count > maxIndexes {
		return "", false
	}
	for body = body[n:]; count > 0; count-- {
		index, n := binary.Varint([]byte(body[:min(len(body), binary.MaxVarintLen64)]))
		if n <= 0 || index < 0 {
			return "", false
		}
		body = body[n:]
	}
	return body, true
}
