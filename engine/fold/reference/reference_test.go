package reference_test

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/fold/reference"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

// The tests of this file drive cells in random ways and hold what they emit to the reference. Times are a few ns, keys
// and identities few, so that everything meets. A long run:
//
//	go test ./engine/fold/reference -rapid.checks 25000 -timeout 2h

// TestMain has each property run more often than rapid does by default; -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	flag.Parse()
	often := "1000"
	if underRace {
		often = "200"
	}
	if checks := flag.Lookup("rapid.checks").Value; checks.String() == "100" {
		if err := checks.Set(often); err != nil {
			panic("BUG: " + err.Error())
		}
	}
	os.Exit(m.Run())
}

// fewer runs f with the number of checks divided by n, for properties whose cases are large.
func fewer(t *testing.T, n int, f func()) {
	checks := flag.Lookup("rapid.checks").Value
	before := checks.String()
	all, err := strconv.Atoi(before)
	if err != nil {
		t.Fatal(err)
	}
	set := func(text string) {
		if err := checks.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	set(strconv.Itoa(max(1, all/n)))
	defer set(before)
	f()
}

// wheres are conditions over the steps, by their number; b may have times where it is not named.
var wheres = map[int][]*predicate.Where{
	2: {compile("b.resource.id == a.resource.id", 2), compile("b.resource.id != a.resource.id && a.resource.name == a.resource.id", 2)},
	3: {compile("c.resource.id == a.resource.id", 3), compile("c.resource.name == a.resource.id && c.resource.id != a.resource.name", 3)},
}

func compile(text string, steps int) *predicate.Where {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		panic("BUG: " + err.Error())
	}
	w, issues := env.CompileWhere(text, []string{"a", "b", "c"}[:steps])
	if len(issues) > 0 {
		panic("BUG: " + issues[0].Text)
	}
	return w
}

func duration(t *rapid.T, what string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, what))
}

// drawRule draws a rule of the kind with a key of two fields, of which the first makes the group.
func drawRule(t *rapid.T, kind rules.Kind) *rules.Rule {
	key := []schema.Field{schema.AIAgentUID, schema.SessionID}
	r := &rules.Rule{
		ID: "test.rule", Version: 1, Title: "Test", Severity: "low", Stage: rules.StageStable, Kind: kind,
		Key: key, GroupBy: []int{0}, Roles: []rules.Role{{Key: key}},
		GroupFor: rapid.SampledFrom([]time.Duration{0, 1, 5, 20, 100}).Draw(t, "for"),
	}
	if rapid.IntRange(0, 2).Draw(t, "grouped by") == 0 {
		r.GroupBy = []int{0, 1}
	}
	switch kind {
	case rules.KindThreshold:
		r.Threshold = drawThreshold(t)
	case rules.KindDistinct:
		r.Distinct = &rules.Distinct{
			Of: key[:1], Count: rapid.IntRange(1, 4).Draw(t, "count"), Within: duration(t, "within", 1, 15),
		}
	case rules.KindNewValue:
		r.NewValue = &rules.NewValue{
			Of: key[:1], Learn: duration(t, "learn", 0, 8), Forget: duration(t, "forget", 1, 12),
			MaxValues: rapid.IntRange(1, 3).Draw(t, "max values"),
		}
	case rules.KindSequence:
		drawSequence(t, r, key)
	}
	return r
}

func drawThreshold(t *rapid.T) *rules.Threshold {
	pane := duration(t, "pane", 1, 3) * 64
	switch rapid.SampledFrom([]string{"count", "count", "sum", "ratio"}).Draw(t, "threshold") {
	case "sum":
		return &rules.Threshold{Within: pane, Sum: &rules.Sum{
			Of: schema.GenAIUsageCost, AtLeast: rules.Decimal{Lo: rapid.Uint64Range(1, 40).Draw(t, "at least") * 1e9},
		}}
	case "ratio":
		return &rules.Threshold{Within: pane, Ratio: &rules.Ratio{
			AtLeast: rapid.Int64Range(1, 10).Draw(t, "at least") * 1e8, Min: rapid.Int64Range(1, 5).Draw(t, "min"),
		}}
	}
	return &rules.Threshold{Within: duration(t, "within", 1, 15), Count: rapid.Int64Range(1, 5).Draw(t, "count")}
}

