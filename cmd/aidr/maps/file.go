// Package maps reads field maps: YAML files that say, for a log format that is not built in, which keys tell it and
// where our fields stand in its records. The maps of common gateways are shipped with it. What a map means is in
// schema/decode; maps.md says how one is written.
package maps

import (
	"embed"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// Shipped are the field maps that aidr ships, one file each.
//
//go:embed shipped/*.yaml
var shipped embed.FS

// ShippedName is what problems and results call the place of the shipped maps.
const ShippedName = "builtin"

// The caps of a map. What is beyond is no map that a person wrote.
const (
	MaxMaps    = 200  // files in all folders together
	MaxSources = 32   // places that one field is looked for
	MaxPath    = 16   // keys of a path
	MaxKeys    = 16   // keys of a set that tells the format, and such sets
	MaxTable   = 1000 // rows of a table
	MaxTests   = 200  // tests of a map
)

// File is one field map as it was read.
type File struct {
	*decode.Map
	About   string // one line for people
	Path    string // of the file, as it is shown
	Line    int
	Tests   []Test
	Shipped bool
}

// Test is one test in a map's file: a record, and all that it has to give.
type Test struct {
	Name   string
	Line   int
	Record string
	Events []map[string]any // each with the fields that are compared; a nil value means absent
	Dead   []string         // reasons of dead letters
	Faults []string         // fields and keys that were counted
}

// Set is the maps that a process uses: those of its folders, then the shipped ones that none of them replaces.
type Set struct {
	Files []*File
}

// Maps returns what decode.Options takes.
func (s *Set) Maps() []*decode.Map {
	if s == nil {
		return nil
	}
	list := make([]*decode.Map, len(s.Files))
	for i, f := range s.Files {
		list[i] = f.Map
	}
	return list
}

// Failed says whether a problem is more than a warning.
func Failed(problems []doc.Problem) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}
