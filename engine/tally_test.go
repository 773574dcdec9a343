package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// tallyTable keeps the rows of rules, sources and events as ClickHouse does.
type tallyTable struct {
	stats   map[string]*schema.RuleStats
	quality map[string]*schema.SourceQuality
	events  map[string]*schema.ArchivedEvent
	// after is set while the rows come of a process that went on after the copy of its store was made. Their checkpoints have the
	// numbers of others in the copy, which no kill can bring about, so the table leaves them out.
	after bool
}

func newTallyTable() tallyTable {
	return tallyTable{
		stats: map[string]*schema.RuleStats{}, quality: map[string]*schema.SourceQuality{}, events: map[string]*schema.ArchivedEvent{},
	}
}

func (t *tallyTable) rows(b *connectors.RowBlock) {
	if t.after {
		return
	}
	for _, s := range b.Stats {
		key := fmt.Sprint(s.RuleID, s.Minute)
		if old := t.stats[key]; old == nil || old.Pos <= s.Pos {
			t.stats[key] = s
		}
	}
	for _, q := range b.Quality {
		key := fmt.Sprint(q.Source, q.Dataset, q.Hour)
		if old := t.quality[key]; old == nil || old.Pos <= q.Pos {
			t.quality[key] = q
		}
	}
	for _, e := range b.Events {
		t.events[fmt.Sprint(e.Source, e.Pos, e.Number)] = e
	}
}

// compare compares the table with a count of the events, one by one.
func (t *tallyTable) compare(test *testing.T, set *rules.Set, events []timed, st *store.Store, archive schema.Archive) error {
	matched, archived := map[string]int64{}, 0
	hours := map[string]*schema.SourceQuality{}
	wanted := set.Wanted()
	wanted.Fields.Union(schema.NeedFields())
	d, err := decode.New(decode.Options{Format: "aidr", Wanted: wanted})
	if err != nil {
		return err
	}
	scratch := set.NewScratch()
	h := decode.Handler{
		Dead:       func(x decode.Dead) { test.Errorf("dead letter: %s %s", x.Reason, x.Detail) },
		FieldError: func(string, string) {},
		Event: func(e *schema.Event) {
			end, _ := e.End()
			hits := set.Match(e, scratch, nil)
			for _, hit := range hits {
				matched[fmt.Sprint(set.Rules[hit.Rule].ID, end/schema.Instant(time.Minute))]++
			}
			if archive == schema.ArchiveAll || archive == schema.ArchiveMatched && len(hits) > 0 {
				archived++
			}
			key := fmt.Sprint(e.Text(schema.EventDataset), end/schema.Instant(time.Hour))
			q := hours[key]
			if q == nil {
				q = &schema.SourceQuality{}
				hours[key] = q
			}
			q.Events++
			should, lacks := schema.NeedsOf(e)
			for _, n := range schema.Needs() {
				if should.Has(n) {
					q.Should[n]++
				}
				if lacks.Has(n) {
					q.Lacks[n]++
				}
			}
		},
	}
	for _, e := range events {
		d.Decode(e.line, decode.Meta{}, &h)
	}
	got, triggers, opened := map[string]int64{}, map[string]int64{}, int64(0)
	for _, s := range t.stats {
		if s.Matched > 0 {
			got[fmt.Sprint(s.RuleID, s.Minute/schema.Instant(time.Minute))] += s.Matched
		}
		triggers[s.RuleID] += s.Triggers
		opened += s.Findings
		if s.Late+s.Errors+s.Excepted != 0 {
			return fmt.Errorf("%+v, want neither late events nor errors", s)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(matched) {
		return fmt.Errorf("the table has %v matched events by rule and minute, want %v", got, matched)
	}
	for _, q := range t.quality {
		w := hours[fmt.Sprint(q.Dataset, q.Hour/schema.Instant(time.Hour))]
		if w == nil || q.Events != w.Events || q.Should != w.Should || q.Lacks != w.Lacks {
			return fmt.Errorf("the table has %+v, want %+v", q, w)
		}
	}
	if len(t.quality) != len(hours) {
		return fmt.Errorf("the table has %d hours, want %d", len(t.quality), len(hours))
	}
	if len(t.events) != archived {
		return fmt.Errorf("the table has %d archived events, want %d of %d (%s)", len(t.events), archived, len(events), archive)
	}
	found, settled := int64(0), false
	err = st.Findings(store.FindingFilter{}, func(f *schema.Finding) bool {
		if !f.Operational {
			found++
			settled = settled || f.Status == schema.StatusSettled
		}
		return true
	})
	if err != nil {
		return err
	}
	if opened != found {
		return fmt.Errorf("the table has %d findings, want %d", opened, found)
	}
	for id, n := range triggers {
		if n == 0 && settled && matched[id] > 0 {
			return fmt.Errorf("rule %s has settled findings and no triggers", id)
		}
	}
	return nil
}
