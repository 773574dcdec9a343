package decode

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/schema"
)

// decodeCase is one folder of an archive in testdata/cases/decode.
type decodeCase struct {
	record  string
	events  []map[string]any
	dead    []string
	faults  []string
	skipped []string // nil if it is not compared
	options Options
	meta    Meta
}

func readCases(t testing.TB, file string) (names []string, cases map[string]*decodeCase) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cases = map[string]*decodeCase{}
	for _, f := range archive.Files {
		name, part, ok := strings.Cut(f.Name, "/")
		if !ok {
			t.Fatalf("%s: %s is in no folder", file, f.Name)
		}
		c := cases[name]
		if c == nil {
			c = &decodeCase{options: Options{Format: Auto, Wanted: everything()}}
			cases[name] = c
			names = append(names, name)
		}
		c.set(t, part, strings.TrimSuffix(string(f.Data), "\n"))
	}
	return names, cases
}

func (c *decodeCase) set(t testing.TB, part, text string) {
	t.Helper()
	switch part {
	case "record":
		c.record = text
	case "dead":
		c.dead = strings.Split(text, "\n")
	case "faults":
		c.faults = strings.Split(text, "\n")
	case "skipped":
		c.skipped = strings.Split(text, "\n")
	case "events":
		for _, line := range strings.Split(text, "\n") {
			var want map[string]any
			if err := json.Unmarshal([]byte(line), &want); err != nil {
				t.Fatalf("%v: %s", err, line)
			}
			c.events = append(c.events, want)
		}
	case "options":
		for _, line := range strings.Split(text, "\n") {
			key, value, _ := strings.Cut(line, "=")
			switch key {
			case "format":
				c.options.Format = value
			case "trust":
				c.options.TrustForwarded = append(c.options.TrustForwarded, value)
			case "time":
				at, err := time.Parse(time.RFC3339, value)
				if err != nil {
					t.Fatal(err)
				}
				c.meta.Time = schema.InstantOf(at)
			default:
				t.Fatalf("no option %q", key)
			}
		}
	default:
		t.Fatalf("no part %q of a case", part)
	}
}

func TestCases(t *testing.T) {
	files, err := filepath.Glob("../../testdata/cases/decode/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		names, cases := readCases(t, file)
		for _, name := range names {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+"/"+name, func(t *testing.T) {
				c := cases[name]
				res := decodeAll(t, c.options, c.record, c.meta)
				compareFixture(t, &fixture{Expected: c.events}, res.events)
				var dead []string
				for _, d := range res.dead {
					dead = append(dead, d.Reason)
				}
				if !reflect.DeepEqual(dead, c.dead) {
					t.Errorf("dead letters: got %v, want %v: %v", dead, c.dead, res.dead)
				}
				if !reflect.DeepEqual(res.faults, c.faults) {
					t.Errorf("field errors: got %q, want %q", res.faults, c.faults)
				}
				if c.skipped != nil && !reflect.DeepEqual(res.skipped, c.skipped) {
					t.Errorf("passed over: got %q, want %q", res.skipped, c.skipped)
				}
				for _, e := range res.events {
					checkEvent(t, e)
				}
			})
		}
	}
}
