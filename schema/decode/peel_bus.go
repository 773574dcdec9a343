package decode

import (
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// busEnvelope holds the places of the keys of the envelopes of message buses.
type busEnvelope struct {
	specVersion, source, eventType int // CloudEvents: specversion, source, type
	data, dataBase64               int // CloudEvents: data, data_base64
	pushed, pushedID, pushedSnake  int // Google Pub/Sub, push: message.data, message.messageId, message.message_id
	pulledID, pulledSnake          int // Google Pub/Sub, pull: messageId, message_id, beside data
	schema, schemaType, fields     int // Kafka Connect's JSON with schema: schema, schema.type, schema.fields
	payload                        int // Kafka Connect, and rows of outgoing messages: payload
	aggregate                      int // rows of outgoing messages, by Debezium's convention: aggregatetype
	message                        int // Pub/Sub's connector: message
	operation, after, before       int // Debezium: op, after, before
	value, topic, offset           int // Kafka REST: value, topic, offset
	field                          *formats.Shape
}

// Places in the shape of a field of a schema.
const (
	fieldName = iota
	fieldType
)

func openBusEnvelope(p *formats.Paths) busEnvelope {
	return busEnvelope{
		specVersion: p.Add("specversion"), source: p.Add("source"), eventType: p.Add("type"),
		data: p.Add("data"), dataBase64: p.Add("data_base64"),
		pushed: p.Add("message", "data"), pushedID: p.Add("message", "messageId"), pushedSnake: p.Add("message", "message_id"),
		pulledID: p.Add("messageId"), pulledSnake: p.Add("message_id"),
		schema: p.Add("schema"), schemaType: p.Add("schema", "type"), fields: p.Add("schema", "fields"),
		payload: p.Add("payload"), aggregate: p.Add("aggregatetype"), message: p.Add("message"),
		operation: p.Add("op"), after: p.Add("after"), before: p.Add("before"),
		value: p.Add("value"), topic: p.Add("topic"), offset: p.Add("offset"),
		field: formats.NewShape([][]string{fieldName: {"field"}, fieldType: {"type"}}...),
	}
}

// peelBus peels the envelope of a message bus. It returns false if the object is not such an envelope.
func (d *Decoder) peelBus(src string, v scan.Span, level int) bool {
	at := func(place int) scan.Span { return d.found[place] }
	e := &d.envelope.bus
	switch {
	case at(e.specVersion).Kind == scan.String && at(e.source).Kind == scan.String && at(e.eventType).Kind == scan.String:
		if d.noteEnvelope(level, "CloudEvents"); at(e.dataBase64).Kind == scan.String {
			d.decodeBase64(src, v, at(e.dataBase64), "data_base64", level)
			return true
		}
		return d.decodeInner(src, at(e.data), level)
	case at(e.pushed).Kind == scan.String && (d.has(e.pushedID) || d.has(e.pushedSnake)):
		d.noteEnvelope(level, "Pub/Sub")
		d.decodeBase64(src, v, at(e.pushed), "message.data", level)
	case at(e.data).Kind == scan.String && (d.has(e.pulledID) || d.has(e.pulledSnake)):
		d.noteEnvelope(level, "Pub/Sub")
		d.decodeBase64(src, v, at(e.data), "data", level)
	case at(e.message).Kind == scan.String && d.isPubSubStruct(src, v):
		return d.decodeEncoded(src, at(e.message), "Pub/Sub", level)
	case d.has(e.schema) && d.has(e.payload):
		return d.peelConnect(src, v, level)
	case at(e.operation).Kind == scan.String && d.has(e.after) && (d.has(e.before) || d.has(e.source)):
		row := at(e.after)
		if row.Kind == scan.Null {
			row = at(e.before)
		}
		return d.peelRow(src, row, "Debezium", level)
	case d.has(e.aggregate) && d.has(e.payload):
		return d.peelRow(src, at(e.payload), "payload", level)
	case d.has(e.value) && (d.has(e.topic) && d.has(e.offset) || d.members(src, v) == 1):
		if at(e.value).Kind == scan.String {
			return d.decodeEncoded(src, at(e.value), "value", level)
		}
		d.noteEnvelope(level, "value")
		return d.decodeInner(src, at(e.value), level)
	default:
		return false
	}
	return true
}

// pubSubAttribute is the prefix of the attributes that Cloud Logging sets on its messages.
const pubSubAttribute = "logging.googleapis.com/"

// isPubSubStruct reports whether an object is a message of Pub/Sub with the attributes of Cloud Logging, as Pub/Sub's
// connector for Kafka writes it: it has no other keys. An object with the keys of a log shipper holds a workload's text.
func (d *Decoder) isPubSubStruct(src string, v scan.Span) bool {
	attributes := false
	other := false
	d.elem.Index.Members(src, v, &d.elem.Arena, func(key string, _ scan.Span) bool {
		if strings.HasPrefix(key, pubSubAttribute) {
			attributes = true
		} else {
			other = key != "message"
		}
		return !other
	})
	return attributes && !other
}

// peelConnect peels the JSON of Kafka Connect with a schema: bytes are base64, and a struct may have the record in one of its
// fields.
func (d *Decoder) peelConnect(src string, v scan.Span, level int) bool {
	e := &d.envelope.bus
	d.noteEnvelope(level, "Kafka Connect")
	payload := d.found[e.payload]
	if isText(src, d.found[e.schemaType], "bytes") && payload.Kind == scan.String {
		d.decodeBase64(src, v, payload, "payload", level)
		return true
	}
	if value := d.fieldOfBytes(src, payload); value.Kind == scan.String {
		return d.decodeEncoded(src, value, "Kafka Connect", level)
	}
	if payload.Kind == scan.String {
		return d.decodeEncoded(src, payload, "Kafka Connect", level)
	}
	return d.decodeInner(src, payload, level)
}

// fieldOfBytes returns the value of the first field of bytes in a struct, by its schema, which the converter writes, not the
// producer. It is Absent if there is none.
func (d *Decoder) fieldOfBytes(src string, payload scan.Span) (value scan.Span) {
	e := &d.envelope.bus
	name := ""
	d.elem.Index.Each(src, d.found[e.fields], func(elem scan.Span) bool {
		e.field.Select(d.elem, formats.Node{Src: src, Span: elem})
		if isText(src, e.field.At(fieldType).Span, "bytes") {
			name = d.elem.Text(e.field.At(fieldName))
		}
		return name == ""
	})
	if name == "" {
		return scan.Span{}
	}
	d.elem.Index.Members(src, payload, &d.elem.Arena, func(key string, v scan.Span) bool {
		if key == name {
			value = v
		}
		return true
	})
	return value
}

// peelRow decodes a row of a table, or the record in one: Debezium has the row after a change, or before it was deleted. Rows
// are what workloads write.
func (d *Decoder) peelRow(src string, row scan.Span, name string, level int) bool {
	outer := d.workload
	d.workload = true
	d.noteEnvelope(level, name)
	peeled := d.decodeInner(src, row, level)
	d.workload = outer
	return peeled
}
