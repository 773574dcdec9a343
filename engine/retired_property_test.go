package engine

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/connectors/memory"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// If a rule is removed at some positions and returns at others, the findings depend on those positions alone, not on
// checkpoints, kills, shards, batches and paging.
func TestRollbacksDependOnRecordsAlone(t *testing.T) {
	n := *casesFlag
	if n == 0 {
		n = 60
		if testing.Short() {
			n = 15
		}
	}
	seeds := []uint64{
		72,  // a finding that was open when the rule was removed
		233, // pending items of the removed rule, which a crash gave to the rule that had started empty
	}
	for seed := range uint64(n) {
		seeds = append(seeds, *seedFlag+seed)
	}
	informative := 0
	for _, seed := range seeds {
		differs, err := runRollback(t, seed)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if differs {
			informative++
		}
	}
	if informative < n/4 {
		t.Errorf("only in %d of %d cases does the absence of the rule change anything: the others prove little", informative, n)
	}
}

// runRollback compares some runs of one history; differs reports whether the change of rules made a difference.
func runRollback(t *testing.T, seed uint64) (differs bool, err error) {
	r := rand.New(rand.NewPCG(seed, 3))
	all, fewer := t.TempDir(), t.TempDir()
	var text []string
	for i := range 2 {
		text = append(text, randomRule(r, i))
		for _, dir := range []string{all, fewer}[:2-i] { // the second rule is removed
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.yaml", i)), []byte(text[i]), 0o600); err != nil {
				return false, err
			}
		}
	}
	with, problems := rules.Load(rules.Options{}, all)
	without, more := rules.Load(rules.Options{}, fewer)
	if with == nil || without == nil {
		return false, fmt.Errorf("the rules do not load: %v %v", problems, more)
	}
	events := randomEvents(r, 40+r.IntN(120))
	run := randomRun(r, with, events)
	removed, returned := positions(r, run.partitions)
	undisturbed, err := run.findings()
	if err != nil {
		return false, err
	}
	want := ""
	for i := range 4 {
		again := randomRun(r, with, nil) // another way to run the same partitions
		again.partitions = run.partitions
		got, err := again.history([]*rules.Set{with, without, with}, [][]int{removed, returned, nil})
		if err != nil {
			return false, fmt.Errorf("%v: %w", again, err)
		}
		if i == 0 {
			want = got
		}
		if got != want {
			return false, fmt.Errorf("%v, removed at %v, returned at %v\nrules:\n%s\nevents:\n%s\nwant:\n%sgot:\n%s", again, removed, returned,
				strings.Join(text, "\n---\n"), eventText(events), want, got)
		}
	}
	return want != undisturbed, nil
}

// positions returns the positions in each partition at which a rule is removed and at which it returns.
func positions(r *rand.Rand, parts []memory.Partition) (removed, returned []int) {
	for _, p := range parts {
		a, b := r.IntN(len(p.Records)+1), r.IntN(len(p.Records)+1)
		removed, returned = append(removed, min(a, b)), append(returned, max(a, b))
	}
	return removed, returned
}

// history runs the partitions with one set of rules after another, each up to its ends; nil means to the end.
func (p *propertyRun) history(sets []*rules.Set, ends [][]int) (string, error) {
	st, err := store.Open("", store.Options{Memory: true})
	if err != nil {
		return "", err
	}
	r := rand.New(rand.NewPCG(p.seed, 4))
	for i, set := range sets {
		part := *p
		part.set, part.more = set, ends[i] != nil
		part.partitions = slices.Clone(p.partitions)
		for n := range ends[i] {
			q := &part.partitions[n]
			q.Records, q.Live = q.Records[:ends[i][n]], true
			if q.Times != nil {
				q.Times = q.Times[:ends[i][n]]
			}
		}
		if st, err = part.lives(st, r); err != nil {
			return "", err
		}
	}
	defer st.Close()
	out, err := current(st)
	since := latestBefore(p.partitions, ends[0])
	for _, f := range out {
		if f.GroupStart <= since {
			f.WarmingUntil = nil // a finding that was open when the rule was removed has it only if it changes afterwards
		}
	}
	return render(out), err
}

// latestBefore returns the highest time of an event before the ends.
func latestBefore(parts []memory.Partition, ends []int) schema.Instant {
	latest := never
	for i, p := range parts {
		for _, line := range p.Records[:ends[i]] {
			var e struct{ Time schema.Instant }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				panic(err)
			}
			latest = max(latest, e.Time)
		}
	}
	return latest
}
