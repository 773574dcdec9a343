package decode

import (
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// Map is a field map: a log format that is described by a few lines and gives one event per record. It is immutable
// once made, and shared by workers. Its fields must be valid; a map read from a file is checked there.
type Map struct {
	Name    string // as in a source's configuration
	Dataset string
	Class   string      // event.class, if no source in Classes yields one
	Classes []MapSource // sources of event.class
	// Families are the families of the dataset, sorted; empty: the one of the class.
	Families []string
	Keys     [][]string
	// Match, if not nil, narrows the Keys: the value at this key at the top of a record must be one of the texts.
	Match  *MapMatch
	Absent []string // texts that mean that a value is absent, in addition to ""

	Fields   []MapField // each field at most once
	Identity []MapSource
	Chat     *MapChat // nil if the record holds no bodies of model calls
}

// MapField describes the sources of a field. The first source that yields a value counts.
type MapField struct {
	Field schema.Field
	From  []MapSource
}

// MapMatch is a key at the top of a record and the texts that it may have in records of the map.
type MapMatch struct {
	Key   string
	Texts []string
}

// MapItem selects a value in a list: at Path in the first object that has the text Text at Key, in any case of letters, or in
// the first item if Key is "". A Path of nil means the first item itself.
type MapItem struct {
	Key, Text string
	Path      []string
}

// MapChat describes the sources of the bodies of a model call. Of each body, the first source that yields a value
// counts.
type MapChat struct {
	Request, Response, Tools []MapSource
}

// MapSource is one source of a value, and the steps applied to the value, in the order of the fields here.
type MapSource struct {
	Path  []string // keys from the top of the record; if nil, the source is the constant Value
	Item  *MapItem // if not nil, Path is that of a list, and the source is a value in it
	Value string   // a constant; if Path is set too, the constant applies only to records that have a value there

	Pattern *Pattern // nil for the whole text
	// Table replaces texts; nil leaves them unchanged. "" means no value. A text without a row is a field error,
	// unless there is an OtherRow.
	Table map[string]string
	Hash  bool // the value is a secret and is replaced by its hash
	// Declared is for identity: the caller chooses the value, as in a header, so it does not replace an id from a source
	// above it. See formats.Element.DeclareAgent.
	Declared bool

	Unit      Unit
	Until     []string   // for event.duration: the path of the time of the end; Path is that of the start
	AtEnd     bool       // for time: the value is the time of the end; the activity began event.duration earlier
	Forwarded [][]string // for source.ip: the paths of X-Forwarded-For, of which the first with a value counts
}

// OtherRow is the row of a table for all texts without a row of their own.
const OtherRow = "*"

// Unit is the unit of a number.
type Unit uint8

// The units.
const (
	UnitNone Unit = iota // the value itself shows its unit: a time
	UnitSecond
	UnitMilli
	UnitMicro
	UnitNano
	UnitTick // 100 ns, as in .NET; a time counts from the year 1
	UnitCent // of money
)

// nanos returns the number of ns in one unit.
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

// Mappable returns the reason why a map cannot set a field, or "" if it can.
func Mappable(f schema.Field) string {
	switch f {
	case schema.EventDataset:
		return "the map's dataset sets it"
	case schema.EventClass:
		return "the map's class sets it"
	case schema.AIAgentUID, schema.AIAgentUIDSource, schema.AIAgentDeclaredUID:
		return "the map's identity sets it"
	case schema.EventIngested, schema.EventRawRef, schema.EventTruncated:
		return "aidr sets it"
	case schema.GenAISystemInstructionsHash, schema.GenAIToolDefinitionsHash, schema.GenAIToolDefinitionsCount:
		return "the map's chat sets it"
	}
	if f.OfTrigger() {
		return "only triggers have it"
	}
	return ""
}

// Rung returns the name of a source in ai_agent.uid_source: its path, joined with dots.
func (s *MapSource) Rung() string {
	if s.Path == nil {
		return "constant"
	}
	rung := strings.Join(s.Path, ".")
	switch item := s.Item; {
	case item == nil:
		return rung
	case item.Path == nil:
		return rung + "[0]"
	case item.Key == "":
		return rung + "[0]." + strings.Join(item.Path, ".")
	default:
		return rung + "[" + item.Key + "=" + item.Text + "]." + strings.Join(item.Path, ".")
	}
}

// format returns the map as a format.
func (m *Map) format() formats.Format {
	f := formats.Format{
		Name: m.Name, Datasets: []string{m.Dataset}, Families: m.Families,
		NewReader: func(p *formats.Paths) formats.Reader { return openMap(m, p) },
	}
	if len(f.Families) == 0 {
		f.Families = []string{formats.FamilyOfClass(m.Class)}
	}
	if m.ofPlatform() {
		f.Scope = formats.ScopePlatform
	}
	for _, keys := range m.Keys {
		if m.Match == nil {
			f.Signatures = append(f.Signatures, formats.Signature{Keys: keys})
			continue
		}
		for _, text := range m.Match.Texts {
			f.Signatures = append(f.Signatures, formats.Signature{Keys: keys, Path: []string{m.Match.Key}, Text: text})
		}
	}
	return f
}

// ofPlatform reports whether records of the map are those of a platform: its events may be of class audit or auth.
func (m *Map) ofPlatform() bool {
	platform := func(class string) bool { return class == formats.ClassAudit || class == formats.ClassAuth }
	return platform(m.Class) || slices.ContainsFunc(m.Classes, func(s MapSource) bool {
		for _, class := range s.Table {
			if platform(class) {
				return true
			}
		}
		return platform(s.Value)
	})
}

// Shadow returns the name of a built-in format that takes every record with the map's keys before the map does, or "".
func Shadow(m *Map) string {
	for _, f := range all() {
		for _, t := range f.Signatures {
			for _, keys := range m.Keys {
				if t.Path == nil && len(t.Keys) >= len(keys) && contains(keys, t.Keys) {
					return f.Name
				}
			}
		}
	}
	return ""
}

// contains reports whether list contains all of sub.
func contains(list, sub []string) bool {
	for _, s := range sub {
		if !slices.Contains(list, s) {
			return false
		}
	}
	return true
}
