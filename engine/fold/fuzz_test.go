package fold_test

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// kinds returns a rule of each kind, with small limits.
func kinds() (list []*rules.Rule) {
	threshold := func(t rules.Threshold) *rules.Rule {
		r := capturetest.Rule(rules.KindThreshold)
		r.Threshold = &t
		return r
	}
	sequence := twoSources()
	sequence.Sequence.Steps[0].Times = 2
	distinct, newValue, held := capturetest.Rule(rules.KindDistinct), capturetest.Rule(rules.KindNewValue), capturetest.Rule(rules.KindNewValue)
	distinct.Distinct = &rules.Distinct{Of: rules.FieldOperands(schema.GenAIToolName), Count: 2, Within: time.Minute}
	newValue.NewValue = &rules.NewValue{Of: rules.FieldOperands(schema.GenAIToolName), Forget: time.Minute, MaxValues: 3}
	held.NewValue = &rules.NewValue{Of: newValue.NewValue.Of, Forget: time.Minute, MaxValues: 3, Hold: 20 * time.Second}
	rarity := capturetest.Rule(rules.KindRarity)
	rarity.Rarity = &rules.Rarity{Of: newValue.NewValue.Of, Share: 3e8, MinSamples: 4, History: time.Minute, MaxValues: 4}
	baseline := func(of rules.BaselineOf, direction rules.Direction) *rules.Rule {
		r := capturetest.Rule(rules.KindBaseline)
		r.Baseline = &rules.Baseline{
			Of: of, Sum: rules.FieldOperand(schema.GenAIUsageCost), Distinct: newValue.NewValue.Of, Bucket: 2 * time.Second, Season: rules.SeasonHourOfDay,
			History: 5, MinSamples: 2, Deviation: rules.DecimalUnits(1e9), Direction: direction, Forget: time.Minute,
		}
		return r
	}
	return []*rules.Rule{
		baseline(rules.BaselineCount, rules.DirectionUp), baseline(rules.BaselineSum, rules.DirectionBoth),
		baseline(rules.BaselineDistinct, rules.DirectionUp), baseline(rules.BaselineRatio, rules.DirectionDown),
		capturetest.Rule(rules.KindNone),
		threshold(rules.Threshold{Count: 3, Within: time.Minute}),
		threshold(rules.Threshold{Count: 300, Within: time.Minute}),
		threshold(rules.Threshold{Sum: &rules.Sum{AtLeast: rules.Decimal{Lo: 5}}, Within: time.Minute}),
		threshold(rules.Threshold{Ratio: &rules.Ratio{AtLeast: 5e8, Min: 2}, Within: time.Minute}),
		distinct, newValue, held, rarity, sequence,
		absence(rules.Absence{Form: rules.AbsenceExpect, Within: 5 * time.Second}),
		absence(rules.Absence{Form: rules.AbsenceWithout, Within: 2 * time.Second, Slack: 2 * time.Second}),
		absence(rules.Absence{Form: rules.AbsenceSilent, For: 2 * time.Second}),
		flow(false), flow(true), ofProvenance(time.Minute), joined("b.resource.id == a.resource.id"),
		joined("b.resource.id == a.resource.id && b.resource.name != a.resource.name"),
	}
}

// absence returns a rule of the kind.
func absence(a rules.Absence) *rules.Rule {
	r := capturetest.Rule(rules.KindAbsence)
	r.Absence = &a
	switch a.Form {
	case rules.AbsenceExpect:
		r.Roles = []rules.Role{{Name: "after", Order: 1, Key: r.Key}, {Name: "expect", Order: 2, Key: r.Key, Excepted: true}}
	case rules.AbsenceWithout:
		r.Roles = []rules.Role{{Name: "without", Order: 1, Key: r.Key, Excepted: true}, {Name: "act", Order: 2, Key: r.Key}}
	}
	return r
}

// flow returns a flow of two labels.
func flow(ordered bool) *rules.Rule {
	r := capturetest.Rule(rules.KindFlow)
	r.Flow = &rules.Flow{Labels: 2, Need: 2, Ordered: ordered, Within: time.Minute, Clear: true}
	r.Roles = []rules.Role{
		{Name: "private", Order: 1, Key: r.Key}, {Name: "egress", Order: 1, Key: r.Key}, {Name: "clear", Key: r.Key, Excepted: true},
	}
	if ordered {
		r.Roles[1].Order = 2
	}
	return r
}

// setRoles gives an item roles of the rule.
func setRoles(r *rules.Rule, it *item.Item, roles uint32) {
	it.Roles, it.Role = roles, math.MaxUint16
	for i := range r.Roles {
		if roles&(1<<i) != 0 {
			it.Role = min(it.Role, r.Roles[i].Order)
		}
	}
}

// data returns the Data of item i of a rule.
func data(r *rules.Rule, i int) string {
	switch {
	case r.Threshold != nil && r.Threshold.Sum != nil:
		return string(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i)))
	case r.Threshold != nil && r.Threshold.Ratio != nil:
		return string([]byte{byte(i & 1)})
	case r.Baseline != nil && r.Baseline.Of == rules.BaselineSum:
		return string(binary.BigEndian.AppendUint64(make([]byte, 8), uint64(i%7)))
	case r.Baseline != nil && r.Baseline.Of == rules.BaselineRatio:
		return string([]byte{byte(i % 3 & 1)})
	case r.Baseline != nil && r.Baseline.Of == rules.BaselineDistinct:
		return string(binary.BigEndian.AppendUint64(nil, uint64(i%5)))
	case r.Distinct != nil, r.NewValue != nil, r.Rarity != nil:
		return string(binary.BigEndian.AppendUint64(nil, uint64(i%5))) + "shown"
	case r.Provenance != nil:
		return provenanceItem(i)
	case r.Sequence != nil && r.Sequence.Where != nil:
		return string(schema.AppendValue(schema.AppendValue(nil, schema.StringValue(string(rune('x'+i%3)))), schema.StringValue("n")))
	}
	return ""
}

