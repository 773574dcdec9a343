package fold_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"github.com/aidr-engine/aidr/engine/capture/capturetest"
	"github.com/aidr-engine/aidr/engine/fold"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// TestFindingIDBytes spells out the bytes whose hash is an id.
func TestFindingIDBytes(t *testing.T) {
	f := func(late schema.ID, want string) {
		t.Helper()
		sum := sha256.Sum256([]byte(want))
		if got := fold.FindingID("a.b", 3, "k\x00\x01", 1, late); !bytes.Equal(got[:], sum[:16]) {
			t.Errorf("got %s, want %x", got, sum[:16])
		}
	}
	f(schema.ID{}, "\x03a.b"+"\x00\x00\x00\x03"+"\x03k\x00\x01"+"\x00\x00\x00\x00\x00\x00\x00\x01")
	f(schema.ID{9}, "\x03a.b"+"\x00\x00\x00\x03"+"\x03k\x00\x01"+"\x00\x00\x00\x00\x00\x00\x00\x01"+"\x09"+string(make([]byte, 15)))
}

// conditions compiles the conditions of roles.
func conditions(t *testing.T, texts ...string) (list []*predicate.Cond) {
	t.Helper()
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range texts {
		c, issues := env.Compile(text)
		if len(issues) > 0 {
			t.Fatalf("compile %q: %v", text, issues)
		}
		list = append(list, c)
	}
	return list
}

// TestFindingsOfKinds compares the JSON of a finding of each kind with a golden file.
func TestFindingsOfKinds(t *testing.T) {
	cond := conditions(t, `event.class == "tool" && event.action != "x"`, `event.outcome == "failure"`, `event.outcome == "success"`)
	kinds := map[string]func(r *rules.Rule){
		"none":      func(r *rules.Rule) { r.Kind = rules.KindNone },
		"threshold": func(r *rules.Rule) { r.Threshold = &rules.Threshold{Count: 3, Within: time.Minute} },
		"sum": func(r *rules.Rule) {
			r.Threshold = &rules.Threshold{Sum: &rules.Sum{Of: rules.FieldOperand(schema.GenAIUsageCost), AtLeast: rules.Decimal{Lo: 25e8}}, Within: 64 * time.Second}
		},
		"ratio": func(r *rules.Rule) {
			r.Threshold = &rules.Threshold{Ratio: &rules.Ratio{Of: cond[1], AtLeast: 3e8, Min: 2}, Within: 64 * time.Second}
		},
		"distinct": func(r *rules.Rule) {
			r.Distinct = &rules.Distinct{Of: rules.FieldOperands(schema.GenAIToolName), Count: 2, Within: time.Hour}
		},
		"new_value": func(r *rules.Rule) {
			r.NewValue = &rules.NewValue{Of: rules.FieldOperands(schema.GenAIToolName), Learn: 2 * time.Second, Forget: 24 * time.Hour, MaxValues: 10}
		},
		"baseline": func(r *rules.Rule) {
			r.Baseline = &rules.Baseline{Of: rules.BaselineDistinct, Distinct: rules.FieldOperands(schema.GenAIToolName), Season: rules.SeasonHourOfWeek,
				Bucket: 2 * time.Second, History: 28, MinSamples: 1, Deviation: rules.DecimalUnits(35e8), Direction: rules.DirectionUp, Forget: time.Hour}
		},
		"rarity": func(r *rules.Rule) {
			r.Rarity = &rules.Rarity{Of: rules.FieldOperands(schema.GenAIToolName), Share: 2e8, MinSamples: 3, History: 64 * time.Second, MaxValues: 10}
		},
		"sequence": func(r *rules.Rule) {
			r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "denied", Times: 2}, {ID: "done", Times: 1}}, Within: time.Hour}
			r.Roles = []rules.Role{
				{Name: "denied", Order: 1, Key: r.Key, Cond: cond[1]}, {Name: "done", Order: 2, Key: r.Key, Cond: cond[2]},
			}
		},
	}
	kinds["absence"] = func(r *rules.Rule) {
		r.Absence = &rules.Absence{Form: rules.AbsenceExpect, Within: time.Second}
		r.Roles = []rules.Role{
			{Name: "after", Order: 1, Key: r.Key, Cond: cond[1]}, {Name: "expect", Order: 2, Key: r.Key, Cond: cond[2], Excepted: true},
		}
	}
	kinds["flow"] = func(r *rules.Rule) {
		r.Flow = &rules.Flow{Labels: 2, Need: 2, Within: time.Hour}
		r.Roles = []rules.Role{
			{Name: "denied", Order: 1, Key: r.Key, Cond: cond[1]}, {Name: "done", Order: 1, Key: r.Key, Cond: cond[2]},
		}
	}
	var got txtar.Archive
	for _, name := range []string{"none", "threshold", "sum", "ratio", "distinct", "new_value", "baseline", "rarity", "sequence", "absence", "flow"} {
		r := mentions(capturetest.Rule(rules.Kind(name)), schema.GenAIToolName, schema.GenAIUsageCost)
		r.Tags, r.Notify = []string{"owasp.asi08-2026"}, []string{"soc"}
		r.Contain = &rules.Contain{Scope: "session", State: "deny", TTL: 15 * time.Minute, Mode: "monitor"}
		r.Roles[0].Cond = cond[0]
		if name == "sum" || name == "ratio" {
			r.Kind = rules.KindThreshold
		}
		kinds[name](r)
		var b bytes.Buffer
		for _, f := range detect(t, r) {
			b.Write(indented(t, f))
		}
		got.Files = append(got.Files, txtar.File{Name: name + ".json", Data: b.Bytes()})
	}
	golden(t, "testdata/findings.txtar", &got)
}

// detect returns the findings of a rule for ten events, one second apart.
func detect(t *testing.T, r *rules.Rule) (findings []*schema.Finding) {
	t.Helper()
	p := fold.NewProgram(r)
	cell := fold.NewCell(p, "a1\x00\x01")
	tools := []string{"read", "read", "read", "shell\n\x1b[31m", "read"}
	for i := range 10 {
		outcome := "success"
		roles := uint32(1)
		if i%3 == 1 {
			outcome = "failure"
		} else if len(r.Roles) > 1 {
			roles = 2
		}
		e := capturetest.Event(t, map[string]schema.Value{
			"event.id": schema.StringValue(fmt.Sprintf("e%d", i)), "event.action": schema.StringValue("tools/call"),
			"event.outcome": schema.StringValue(outcome), "gen_ai.tool.name": schema.StringValue(tools[i%5]),
			"gen_ai.usage.cost": schema.DoubleValue(0.5), "resource.id": schema.StringValue("arn:aws:s3:::b"),
		})
		e.SetTime(schema.Time, int64(i)*1e9)
		items, _ := capturetest.Take(t, r, e, roles)
		for _, it := range items {
			cell.Add(&it)
		}
	}
	cell.Advance(30e9)
	cell.Emit(31e9, func(f *schema.Finding) { findings = append(findings, f) })
	return findings
}

func indented(t *testing.T, f *schema.Finding) []byte {
	t.Helper()
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// golden compares an archive with a file, which it writes if -update is set.
func golden(t *testing.T, file string, got *txtar.Archive) {
	t.Helper()
	b := txtar.Format(got)
	if *update {
		if err := os.WriteFile(file, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, want) {
		t.Errorf("%s is out of date: run with -update and review the difference; got\n%s", file, b)
	}
}
