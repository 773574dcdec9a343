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

// The tests in this file drive cells in random ways and compare the findings with the reference. Times are a few ns, and
// keys and identities are few, so that collisions of all sorts occur. A long run:
//
//	go test ./engine/fold/reference -rapid.checks 25000 -timeout 2h

// TestMain runs each property more often than rapid does by default, unless -rapid.checks is given.
func TestMain(m *testing.M) {
	flag.Parse()
	number := "1000"
	if underRace {
		number = "200"
	}
	if checks := flag.Lookup("rapid.checks").Value; checks.String() == "100" {
		if err := checks.Set(number); err != nil {
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

// wheres are conditions over steps, by the number of steps. A step may have times if its condition names it in joins only.
var wheres = map[int][]*predicate.Where{
	2: {
		compile("b.resource.id == a.resource.id", 2),
		compile("b.resource.id != a.resource.id && a.resource.name == a.resource.id", 2),
		compile("b.resource.id == a.resource.id && b.resource.name != a.resource.name", 2),
		compile("b.resource.id == a.resource.id && a.resource.name == b.resource.name", 2),
		compile("b.resource.id == a.resource.id && a.resource.name == b.resource.id", 2),
	},
	3: {
		compile("c.resource.id == a.resource.id", 3),
		compile("c.resource.name == a.resource.id && c.resource.id != a.resource.name", 3),
		compile("a.resource.id == b.resource.id && b.resource.id == c.resource.id", 3),
		compile("a.resource.id == b.resource.id && b.resource.name == c.resource.id", 3),
		compile("a.resource.id == b.resource.id && a.resource.name < c.resource.name", 3),
		compile("b.resource.id == c.resource.id", 3),
	},
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

func duration(t *rapid.T, name string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, name))
}

// drawRule draws a rule of the kind. Its key has two fields, and its group key the first or both.
func drawRule(t *rapid.T, kind rules.Kind) *rules.Rule {
	key := rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
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
			Hold:      max(0, duration(t, "hold", -8, 12)),
		}
	case rules.KindSequence:
		drawSequence(t, r, key)
	case rules.KindAbsence:
		drawAbsence(t, r)
	case rules.KindBaseline:
		drawBaseline(t, r)
	case rules.KindRarity:
		drawRarity(t, r)
	case rules.KindFlow:
		drawFlow(t, r)
	case rules.KindProvenance:
		drawProvenance(t, r)
	}
	return r
}

func drawThreshold(t *rapid.T) *rules.Threshold {
	pane := duration(t, "pane", 1, 3) * 64
	switch rapid.SampledFrom([]string{"count", "count", "sum", "ratio"}).Draw(t, "threshold") {
	case "sum":
		return &rules.Threshold{Within: pane, Sum: &rules.Sum{
			Of: rules.FieldOperand(schema.GenAIUsageCost), AtLeast: rules.Decimal{Lo: rapid.Uint64Range(1, 40).Draw(t, "at least") * 1e9},
		}}
	case "ratio":
		return &rules.Threshold{Within: pane, Ratio: &rules.Ratio{
			AtLeast: rapid.Int64Range(1, 10).Draw(t, "at least") * 1e8, Min: rapid.Int64Range(1, 5).Draw(t, "min"),
		}}
	}
	return &rules.Threshold{Within: duration(t, "within", 1, 15), Count: rapid.Int64Range(1, 5).Draw(t, "count")}
}

