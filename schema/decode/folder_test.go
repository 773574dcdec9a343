package decode_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

// tally is one line of the table of samples.
type tally struct {
	folder                      string
	records, recognised         int
	events, withAgent, withTime int
	carrying, itself            int            // records with a format's keys, and the number of them read as that format
	formats                     map[string]int // number of records by format
	reasons                     map[string]int // number of dead letters by reason
}

// watched are the formats for which every record with their keys must be read as that format.
var watched = []string{"aws_cloudtrail", "gcp_audit", "kubernetes_audit", "okta_system", "github_audit", "m365_audit"}

// Every JSON line of the samples is decoded by auto with the shipped maps. The table shows how much of each folder is
// understood. A record with the keys of a watched format gives events of that format, or a dead letter with the reason.
func TestSampleFolders(t *testing.T) {
	dir := SamplesDir(t)
	detector := NewDetector(t, shippedMaps(t).Maps())
	var folders []*tally
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".jsonl" && filepath.Ext(path) != ".json" {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		folder := strings.Split(filepath.ToSlash(rel), "/")[0]
		if len(folders) == 0 || folders[len(folders)-1].folder != folder {
			folders = append(folders, &tally{folder: folder, formats: map[string]int{}, reasons: map[string]int{}})
		}
		for _, line := range LinesOf(t, path) {
			for _, record := range sampleRecords(t, line) {
				folders[len(folders)-1].add(t, detector, record)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	fmt.Fprintf(&table, "\n%-32s %7s %10s %12s %8s %10s %9s  %s", "folder", "records", "recognised", "unrecognised", "events/r",
		"with agent", "with time", "formats; dead letters")
	whole := tally{formats: map[string]int{}}
	for _, f := range folders {
		fmt.Fprintf(&table, "\n%-32s %7d %10d %12d %8.2f %9.0f%% %8.0f%%  %v %v", f.folder, f.records, f.recognised, f.records-f.recognised,
			float64(f.events)/float64(max(f.recognised, 1)), percent(f.withAgent, f.events), percent(f.withTime, f.events), f.formats, f.reasons)
		whole.carrying, whole.itself = whole.carrying+f.carrying, whole.itself+f.itself
		for name, n := range f.formats {
			whole.formats[name] += n
		}
	}
	fmt.Fprintf(&table, "\n%d records carry the keys of %v, %d were read as theirs; by format: %v", whole.carrying, watched,
		whole.itself, whole.formats)
	t.Log(table.String())
	if whole.carrying == 0 || whole.carrying != whole.itself {
		t.Errorf("of %d records with a watched format's keys %d were read as that format", whole.carrying, whole.itself)
	}
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// sampleRecords returns the logs in a line of the samples. Rule tests wrap them as "log", fixtures and replays as
// "raw", CloudTrail documents in an array or as Records.
func sampleRecords(t *testing.T, line string) []string {
	t.Helper()
	var list []json.RawMessage
	var wrapped struct {
		Log, Raw json.RawMessage
		Records  []json.RawMessage
	}
	switch {
	case json.Unmarshal([]byte(line), &list) == nil:
	case json.Unmarshal([]byte(line), &wrapped) != nil:
		return []string{line}
	case wrapped.Records != nil:
		list = wrapped.Records
	case wrapped.Log != nil:
		list = []json.RawMessage{wrapped.Log}
	case wrapped.Raw != nil:
		list = []json.RawMessage{wrapped.Raw}
	default:
		return []string{line}
	}
	var records []string
	for _, record := range list {
		var text string
		if json.Unmarshal(record, &text) != nil {
			text = string(record)
		}
		records = append(records, text)
	}
	return records
}

func (f *tally) add(t *testing.T, d *Detector, record string) {
	f.records++
	name := d.Of(record)
	res := d.All(t, record, Meta{}) // without the broker's time, to see whether the record has one
	dead := ""
	for _, letter := range res.Dead {
		dead = letter.Reason
		f.reasons[dead]++
	}
	if dead == ReasonNoTime {
		res = d.All(t, record, Meta{Time: 1})
	} else {
		f.withTime += len(res.Events)
	}
	if name != "" || len(res.Events) > 0 {
		f.recognised++
		f.formats[name]++
	}
	for _, e := range res.Events {
		CheckEvent(t, e)
		f.events++
		if e["ai_agent.uid"] != nil {
			f.withAgent++
		}
	}
	f.check(t, d, record, name, res)
}

// check compares the result with the format whose keys the record carries, by the judgement of another parser.
func (f *tally) check(t *testing.T, d *Detector, record, name string, res Result) {
	var top map[string]json.RawMessage
	if json.Unmarshal([]byte(record), &top) != nil {
		return
	}
	for _, want := range watched {
		if !carriesKeys(t, d, want, top) {
			continue
		}
		f.carrying++
		info, ok := Find(want)
		if !ok {
			t.Fatalf("there is no format %s", want)
		}
		itself := name == want
		for _, e := range res.Events {
			itself = itself && slices.Contains(info.Datasets, e["event.dataset"].(string))
		}
		if !itself || len(res.Events)+len(res.Dead) == 0 && want != "kubernetes_audit" {
			t.Errorf("%s: a record with the keys of %s is read as %q: %.300s", f.folder, want, name, record)
			continue
		}
		f.itself++
		return
	}
}

// carriesKeys reports whether a record has one of the key sets of a format.
func carriesKeys(t *testing.T, d *Detector, format string, top map[string]json.RawMessage) bool {
	for _, tell := range KeySetsOf(t, format) {
		all := true
		for _, key := range tell.Keys {
			_, ok := top[key]
			all = all && ok
		}
		if all && (tell.Path == nil || textAt(top, tell) == tell.Text) {
			return true
		}
	}
	return false
}

func textAt(top map[string]json.RawMessage, tell formats.Signature) string {
	var v json.RawMessage
	for i, key := range tell.Path {
		if i > 0 {
			top = nil
			if json.Unmarshal(v, &top) != nil {
				return ""
			}
		}
		v = top[key]
	}
	var text string
	if json.Unmarshal(v, &text) != nil {
		return ""
	}
	return text
}
