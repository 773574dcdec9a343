// Package decode makes events of records: it peels envelopes, detects the format by its top-level keys, and identifies
// the agent. It keeps no memory: what a record gives depends on that record alone.
package decode

import "github.com/aidr-engine/aidr/schema"

// Options say how the records of one source are decoded.
type Options struct {
	Format string // "auto" or a format's name
	Tenant string
	Wanted schema.Wanted // fields that have to be there; identity, time, dataset and class always are
	// TrustForwarded: X-Forwarded-For of these peers is believed (CIDRs).
	TrustForwarded []string
}

// Decoder decodes the records of one source in one worker. It is not for concurrent use.
type Decoder struct{}

// Meta is where a record comes from.
type Meta struct {
	Pos  schema.Position
	Time int64 // the broker's timestamp in ns; 0 in a file, where an event without a time is a dead letter
}

// Dead is what could not be decoded.
type Dead struct {
	Index  int    // which element of the record
	Reason string // malformed_json, invalid_utf8, empty, unknown_format, no_time, too_large, too_deep, fan_out ...
	Detail string
	Body   string // the element as it stood, not yet redacted
}

// Handler takes what a record gives. The event is valid during the call.
type Handler struct {
	Event func(e *schema.Event)
	Dead  func(d Dead)
	// FieldError counts a field of an impossible type or a key that stands twice; name is the field's or the key's.
	FieldError func(dataset, name string)
}

// New returns a decoder; it fails where the format is not known.
func New(o Options) (*Decoder, error) { panic("BUG: seam") }

// Decode calls h with everything that the record gives, in order.
func (d *Decoder) Decode(raw string, m Meta, h *Handler) { panic("BUG: seam") }

// Formats returns the names of all formats and the datasets that each can give, sorted.
func Formats() []FormatInfo { panic("BUG: seam") }

// FormatInfo is one of them.
type FormatInfo struct {
	Name     string
	Datasets []string
	Keys     string // the top-level keys that tell it, for people
}
