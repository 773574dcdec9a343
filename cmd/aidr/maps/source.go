package maps

import (
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// sources reads the sources of a field: a path, a mapping, or a list of them. The first source with a value determines the
// field.
func (r *reader) sources(n *doc.Node, f schema.Field) []decode.MapSource {
	items := []*doc.Node{n}
	if n.Kind == doc.List {
		if items = n.Items(); len(items) == 0 || len(items) > MaxSources {
			n.Fail("needs 1 to %d sources", MaxSources)
			return nil
		}
	}
	var list []decode.MapSource
	for _, item := range items {
		if s, ok := r.source(item, f); ok {
			list = append(list, s)
		}
	}
	return list
}

func (r *reader) source(n *doc.Node, f schema.Field) (s decode.MapSource, ok bool) {
	if n.Kind == doc.Text {
		s.Path, s.Item = itemPath(n)
		if f == schema.EventDuration && s.Path != nil {
			n.Fail("a duration needs its unit: write {path: %s, unit: ms}", doc.Short(n.String()))
		}
		return s, s.Path != nil
	}
	fields := n.Fields()
	at, value := fields.Get("path"), fields.Get("value")
	if at == nil && value == nil && n.Kind == doc.Map {
		n.Fail("needs path, value or both")
	}
	if at != nil {
		s.Path, s.Item = itemPath(at)
	}
	if value != nil {
		s.Value = r.constant(value, f)
	} else {
		r.options(n, fields, f, &s)
	}
	fields.Done()
	return s, s.Path != nil || s.Value != ""
}

// options reads how a value is converted.
func (r *reader) options(n *doc.Node, fields *doc.Fields, f schema.Field, s *decode.MapSource) {
	s.Pattern = pattern(fields.Get("regex"))
	s.Table = r.table(fields.Get("table"), f)
	s.Hash = r.only(fields.Get("hash"), f, schema.CredentialUID, schema.AIAgentUID).Bool()
	s.Declared = r.only(fields.Get("declared"), f, schema.AIAgentUID).Bool()
	s.AtEnd = r.only(fields.Get("at"), f, schema.Time).Enum("start", "end") == "end"
	if until := r.only(fields.Get("until"), f, schema.EventDuration); until != nil {
		s.Until = keyPath(until)
	}
	if forwarded := r.only(fields.Get("forwarded"), f, schema.SourceIP); forwarded != nil {
		for _, p := range keyPaths(forwarded) {
			s.Forwarded = append(s.Forwarded, p.Path)
		}
	}
	s.Unit = unit(fields.Get("unit"), n, f, s.Until != nil)
}

// only reports a problem if the option is used with a field that it does not belong to. It then returns nil.
func (r *reader) only(n *doc.Node, f schema.Field, fields ...schema.Field) *doc.Node {
	if n != nil && !slices.Contains(fields, f) {
		n.Fail("belongs to %s only", fields[0])
		return nil
	}
	return n
}

func pattern(n *doc.Node) *decode.Pattern {
	if n == nil {
		return nil
	}
	p, err := decode.NewPattern(n.Filled())
	if err != nil {
		n.Fail("is not a pattern: %v", err)
	}
	return p
}

// table reads a table that translates texts.
func (r *reader) table(n *doc.Node, f schema.Field) map[string]string {
	if n == nil {
		return nil
	}
	table := map[string]string{}
	n.Each(func(name, value *doc.Node) {
		if value.Kind == doc.Null { // the text means that the value is missing
			table[name.String()] = ""
			return
		}
		table[name.String()] = r.constant(value, f)
	})
	if n.Kind == doc.Map && (len(table) == 0 || len(table) > MaxTable) {
		n.Fail("needs 1 to %d rows", MaxTable)
	}
	return table
}

// constant reads a value that the map gives to a field.
func (r *reader) constant(n *doc.Node, f schema.Field) string {
	if f.Info().Type == schema.TypeBool {
		return strconv.FormatBool(n.Bool())
	}
	text := n.Filled()
	r.known(n, f, text)
	return text
}

// known checks the value of a field that has a fixed set of values.
func (r *reader) known(n *doc.Node, f schema.Field, value string) {
	var values []string
	switch f {
	case schema.EventOutcome:
		values = []string{formats.Success, formats.Failure, formats.Unknown}
	case schema.Disposition:
		values = []string{formats.Allowed, formats.Blocked}
	case schema.EventClass:
		values = decode.Classes()
	case schema.UserType:
		values = []string{"human", "service", "ai_agent", "system", "unknown"}
	}
	if values != nil && value != "" {
		n.Enum(values...)
	}
}

// units returns the units of a field by name, or nil for fields without a unit.
func units(f schema.Field) map[string]decode.Unit {
	switch f {
	case schema.Time, schema.EventDuration:
		return map[string]decode.Unit{
			"s": decode.UnitSecond, "ms": decode.UnitMilli, "us": decode.UnitMicro, "ns": decode.UnitNano, "ticks": decode.UnitTick,
		}
	case schema.GenAIUsageCost:
		return map[string]decode.Unit{"usd": decode.UnitNone, "cents": decode.UnitCent}
	}
	return nil
}

// unit reads the unit of a number. A duration needs one, except if it is the span between two times.
func unit(n, source *doc.Node, f schema.Field, between bool) decode.Unit {
	known := units(f)
	switch {
	case n == nil:
		if f == schema.EventDuration && source.Kind == doc.Map && !between {
			source.Fail("a duration needs its unit: s, ms, us, ns or ticks")
		}
		return decode.UnitNone
	case known == nil:
		n.Fail("belongs to time, event.duration and gen_ai.usage.cost only")
		return decode.UnitNone
	}
	names := []string{"s", "ms", "us", "ns", "ticks"}
	if f == schema.GenAIUsageCost {
		names = []string{"usd", "cents"}
	}
	return known[n.Enum(names...)]
}