func drawSequence(t *rapid.T, r *rules.Rule, key []schema.Field) {
	q := &rules.Sequence{Within: duration(t, "within", 1, 20), Unless: rapid.Bool().Draw(t, "unless")}
	steps := rapid.IntRange(1, 4).Draw(t, "steps")
	if rapid.IntRange(0, 2).Draw(t, "where") == 0 {
		steps = rapid.IntRange(2, 3).Draw(t, "steps of where")
		q.Where = rapid.SampledFrom(wheres[steps]).Draw(t, "which where")
	}
	r.Roles = nil
	for i := range steps {
		s := rules.Step{ID: string(rune('a' + i)), Times: 1}
		if q.Where == nil || i == 1 && steps == 3 {
			s.Times = rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(t, "times")
		}
		q.Steps = append(q.Steps, s)
		r.Roles = append(r.Roles, rules.Role{Name: s.ID, Order: uint16(i + 1), Key: key})
	}
	if q.Unless {
		r.Roles = append(r.Roles, rules.Role{Name: "unless", Key: key, Excepted: true})
	}
	r.Sequence = q
}

func text(parts ...string) (flat string) {
	for _, p := range parts {
		flat += string(binary.AppendUvarint(nil, uint64(len(p)))) + p
	}
	return flat
}

// chooser chooses a number in [0, n).
type chooser func(what string, n int) int

func drawn(t *rapid.T) chooser {
	return func(what string, n int) int { return rapid.IntRange(0, n-1).Draw(t, what) }
}

// drawItem chooses an item whose time is below the end, of one of a few keys and values.
func drawItem(choose chooser, r *rules.Rule, end, values int) item.Item {
	agent, session := string("ab"[choose("agent", 2)]), string("xy"[choose("session", 2)])
	it := item.Item{
		Group: agent + "\x00\x01", Key: agent + "\x00\x01" + session + "\x00\x01",
		Time:    int64(choose("time", end)),
		Roles:   1,
		Counted: choose("counted", 4) > 0,
	}
	if len(r.GroupBy) == 2 {
		it.Group = it.Key
	}
	it.ID[0] = byte(choose("id", 16))
	if r.Sequence != nil {
		it.Roles = 1 + uint32(choose("roles", 1<<len(r.Roles)-1))
		it.Role = math.MaxUint16
		for i := range r.Roles {
			if it.Roles&(1<<i) != 0 {
				it.Role = min(it.Role, r.Roles[i].Order)
			}
		}
	}
	it.Data = drawData(choose, r, it.Roles, values)
	position := text("topic") + string([]byte{0, byte(choose("offset", 4) * 2), 0})
	it.Evidence = text(position, text("", agent, "name", "", session)) + text("", "set", "act", "", "")
	return it
}

func drawData(choose chooser, r *rules.Rule, roles uint32, values int) string {
	v := choose("value", values)
	switch {
	case r.Threshold != nil && r.Threshold.Sum != nil:
		var b [16]byte
		binary.BigEndian.PutUint64(b[8:], uint64(v)*15e8)
		return string(b[:])
	case r.Threshold != nil && r.Threshold.Ratio != nil:
		return string([]byte{byte(v & 1)})
	case r.Distinct != nil:
		return fmt.Sprintf("value%03d", v)
	case r.NewValue != nil:
		return fmt.Sprintf("value%03dshown %d", v, v)
	case r.Sequence != nil && r.Sequence.Where != nil:
		var b []byte
		for i, n := range r.Sequence.Where.Needs() {
			if roles&(1<<n.Step) != 0 {
				b = schema.AppendValue(b, schema.StringValue(fmt.Sprint((v>>i)%3)))
			}
		}
		return string(b)
	}
	return ""
}

// driver drives the cells of one rule as an engine would, and keeps what they emit.
type driver struct {
	t       *rapid.T
	p       *fold.Program
	cells   map[string]*fold.Cell
	mark    int64
	added   []item.Item
	emitted map[schema.ID]*schema.Finding
	cuts    int64
}

func (d *driver) cell(group string) *fold.Cell {
	c, ok := d.cells[group]
	if !ok {
		c = fold.NewCell(d.p, group)
		c.Advance(d.mark)
		d.cells[group] = c
	}
	return c
}

func (d *driver) groups() (names []string) {
	for g := range d.cells {
		names = append(names, g)
	}
	slices.Sort(names)
	return names
}

func (d *driver) add(it item.Item) {
	d.added = append(d.added, it)
	d.cell(it.Group).Add(&it)
}

// advance moves the watermark: cells that say that they have nothing to do before it may be left alone.
func (d *driver) advance(w int64, lazy bool) {
	d.mark = max(d.mark, w)
	for _, g := range d.groups() {
		c := d.cells[g]
		if wake, ok := c.Wake(); lazy && (!ok || wake > d.mark) {
			before := string(c.Append(nil)[9:]) // what comes after the format and the watermark
			c.Advance(d.mark)
			if after := string(c.Append(nil)[9:]); before != after {
				d.t.Fatalf("Wake said %d, but advancing to %d changed the cell", wake, d.mark)
			}
			continue
		}
		c.Advance(d.mark)
	}
}