func drawSequence(t *rapid.T, r *rules.Rule, key []rules.Operand) {
	q := &rules.Sequence{Within: duration(t, "within", 1, 20), Unless: rapid.Bool().Draw(t, "unless")}
	steps := rapid.IntRange(1, 4).Draw(t, "steps")
	if rapid.IntRange(0, 2).Draw(t, "where") == 0 {
		steps = rapid.IntRange(2, 3).Draw(t, "steps of where")
		q.Where = rapid.SampledFrom(wheres[steps]).Draw(t, "which where")
	}
	r.Roles = nil
	for i := range steps {
		s := rules.Step{ID: string(rune('a' + i)), Times: 1}
		if q.Where == nil || joinedAlone(q.Where, i) {
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

// joinedAlone reports whether where names a step in joins only.
func joinedAlone(w *predicate.Where, step int) bool {
	for i, n := range w.Needs() {
		if n.Step == step && !w.InJoinsAlone(i) {
			return false
		}
	}
	return true
}

// text returns length-prefixed texts.
func text(parts ...string) (joined string) {
	for _, p := range parts {
		joined += string(binary.AppendUvarint(nil, uint64(len(p)))) + p
	}
	return joined
}

// A chooser chooses a number in [0, n).
type chooser func(name string, n int) int

func drawn(t *rapid.T) chooser {
	return func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
}

// drawItem chooses an item whose time is below end, with one of a few keys and values.
func drawItem(choose chooser, r *rules.Rule, end, values int) item.Item {
	agent, session := string("ab"[choose("agent", 2)]), string("xy"[choose("session", 2)])
	it := item.Item{
		Group: agent + "\x00\x01", Key: agent + "\x00\x01" + session + "\x00\x01",
		Time:    schema.Instant(choose("time", end)) * unitOf(r),
		Roles:   1,
		Counted: choose("counted", 4) > 0,
	}
	if len(r.GroupBy) == 2 {
		it.Group = it.Key
	}
	it.ID[0] = byte(choose("id", 16))
	if len(r.Roles) > 1 || r.Sequence != nil {
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
	case r.Baseline != nil:
		return drawBucketData(r.Baseline, v)
	case r.Distinct != nil:
		return fmt.Sprintf("value%03d", v)
	case r.NewValue != nil, r.Rarity != nil:
		return fmt.Sprintf("value%03dshown %d", v, v)
	case r.Sequence != nil && r.Sequence.Where != nil:
		var b []byte
		for i, n := range r.Sequence.Where.Needs() {
			if roles&(1<<n.Step) != 0 {
				b = schema.AppendValue(b, schema.StringValue([]string{"", "x", "y", "z"}[(v>>i)%4]))
			}
		}
		return string(b)
	case r.Provenance != nil:
		return provenanceData(choose, roles, values)
	}
	return ""
}

// driver drives the cells of one rule as an engine does, and collects the findings that they emit.
type driver struct {
	t         *rapid.T
	p         *fold.Program
	cells     map[string]*fold.Cell
	watermark schema.Instant
	added     []item.Item
	emitted   map[schema.ID]*schema.Finding // the last revision of each
	emits     schema.Instant                // the number of Emits so far, which is the wall clock
}

func (d *driver) cell(group string) *fold.Cell {
	c, ok := d.cells[group]
	if !ok {
		c = fold.NewCell(d.p, group)
		c.Advance(d.watermark)
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

// advance raises the watermark. If lazy, it checks that a cell whose Wake is above the watermark does not change.
func (d *driver) advance(w schema.Instant, lazy bool) {
	d.watermark = max(d.watermark, w)
	for _, g := range d.groups() {
		c := d.cells[g]
		if wake, ok := c.Wake(); lazy && (!ok || wake > d.watermark) {
			before := string(c.Append(nil)[9:]) // without the format and the watermark
			c.Advance(d.watermark)
			if after := string(c.Append(nil)[9:]); before != after {
				d.t.Fatalf("Wake is %d, but advancing to %d changed the cell", wake, d.watermark)
			}
			continue
		}
		c.Advance(d.watermark)
	}
}

// reload replaces a cell by one that is loaded from its flat form. It adds the pending items again in another order, and
// items below the watermark with them.
func (d *driver) reload(group string) {
	c := d.cells[group]
	n, err := fold.LoadCell(d.p, group, c.Append(nil))
	if err != nil {
		d.t.Fatalf("load an appended cell: %v", err)
	}
	n.Advance(d.watermark)
	for _, it := range rapid.Permutation(d.added).Draw(d.t, "order of reload") {
		if it.Group == group {
			read, rest, ok := item.Read(item.Append(nil, &it))
			if !ok || len(rest) > 0 {
				d.t.Fatalf("read an appended item: %v, %d bytes left", ok, len(rest))
			}
			n.Add(&read)
		}
	}
	if got, want := n.Pending(), c.Pending(); got != want {
		d.t.Fatalf("%d items are pending after a reload, want %d", got, want)
	}
	d.cells[group] = n
}

// emit has all cells emit, and compares the findings emitted so far with the reference.
func (d *driver) emit() {
	d.emits++
	for _, g := range d.groups() {
		c := d.cells[g]
		c.Emit(d.emits, d.take)
		c.Emit(-1, func(f *schema.Finding) { d.t.Fatalf("a second Emit emits %s %s", f.Status, f.ID) })
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
	d.same("emitted", got, reference.Findings(d.p, d.added, d.watermark))
}

// take checks an emitted finding against the last revision of it.
func (d *driver) take(f *schema.Finding) {
	revision, detected := uint64(0), d.emits
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
		d.t.Fatalf("first revision of %s: %s, detected at %v", f.ID, f.Status, f.DetectedAt)
	}
	if f.Revision != revision+1 {
		d.t.Fatalf("revision %d of %s after %d", f.Revision, f.ID, revision)
	}
	if f.Status == schema.StatusWithdrawn && (f.GroupStart != d.emitted[f.ID].GroupStart || len(f.Evidence) == 0) {
		d.t.Fatalf("withdrawn %s differs from its last revision", f.ID)
	}
	d.emitted[f.ID] = f
}

// findings compares Findings with the reference.
func (d *driver) findings() {
	var got, want []*schema.Finding
	for _, g := range d.groups() {
		d.cells[g].Findings(func(f *schema.Finding) { got = append(got, f) })
	}
	for _, f := range reference.Findings(d.p, d.added, d.watermark) {
		if f.Status == schema.StatusOpen {
			want = append(want, f)
		}
	}
	d.same("live", got, want)
}

// same compares findings with those of the reference.
func (d *driver) same(name string, got, want []*schema.Finding) {
	g, w := lines(d.t, got), lines(d.t, want)
	if g != w {
		d.t.Fatalf("%s at watermark %d: got\n%swant\n%s", name, d.watermark, g, w)
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

// drive adds the items in any order in which none is below the watermark, with other operations in between.
func drive(t *rapid.T, r *rules.Rule, items []item.Item, end schema.Instant, batch int) {
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
			d.emit()
		case 2:
			d.findings()
		case 3:
			if names := d.groups(); len(names) > 0 {
				d.reload(rapid.SampledFrom(names).Draw(t, "reloaded"))
			}
		case 4:
			for _, g := range d.groups() {
				d.cells[g].Keys() // folds what is pending
			}
		}
		to := end
		for _, it := range left {
			to = min(to, it.Time)
		}
		if to > d.watermark && rapid.Bool().Draw(t, "advances") {
			d.advance(schema.Instant(rapid.Int64Range(int64(d.watermark), int64(to)).Draw(t, "watermark")), rapid.Bool().Draw(t, "lazily"))
			if names := d.groups(); rapid.IntRange(0, 3).Draw(t, "restarts") == 0 {
				d.reload(rapid.SampledFrom(names).Draw(t, "reloaded"))
			}
		}
	}
	d.advance(schema.Instant(rapid.Int64Range(int64(d.watermark), int64(end+150*unitOf(r))).Draw(t, "watermark")), false)
	d.findings()
	d.emit()
	d.advance(end+1000*unitOf(r), false)
	d.emit()
	for _, g := range d.groups() {
		if c := d.cells[g]; !c.Empty() {
			c.Advance(end + 10_000*unitOf(r) + schema.Instant(time.Hour)) // a loss is remembered for a minute
			if !c.Empty() {
				t.Fatalf("the cell of %q is not empty long after the last item", g)
			}
		}
	}
}

func property(t *testing.T, kind rules.Kind) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRule(t, kind)
		end, most := 40, 30
		if r.Baseline != nil {
			end, most = 700, 60
		}
		if r.Threshold != nil && r.Threshold.Count == 0 || r.Rarity != nil {
			end = 500
		}
		n := rapid.IntRange(1, most).Draw(t, "items")
		var items []item.Item
		for range n {
			items = append(items, drawItem(drawn(t), r, end, 6))
		}
		drive(t, r, items, schema.Instant(end)*unitOf(r), 6)
	})
}

func TestNoneIsAsWritten(t *testing.T)      { property(t, rules.KindNone) }
func TestThresholdIsAsWritten(t *testing.T) { property(t, rules.KindThreshold) }
func TestDistinctIsAsWritten(t *testing.T)  { property(t, rules.KindDistinct) }
func TestNewValueIsAsWritten(t *testing.T)  { property(t, rules.KindNewValue) }
func TestSequenceIsAsWritten(t *testing.T)  { property(t, rules.KindSequence) }

// TestLimitsAreAsWritten has so many items that they reach the limits: 256 times, 64 panes, 16 chains, 16 deadlines, and the
// number of known values.
func TestLimitsAreAsWritten(t *testing.T) { fewer(t, 20, func() { rapid.Check(t, limits) }) }

func limits(t *rapid.T) {
	r := drawRule(t, rapid.SampledFrom([]rules.Kind{
		rules.KindThreshold, rules.KindDistinct, rules.KindNewValue, rules.KindSequence, rules.KindAbsence, rules.KindFlow,
		rules.KindRarity, rules.KindBaseline,
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
	case r.Rarity != nil:
		r.Rarity.MaxValues, r.Rarity.History = rapid.IntRange(10, 90).Draw(t, "max values"), duration(t, "pane", 1, 9)*64
		values = 200
	case r.Baseline != nil:
		r.Baseline.History, values = rapid.IntRange(3, 64).Draw(t, "history"), 3000
	case r.Sequence != nil:
		r.Sequence.Within = 400
		n = 100
		if r.Sequence.Where != nil {
			values = 7
		}
	case r.Absence != nil:
		r.Absence.Within, r.Absence.Slack, r.Absence.For = duration(t, "within", 20, 200), duration(t, "slack", 0, 200), 20
		n = min(n, 400)
	case r.Flow != nil:
		r.Flow.Within = 400
		n = 100
	}
	seed := rapid.Uint64().Draw(t, "seed")
	random := rand.New(rand.NewPCG(seed, 0))
	choose := func(_ string, n int) int { return random.IntN(n) }
	var items []item.Item
	for range n {
		it := drawItem(choose, r, 500, values)
		it.ID[1] = byte(random.IntN(256))
		if random.IntN(50) > 0 { // nearly all have one key
			it.Key = "a\x00\x01x\x00\x01"
			it.Group = it.Key[:len(it.Key)/len(r.Key)*len(r.GroupBy)]
		}
		if r.Absence != nil && len(r.Roles) > 1 && random.IntN(20) > 0 { // most wait for an answer
			asks := 0
			if r.Absence.Form == rules.AbsenceWithout {
				asks = 1
			}
			it.Roles, it.Role = 1<<asks, r.Roles[asks].Order
		}
		if r.Sequence != nil && random.IntN(4) > 0 { // most begin a chain, few complete one
			it.Roles, it.Role = 1, 1
			it.Data = drawData(choose, r, 1, values)
		}
		items = append(items, it)
	}
	drive(t, r, items, 500*unitOf(r), 400)
}
