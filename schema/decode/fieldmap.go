package decode

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// Map is a field map: a log format that a few lines describe, one event a record. It is immutable once made, and shared
// by workers. Who reads it from a file has checked it.
type Map struct {
	Name    string // as in a source's configuration
	Dataset string
	Class   string // event.class
	Keys    [][]string
	Absent  []string // texts that mean that there is nothing, beside ""

	Fields   []MapField // each field once
	Identity []MapSource
	Chat     *MapChat // nil: the record holds no bodies of a model's call
}

// MapField is where a field comes from: the first source that gives something.
type MapField struct {
	Field schema.Field
	From  []MapSource
}

// MapChat says where the bodies of a call of a model are: of each the first path that has something counts.
type MapChat struct {
	Request, Response, Tools []MapSource
}

// MapSource is one place that a value comes from, and what is done to it, in the order of the fields here.
type MapSource struct {
	Path  []string // keys from the top of the record; nil: Value is meant, in every record
	Value string   // a constant: where Path is given too, for a record that has something there

	Pattern *Pattern          // nil: all of the text
	Table   map[string]string // nil: the text as it is. "" is no value; a text that has no row is counted, but for OtherRow
	Hash    bool              // a secret: its hash stands for it

	Unit      Unit
	Until     []string   // of event.duration: the path of the time at which it was over; Path is that of its start
	AtEnd     bool       // of time: when the activity was over; it began event.duration before
	Forwarded [][]string // of source.ip: the paths of X-Forwarded-For, of which the first that has something counts
}

// OtherRow is the row of a table for every text that has none.
const OtherRow = "*"

// Unit is what a number counts.
type Unit uint8

const (
	UnitNone Unit = iota // the value tells: a time
	UnitSecond
	UnitMilli
	UnitMicro
	UnitNano
	UnitTick // .NET: 100 ns, since year 1 where it is a time
	UnitCent // of money
)

// nanos is how many ns one of it is.
func (u Unit) nanos() int64 {
	switch u {
	case UnitSecond:
		return 1e9
	case UnitMilli:
		return 1e6
	case UnitMicro:
		return 1e3
	case UnitTick:
		return 100
	}
	return 1
}

// Mappable says why a map can not set a field, "" where it can.
func Mappable(f schema.Field) string {
	switch f {
	case schema.EventDataset:
		return "the map's dataset says it"
	case schema.EventClass:
		return "the map's class says it"
	case schema.AIAgentUID, schema.AIAgentUIDSource:
		return "the map's identity says it"
	case schema.EventIngested, schema.EventRawRef, schema.EventTruncated:
		return "aidr sets it"
	case schema.GenAISystemInstructionsHash, schema.GenAIToolDefinitionsHash, schema.GenAIToolDefinitionsCount:
		return "the map's chat says it"
	}
	return ""
}

// Rung is how ai_agent.uid_source names a source: its path, with dots.
func (s *MapSource) Rung() string {
	if s.Path == nil {
		return "constant"
	}
	return strings.Join(s.Path, ".")
}

// format returns the map as a format among the others.
func (m *Map) format() formats.Format {
	f := formats.Format{
		Name: m.Name, Datasets: []string{m.Dataset},
		Open: func(p *formats.Paths) formats.Reader { return openMap(m, p) },
	}
	for _, keys := range m.Keys {
		f.Tells = append(f.Tells, formats.Tell{Keys: keys})
	}
	return f
}

// Shadow returns the built-in format that is taken before the map wherever the map's keys are there, "" where there is
// none.
func Shadow(m *Map) string {
	for _, f := range all() {
		for _, t := range f.Tells {
			for _, keys := range m.Keys {
				if t.Path == nil && len(t.Keys) >= len(keys) && contains(keys, t.Keys) {
					return f.Name
				}
			}
		}
	}
	return ""
}

// contains says that all of sub is in list.
func contains(list, sub []string) bool {
	for _, s := range sub {
		if !slices.Contains(list, s) {
			return false
		}
	}
	return true
}
