// Package maps reads field maps. A field map is a YAML file that describes a log format which is not built in: the keys
// by which its records are recognised, and the path of each of our fields in a record. The package contains the maps of
// common gateways. Package schema/decode defines the meaning of a map; maps.md explains how to write one.
package maps

import (
	"embed"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema/decode"
)

// shipped holds the field maps that aidr ships, one file each.
//
//go:embed shipped/*.yaml
var shipped embed.FS

// ShippedName replaces the path of the folder of the shipped maps in problems and results.
const ShippedName = "builtin"

// The limits of a map. They are far above those of a map written by hand.
const (
	MaxMaps    = 200  // files in all folders together
	MaxSources = 64   // sources of one field
	MaxPath    = 16   // keys of a path
	MaxKeys    = 16   // keys in a set that identifies the format, and number of such sets
	MaxTable   = 1000 // rows of a table
	MaxTests   = 200  // tests of a map
)

// File is one field map with its tests.
type File struct {
	*decode.Map
	About   string // one line that describes the format
	Path    string // path of the file, as shown in problems
	Line    int
	Tests   []Test
	Shipped bool
}

// Test is one test in the file of a map: a record, and everything that decoding it must yield.
type Test struct {
	Name   string
	Line   int
	Record string
	Events []map[string]any // fields to compare in each event; nil means that the event must not have the field
	Dead   []string         // reasons of dead letters
	Faults []string         // fields and keys that are counted as field errors
}

// Set holds the maps that a process uses: first those of its folders, then the shipped ones that are not replaced.
type Set struct {
	Files []*File
}

// Maps returns the maps in the form that decode.Options takes.
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

// Failed reports whether at least one of the problems is more than a warning.
func Failed(problems []doc.Problem) bool {
	for _, p := range problems {
		if !p.Warning {
			return true
		}
	}
	return false
}
