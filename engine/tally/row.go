package tally

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/schema"
)

// The kinds of rows and of stored values. They are part of the format of the store.
const (
	kindRule   = 'r'
	kindSource = 's'
	kindEvent  = 'e'
	kindLow    = 'l' // the watermark of the last checkpoint
)

// Row is one row: exactly one of its fields is set.
type Row struct {
	Rule   *schema.RuleStats
	Source *schema.SourceQuality
	Event  *schema.ArchivedEvent
}

// IsRow reports whether a row that a checkpoint holds, of which head is the first text, is one of this package.
func IsRow(head string) bool { return head == rowHead }

// rowHead is the first text of a row. No flat key of the inventory is equal to it.
const rowHead = "\xff"

// appendRow appends a row: rowHead with its length, the kind in one byte, and the body with its length.
func appendRow(dst []byte, kind byte, body []byte) []byte {
	return flat.AppendText(append(flat.AppendText(dst, rowHead), kind), body)
}

// ReadRow reads a row after its head, and returns the text after it. checkpoint is the number of the checkpoint that holds it.
func ReadRow(rows string, checkpoint uint64) (r Row, rest string, err error) {
	damaged := fmt.Errorf("read a row of rules, sources and events: the store is damaged")
	if len(rows) == 0 {
		return r, "", damaged
	}
	kind := rows[0]
	n, size := binary.Uvarint([]byte(rows[1:min(len(rows), 1+binary.MaxVarintLen64)]))
	if size <= 0 || n > uint64(len(rows)-1-size) {
		return r, "", damaged
	}
	body, rest := rows[1+size:1+size+int(n)], rows[1+size+int(n):]
	switch kind {
	case kindRule:
		r.Rule = &schema.RuleStats{}
		err = json.Unmarshal([]byte(body), r.Rule)
	case kindSource:
		r.Source = &schema.SourceQuality{}
		err = json.Unmarshal([]byte(body), r.Source)
	case kindEvent:
		var ok bool
		if r.Event, ok = readEvent(body); !ok {
			return r, "", damaged
		}
		r.Event.Seq = checkpoint
	default:
		return r, "", damaged
	}
	if err != nil {
		return r, "", damaged
	}
	return r, rest, nil
}

// EventWriter encodes archived events. Its storage is used again, and it belongs to one goroutine.
type EventWriter struct{ buf []byte }

// Append appends the row of an event to dst. rules are the ids of those whose condition held. field calls its argument with the name
// and the exposed text of each field.
//
// The body is: time, offset, index, partition and number as varints; topic, tenant, source and dataset; the number of rules and their ids; for
// each field its name and its text. Texts have their length before them.
func (w *EventWriter) Append(dst []byte, e *schema.ArchivedEvent, fields func(yield func(name, text string))) []byte {
	b := w.buf[:0]
	b = binary.AppendVarint(b, int64(e.Time))
	b = binary.AppendVarint(b, e.Pos.Offset)
	b = binary.AppendVarint(b, int64(e.Pos.Index))
	b = binary.AppendVarint(b, int64(e.Pos.Partition))
	b = binary.AppendVarint(b, int64(e.Number))
	for _, text := range [...]string{e.Pos.Topic, e.Tenant, e.Source, e.Dataset} {
		b = flat.AppendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Rules)))
	for _, id := range e.Rules {
		b = flat.AppendText(b, id)
	}
	fields(func(name, text string) { b = flat.AppendText(flat.AppendText(b, name), text) })
	w.buf = b
	return appendRow(dst, kindEvent, b)
}

func readEvent(body string) (e *schema.ArchivedEvent, ok bool) {
	r := flat.NewReader([]byte(body))
	e = &schema.ArchivedEvent{Fields: map[string]string{}}
	e.Time = schema.Instant(r.Varint())
	e.Pos.Offset, e.Pos.Index, e.Pos.Partition, e.Number = r.Varint(), int(r.Varint()), int32(r.Varint()), int(r.Varint())
	for _, text := range [...]*string{&e.Pos.Topic, &e.Tenant, &e.Source, &e.Dataset} {
		*text = string(r.Text())
	}
	for range r.Count(1) {
		e.Rules = append(e.Rules, string(r.Text()))
	}
	for len(r.Rest()) > 0 && !r.Bad() {
		name := string(r.Text())
		e.Fields[name] = string(r.Text())
	}
	return e, !r.Bad()
}