// reload replaces a cell by what its flat form says and the pending items, in another order and some below the
// watermark.
func (d *driver) reload(group string) {
	c := d.cells[group]
	flat := c.Append(nil)
	n, err := fold.LoadCell(d.p, group, flat)
	if err != nil {
		d.t.Fatalf("load what Append wrote: %v", err)
	}
	n.Advance(d.mark)
	for _, it := range rapid.Permutation(d.added).Draw(d.t, "order of reload") {
		if it.Group == group {
			flat, rest, ok := item.Read(item.Append(nil, &it))
			if !ok || len(rest) > 0 {
				d.t.Fatalf("cut what AppendItem wrote: %v, %d bytes left", ok, len(rest))
			}
			n.Add(&flat)
		}
	}
	if got, want := n.Pending(), c.Pending(); got != want {
		d.t.Fatalf("%d items are pending after a reload, want %d", got, want)
	}
	d.cells[group] = n
}

// cut takes what all cells emit and holds it to the reference.
func (d *driver) cut() {
	d.cuts++
	for _, g := range d.groups() {
		c := d.cells[g]
		c.Cut(schema.Instant(d.cuts), d.take)
		c.Cut(-1, func(f *schema.Finding) { d.t.Fatalf("a second Cut emits %s %s", f.Status, f.ID) })
		if c.Empty() {
			delete(d.cells, g)
		}
	}
	var got []*schema.Finding
	for _, f := range d.emitted {
		if f.Status != schema.StatusWithdrawn {
			got = append(got, f)
		}
	}
	d.same("emitted", got, reference.Findings(d.p, d.added, d.mark))
}

func (d *driver) take(f *schema.Finding) {
	revision, detected := uint64(0), schema.Instant(d.cuts)
	if o := d.emitted[f.ID]; o != nil {
		if o.Status == schema.StatusSettled {
			d.t.Fatalf("%s %s after it settled", f.Status, f.ID)
		}
		if o.Status == schema.StatusWithdrawn && f.Status == schema.StatusWithdrawn {
			d.t.Fatalf("%s withdrawn twice", f.ID)
		}
		revision = o.Revision
		if f.DetectedAt == nil || *f.DetectedAt != *o.DetectedAt {
			d.t.Fatalf("detected_at of %s became %v", f.ID, f.DetectedAt)
		}
	} else if f.Status == schema.StatusWithdrawn || f.DetectedAt == nil || *f.DetectedAt != detected {
		d.t.Fatalf("first of %s: %s, detected at %v", f.ID, f.Status, f.DetectedAt)
	}
	if f.Revision != revision+1 {
		d.t.Fatalf("revision %d of %s after %d", f.Revision, f.ID, revision)
	}
	if f.Status == schema.StatusWithdrawn && (f.GroupStart != d.emitted[f.ID].GroupStart || len(f.Evidence) == 0) {
		d.t.Fatalf("withdrawn %s says something else than before", f.ID)
	}
	d.emitted[f.ID] = f
}

// findings holds Findings to the reference.
func (d *driver) findings() {
	var got, want []*schema.Finding
	for _, g := range d.groups() {
		d.cells[g].Findings(func(f *schema.Finding) { got = append(got, f) })
	}
	for _, f := range reference.Findings(d.p, d.added, d.mark) {
		if f.Status == schema.StatusOpen {
			want = append(want, f)
		}
	}
	d.same("live", got, want)
}

func (d *driver) same(what string, got, want []*schema.Finding) {
	g, w := lines(d.t, got), lines(d.t, want)
	if g != w {
		d.t.Fatalf("%s at watermark %d: got\n%swant\n%s", what, d.mark, g, w)
	}
}

