package main

import (
	"encoding/json"
	"io"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// explainLine describes how one element of a record was read. Its JSON names are a contract.
type explainLine struct {
	File      string       `json:"file"`
	Offset    int64        `json:"offset"`
	Index     int          `json:"index"`
	Envelopes []string     `json:"envelopes,omitempty"` // the outermost first
	Format    string       `json:"format,omitempty"`
	Keys      []string     `json:"told_by_keys,omitempty"`
	Where     string       `json:"told_by_text,omitempty"`
	Named     bool         `json:"told_by_configuration,omitempty"`
	Events    int          `json:"events"`
	Agent     *explainName `json:"agent,omitempty"`
	Ignored   []string     `json:"ignored,omitempty"`
	Faults    []string     `json:"impossible_types,omitempty"`
	Twice     []string     `json:"keys_twice,omitempty"`
	Dead      string       `json:"dead_letter,omitempty"`
	Near      string       `json:"nearest_format,omitempty"`
}

// explainName describes how the agent of a record was named.
type explainName struct {
	UID    string `json:"uid,omitempty"`
	Source string `json:"source,omitempty"`     // the field of the record that names the agent
	Record string `json:"record_uid,omitempty"` // the name in the record, if it was replaced by an override or alias
	Rung   string `json:"rung"`
}

// explain makes the printer write to w how each record was read.
func (d *decodePrinter) explain(w io.Writer) {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	d.handler.Explain = func(x *decode.Explanation) {
		line := explainLine{
			File: d.name, Offset: d.offset, Index: x.Index, Envelopes: x.Envelopes, Format: x.Format, Keys: x.Keys, Where: x.Where,
			Named: x.Named, Events: x.Events, Ignored: x.Ignored, Faults: x.Faults, Twice: x.Duplicates, Dead: x.Dead, Near: x.Near,
		}
		if x.Events > 0 {
			show := d.redact.Field(schema.AIAgentUID)
			line.Agent = &explainName{show.Expose(x.Agent.UID, nil), x.Agent.Source, show.Expose(x.Agent.Record, nil), x.Agent.Rung}
		}
		if err := lines.Encode(line); err != nil && d.err == nil {
			d.err = err
		}
	}
}
