package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
)

// mapOfDoors returns a field map of records that no built-in format reads. The agent is at the given key.
func mapOfDoors(agent string) string {
	return `name: doors
dataset: x.test
class: api
keys: [at, door]
fields: {time: at, event.action: door}
identity: [` + agent + `]
tests:
  - name: a door
    record: {at: 1767261600, door: front, who: w}
    events: [{event.action: front, ai_agent.uid: w}]
`
}

// TestReloadOfMaps checks that a field map decodes records that nothing else reads, and that a change of the map applies
// from the next record on. A map that does not load, or whose test fails, is reported and changes nothing.
func TestReloadOfMaps(t *testing.T) {
	e := newEndpoint(t)
	input := filepath.Join(folder(t, map[string]string{"x": "{\"at\":1767261600,\"door\":\"leak\",\"who\":\"a\",\"also\":\"b\"}\n"}), "x")
	maps := folder(t, map[string]string{"doors.yaml": mapOfDoors("who")})
	c := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), e, true, input)
	c.Maps, c.Sources[0].Format = []string{maps}, "doors"
	x := start(t, c)
	e.await(t, "test.leak a 1")

	file := filepath.Join(maps, "doors.yaml")
	write(t, file, strings.Replace(mapOfDoors("who"), "class: api", "class: door", 1))
	x.awaitStatus("rules", degraded, "doors.yaml:3:8")
	write(t, file, mapOfDoors("also")) // its own test fails, because it still has the old key
	x.awaitStatus("rules", degraded, `test "a door" fails`)
	write(t, file, strings.Replace(mapOfDoors("also"), "who: w", "also: w", 1))
	x.awaitStatus("rules", ok, "")

	f, err := os.OpenFile(input, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, `{"at":1767261601,"door":"leak","who":"a","also":"b"}`)
	f.Close()
	e.await(t, "test.leak a 1", "test.leak b 1")
	x.stop()
}

// TestBrokenMapsPreventTheStart checks that a configuration with a broken map or an unknown format is not run.
func TestBrokenMapsPreventTheStart(t *testing.T) {
	for want, c := range map[string]*config.Config{
		"doors.yaml:3:8": {Maps: []string{folder(t, map[string]string{
			"doors.yaml": "name: doors\ndataset: x\nclass: door\nkeys: [a, b]\nfields: {}\n",
		})}},
		`find format "windows":`: {Sources: []config.Source{{Name: "w", Format: "windows", File: &config.File{Paths: []string{"x"}}}}},
	} {
		if _, err := New(c, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something that has %q", err, want)
		}
	}
}
