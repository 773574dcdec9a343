package fold_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
)

// TestKeys describes a key whose items are both below and above the watermark.
func TestKeys(t *testing.T) {
	f := func(name string, change func(r *rules.Rule), data string, want string) {
		t.Helper()
		r := capturetest.Rule(rules.KindThreshold)
		change(r)
		c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
		c.Advance(0)
		for i, s := range []int{1, 2, 5} {
			it := at(s, uint64(i))
			if data != "" {
				it.Data = data[i*len(data)/3 : (i+1)*len(data)/3]
			}
			c.Add(&it)
		}
		c.Advance(4e9)
		for range 2 { // Keys must not change the cell
			keys := c.Keys()
			for i := range keys {
				if keys[i].Bytes == 0 {
					t.Errorf("%s: the State has no bytes", name)
				}
				keys[i].Bytes = 0 // the exact size is not part of the test
			}
			got, err := json.Marshal(keys)
			if err != nil || string(got) != want {
				t.Errorf("%s:\ngot  %s, %v\nwant %s", name, got, err, want)
			}
		}
	}
	threshold := func(th rules.Threshold) func(*rules.Rule) {
		th.Within = 64 * time.Second
		return func(r *rules.Rule) { r.Threshold = &th }
	}
	const head, span = `[{"key":["a"],"bytes":0,`, `"since":"1970-01-01T00:00:01Z","last":"1970-01-01T00:00:05Z",`
	f("count", threshold(rules.Threshold{Count: 3}), "", head+span+`"events":3}]`)
	f("large count", threshold(rules.Threshold{Count: 300}), "", head+`"since":"1970-01-01T00:00:01Z","events":3}]`)
	f("ratio", threshold(rules.Threshold{Ratio: &rules.Ratio{AtLeast: 5e8, Min: 10}}), "\x01\x00\x01",
		head+`"since":"1970-01-01T00:00:01Z","events":3,"value":0.666666666}]`)
	f("distinct", func(r *rules.Rule) {
		r.Kind, r.Distinct = rules.KindDistinct, &rules.Distinct{Within: time.Minute, Count: 9}
	},
		"aaaaaaaabbbbbbbbcccccccc", head+span+`"values":3}]`)
	f("new value", func(r *rules.Rule) {
		r.Kind, r.NewValue = rules.KindNewValue, &rules.NewValue{Learn: time.Hour, Forget: 24 * time.Hour, MaxValues: 9}
	}, "aaaaaaaabbbbbbbbaaaaaaaa", head+span+`"values":2,"learns":"1970-01-01T01:00:01Z"}]`)
	f("held value", func(r *rules.Rule) {
		r.Kind, r.NewValue = rules.KindNewValue, &rules.NewValue{Learn: time.Second, Hold: time.Hour, Forget: 24 * time.Hour, MaxValues: 9}
	}, "aaaaaaaabbbbbbbbbbbbbbbb", head+span+`"values":2,"learns":"1970-01-01T00:00:02Z","held":1}]`)
	f("rarity", func(r *rules.Rule) {
		r.Kind, r.Rarity = rules.KindRarity, &rules.Rarity{Share: 1e8, MinSamples: 100, History: 64 * time.Second, MaxValues: 9}
	}, "aaaaaaaabbbbbbbbaaaaaaaa", head+`"since":"1970-01-01T00:00:01Z","events":3,"values":2,"needs":100}]`)
	f("baseline", func(r *rules.Rule) {
		r.Kind, r.Baseline = rules.KindBaseline, &rules.Baseline{Of: rules.BaselineCount, Bucket: 2 * time.Second, Season: rules.SeasonHourOfWeek,
			History: 28, MinSamples: 2, Deviation: rules.DecimalUnits(35e8), Direction: rules.DirectionUp, Forget: time.Hour}
	}, "", head+`"since":"1970-01-01T00:00:01Z","events":1,"value":1,"baseline":{"slot":"Thu 00:00","slots":1,"learns":false,"samples":2,`+
		`"needs":2,"median":1,"mad":0,"above":1.175,"history":[1,1]}}]`)
	f("sequence", func(r *rules.Rule) {
		*r = *twoSources()
	}, "", head+`"since":"1970-01-01T00:00:05Z","last":"1970-01-01T00:00:05Z","partials":[1]}]`)
	f("absence", func(r *rules.Rule) {
		*r = *absence(rules.Absence{Form: rules.AbsenceExpect, Within: 10 * time.Second})
	}, "", head+span+`"open":3,"deadline":"1970-01-01T00:00:11Z"}]`)
	f("silent", func(r *rules.Rule) {
		*r = *absence(rules.Absence{Form: rules.AbsenceSilent, For: time.Hour})
	}, "", head+`"last":"1970-01-01T00:00:05Z","deadline":"1970-01-01T01:00:05Z"}]`)
	f("permitted", func(r *rules.Rule) {
		*r = *absence(rules.Absence{Form: rules.AbsenceWithout, Within: time.Hour})
	}, "", head+`"last":"1970-01-01T00:00:05Z"}]`)
	f("flow", func(r *rules.Rule) { *r = *flow(false) }, "",
		head+`"since":"1970-01-01T00:00:05Z","last":"1970-01-01T00:00:05Z","labels":1}]`)
	f("flow in order", func(r *rules.Rule) { *r = *flow(true) }, "",
		head+`"since":"1970-01-01T00:00:05Z","last":"1970-01-01T00:00:05Z","labels":1}]`)
	f("none", func(r *rules.Rule) { r.Kind = rules.KindNone }, "", "null")
}