// filled returns a cell of the rule that holds something in each of its parts.
func filled(r *rules.Rule) *fold.Cell {
	c := fold.NewCell(fold.NewProgram(r), "a\x00\x01")
	c.Advance(0)
	for i := range 40 {
		it := at(i, uint64(i))
		it.Data = data(r, i)
		if r.Provenance != nil {
			allRoles(r, &it)
		} else if len(r.Roles) > 1 {
			setRoles(r, &it, 1)
			if i%5 == 4 {
				setRoles(r, &it, 2)
			}
		}
		c.Add(&it)
		if i == 20 {
			c.Emit(1, func(*schema.Finding) {})
			c.Advance(schema.Instant(i) * 1e9)
		}
	}
	c.Emit(2, func(*schema.Finding) {})
	c.Advance(30e9)
	return c
}

// FuzzLoadCell loads damaged cells: the result is an error or a cell that works.
func FuzzLoadCell(f *testing.F) {
	for i, r := range kinds() {
		f.Add(byte(i), filled(r).Append(nil))
	}
	f.Fuzz(func(t *testing.T, kind byte, flat []byte) {
		all := kinds()
		r := all[int(kind)%len(all)]
		load(t, r, fold.NewProgram(r), flat)
	})
}

// load loads a cell and, if that is not an error, uses it.
func load(t *testing.T, r *rules.Rule, p *fold.Program, flat []byte) {
	c, err := fold.LoadCell(p, "a\x00\x01", flat)
	if err != nil {
		fold.WithdrawAll(flat) // must not panic
		return
	}
	again := c.Append(nil)
	if _, err := fold.LoadCell(p, "a\x00\x01", again); err != nil {
		t.Fatalf("load a loaded cell again: %v", err)
	}
	gone, _, ok := fold.WithdrawAll(flat)
	if !ok {
		t.Fatal("the findings of a cell that loads cannot be withdrawn")
	}
	if _, err := fold.LoadCell(p, "a\x00\x01", gone); err != nil {
		t.Fatalf("load a cell without open findings: %v", err)
	}
	if _, open, ok := fold.WithdrawAll(gone); !ok || len(open) > 0 {
		t.Fatalf("%d findings are still open", len(open))
	}
	for i := range 10 {
		it := at(i*7, uint64(i))
		it.Time = max(it.Time, c.Watermark())
		it.Data = data(r, i)
		it.Roles = uint32(i)
		c.Add(&it)
		c.Emit(3, func(*schema.Finding) {})
		if w, ok := c.Wake(); ok && i%3 == 0 {
			c.Advance(w)
		}
		c.Findings(func(*schema.Finding) {})
	}
	c.Advance(1 << 62)
	c.Emit(4, func(*schema.Finding) {})
	c.Append(nil)
}

// TestLoadCellOfDamagedBytes damages each byte of a cell of each kind: a cell that still loads works.
func TestLoadCellOfDamagedBytes(t *testing.T) {
	for _, r := range kinds() {
		p := fold.NewProgram(r)
		flat := filled(r).Append(nil)
		for i, b := range flat {
			for _, damaged := range [...]byte{0, b ^ 1, b + 1, b ^ 0x80, 0xff} {
				flat[i] = damaged
				load(t, r, p, flat)
			}
			flat[i] = b
		}
	}
}

// FuzzItem folds every item that item.Read accepts.
func FuzzItem(f *testing.F) {
	it := at(3, 4)
	it.Data, it.Evidence, it.Group = "data", "evidence", "group"
	f.Add(item.Append(nil, &it))
	f.Fuzz(func(t *testing.T, src []byte) {
		it, _, ok := item.Read(src)
		if !ok {
			return
		}
		c := fold.NewCell(fold.NewProgram(capturetest.Rule(rules.KindNone)), it.Group)
		c.Advance(it.Time)
		c.Add(&it)
		c.Emit(1, func(*schema.Finding) {})
		fold.Late(fold.NewProgram(capturetest.Rule(rules.KindNone)), &it)
	})
}

func TestLoadCellRefusesDamage(t *testing.T) {
	for _, r := range kinds() {
		flat := filled(r).Append(nil)
		for n := range flat {
			if _, err := fold.LoadCell(fold.NewProgram(r), "a\x00\x01", flat[:n]); err == nil {
				t.Errorf("%s: a cell truncated to %d of %d bytes was loaded", r.Kind, n, len(flat))
			}
		}
		if _, err := fold.LoadCell(fold.NewProgram(r), "a\x00\x01", append(flat, 0)); err == nil {
			t.Errorf("%s: a cell with an extra byte was loaded", r.Kind)
		}
		flat[0]++
		if _, err := fold.LoadCell(fold.NewProgram(r), "a\x00\x01", flat); err == nil {
			t.Errorf("%s: a cell of another format was loaded", r.Kind)
		}
	}
}