// lines renders findings without revision and detected_at, in order.
func lines(t *rapid.T, findings []*schema.Finding) string {
	var all []string
	for _, f := range findings {
		o := *f
		o.Revision, o.DetectedAt = 0, nil
		b, err := json.Marshal(&o)
		if err != nil {
			t.Fatalf("marshal finding: %v", err)
		}
		all = append(all, fmt.Sprintf("%019d %s\n", o.GroupStart, b))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// drive adds the items in any order that never puts one below the watermark, with anything else between.
func drive(t *rapid.T, r *rules.Rule, items []item.Item, end int64, batch int) {
	d := &driver{t: t, p: fold.NewProgram(r), cells: map[string]*fold.Cell{}, emitted: map[schema.ID]*schema.Finding{}}
	left := rapid.Permutation(items).Draw(t, "arrival")
	for len(left) > 0 {
		n := min(len(left), rapid.IntRange(1, batch).Draw(t, "batch"))
		for _, it := range left[:n] {
			d.add(it)
		}
		left = left[n:]
		switch rapid.IntRange(0, 4).Draw(t, "then") {
		case 0, 1:
			d.cut()
		case 2:
			d.findings()
		case 3:
			if names := d.groups(); len(names) > 0 {
				d.reload(rapid.SampledFrom(names).Draw(t, "reloaded"))
			}
		}
		to := end
		for _, it := range left {
			to = min(to, it.Time)
		}
		if to > d.mark && rapid.Bool().Draw(t, "advances") {
			d.advance(rapid.Int64Range(d.mark, to).Draw(t, "watermark"), rapid.Bool().Draw(t, "lazily"))
			if names := d.groups(); rapid.IntRange(0, 3).Draw(t, "restarts") == 0 {
				d.reload(rapid.SampledFrom(names).Draw(t, "reloaded"))
			}
		}
	}
	d.advance(rapid.Int64Range(d.mark, end+150).Draw(t, "watermark"), false)
	d.findings()
	d.cut()
	d.advance(end+1000, false)
	d.cut()
	for _, g := range d.groups() {
		if c := d.cells[g]; !c.Empty() {
			c.Advance(end + 10_000)
			if !c.Empty() {
				t.Fatalf("the cell of %q is not empty long after", g)
			}
		}
	}
}

func property(t *testing.T, kind rules.Kind) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t, kind)
		end := 40
		if r.Threshold != nil && r.Threshold.Count == 0 {
			end = 500
		}
		n := rapid.IntRange(1, 30).Draw(t, "items")
		var items []item.Item
		for range n {
			items = append(items, drawItem(drawn(t), r, end, 6))
		}
		drive(t, r, items, int64(end), 6)
	})
}

func TestNoneIsAsWritten(t *testing.T)      { property(t, rules.KindNone) }
func TestThresholdIsAsWritten(t *testing.T) { property(t, rules.KindThreshold) }
func TestDistinctIsAsWritten(t *testing.T)  { property(t, rules.KindDistinct) }
func TestNewValueIsAsWritten(t *testing.T)  { property(t, rules.KindNewValue) }
func TestSequenceIsAsWritten(t *testing.T)  { property(t, rules.KindSequence) }

// TestLimitsAreAsWritten has so many items that the limits are met: 256 times, 64 panes, 16 chains, and how many values
// are known.
func TestLimitsAreAsWritten(t *testing.T) { fewer(t, 20, func() { rapid.Check(t, limits) }) }

func limits(t *rapid.T) {
	r := drawRule(t, rapid.SampledFrom([]rules.Kind{
		rules.KindThreshold, rules.KindDistinct, rules.KindNewValue, rules.KindSequence,
	}).Draw(t, "kind"))
	n, values := rapid.IntRange(100, 900).Draw(t, "items"), 6
	switch {
	case r.Threshold != nil && r.Threshold.Count > 0:
		r.Threshold.Count = rapid.Int64Range(250, 262).Draw(t, "count")
		r.Threshold.Within = duration(t, "pane", 1, 9) * 64
	case r.Distinct != nil:
		r.Distinct.Count, r.Distinct.Within = rapid.IntRange(10, 20).Draw(t, "count"), 500
		n, values = min(n, 300), 200
	case r.NewValue != nil:
		r.NewValue.MaxValues, r.NewValue.Forget = rapid.IntRange(10, 90).Draw(t, "max values"), 400
		values = 200
	case r.Sequence != nil:
		r.Sequence.Within = 400
		n = 100
		if r.Sequence.Where != nil {
			values = 7
		}
	}
	seed := rapid.Uint64().Draw(t, "seed")
	random := rand.New(rand.NewPCG(seed, 0))
	choose := func(_ string, n int) int { return random.IntN(n) }
	var items []item.Item
	for range n {
		it := drawItem(choose, r, 500, values)
		it.ID[1] = byte(random.IntN(256))
		if random.IntN(50) > 0 { // nearly all of one key
			it.Key = "a\x00\x01x\x00\x01"
			it.Group = it.Key[:len(it.Key)/len(r.Key)*len(r.GroupBy)]
		}
		if r.Sequence != nil && random.IntN(4) > 0 { // most begin something, few end it
			it.Roles, it.Role = 1, 1
			it.Data = drawData(choose, r, 1, values)
		}
		items = append(items, it)
	}
	drive(t, r, items, 500, 400)
}
