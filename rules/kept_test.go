package rules_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// A load with Kept gives the rules, matches and problems of a load without, whatever changed in between.
func TestKeptLoads(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	kept := new(rules.Kept)
	var changed []string
	put := func(name, text string) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		changed = append(changed, path)
	}
	remove := func(name string) {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		changed = append(changed, filepath.Join(dir, name))
	}
	put("lists/some.yaml", "type: strings\ndescription: x\nvalues: [w1]\n")
	for i := range 200 {
		put(fmt.Sprintf("f%d/r%03d.yaml", i%3, i), randomRule(r, i))
	}
	loaded, broken := 0, ""
	for range 150 {
		var o rules.Options
		if o.Kept = kept; r.IntN(3) > 0 {
			o.Changed = changed
		}
		got, gotProblems := rules.Load(o, dir)
		want, wantProblems := rules.Load(rules.Options{}, dir)
		if !slices.Equal(gotProblems, wantProblems) {
			t.Fatalf("problems with Kept: %v\nwithout: %v", gotProblems, wantProblems)
		}
		if (got == nil) != (want == nil) {
			t.Fatalf("with Kept a Set: %v, without: %v", got != nil, want != nil)
		}
		changed = []string{}
		if got != nil {
			loaded++
			if r.IntN(4) == 0 {
				got.Compact()
			}
			compareSets(t, r, got, want)
		}
		if broken != "" && r.IntN(2) == 0 {
			remove(broken)
			broken = ""
		}
		for range 1 + r.IntN(4) {
			n := r.IntN(210)
			name := fmt.Sprintf("f%d/r%03d.yaml", n%3, n)
			switch k := r.IntN(30); {
			case k == 0:
				put("lists/some.yaml", fmt.Sprintf("type: strings\ndescription: x\nvalues: [w%d]\n", r.IntN(3)))
			case k == 1:
				put("agents.yaml", fmt.Sprintf("agents: [{uid: w%d, name: x, owner: y}]\n", r.IntN(3)))
			case k == 2:
				remove("agents.yaml")
			case k == 3:
				remove(fmt.Sprintf("f%d", r.IntN(3)))
			case k == 4:
				broken = name
				put(name, "id: [broken")
			case k == 5:
				put("f0/.hidden.yaml", "no rule")
				put("f0/notes.txt~", "no rule")
			case k < 10:
				remove(name)
			case k < 13: // the same text
				if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
					put(name, string(text))
				}
			default:
				put(name, randomRule(r, n))
			}
		}
	}
	if loaded < 50 {
		t.Errorf("only %d of 150 loads gave a Set", loaded)
	}
}

// randomRule returns the text of rule number n, in one of many forms.
func randomRule(r *rand.Rand, n int) string {
	word := func() string { return fmt.Sprintf("w%d", r.IntN(6)) }
	when := []string{
		fmt.Sprintf("event.action == %q", word()), fmt.Sprintf("raw.%s == %q", word(), word()), "user.id in lists.some", "agent.registered",
		fmt.Sprintf("event.action == %q && user.id.contains(%q)", word(), word()), fmt.Sprintf("event.action != %q", word()),
	}[r.IntN(6)]
	lines := []string{"when: '" + when + "'", "group: {by: [user.id], for: 1h}"}
	switch r.IntN(12) {
	case 0:
		lines[0] = fmt.Sprintf("over: ['test.r0%d*']", r.IntN(10))
	case 1:
		lines = append(lines, "status: disabled")
	case 2:
		lines = append(lines, "exceptions: [{when: 'user.id == \"w1\"', until: 2020-01-01, reason: r, owner: o}]")
	case 3:
		lines = append(lines, "datasets: [x.test]")
	}
	return rule(fmt.Sprintf("test.r%03d", n), lines...)
}

// compareSets compares the rules of two Sets, and their matches of random events.
func compareSets(t *testing.T, r *rand.Rand, got, want *rules.Set) {
	t.Helper()
	ids := func(rs []*rules.Rule) (out []string) {
		for _, x := range rs {
			out = append(out, fmt.Sprintf("%s %d %v %v %x", x.ID, x.Level, x.IsFeeding, len(x.Carries), x.Shape))
			if x.Over != nil {
				for _, f := range x.Over.Feeding {
					out = append(out, " "+f.ID)
				}
			}
		}
		return out
	}
	if g, w := ids(got.Rules), ids(want.Rules); !slices.Equal(g, w) {
		t.Fatalf("active rules with Kept %v, without %v", g, w)
	}
	gotRaw, wantRaw := got.Wanted().Raw, want.Wanted().Raw
	gs, ws := got.NewScratch(), want.NewScratch()
	for range 40 {
		values := map[string]string{}
		word := func() string { return fmt.Sprintf("w%d", r.IntN(6)) }
		event := func(raw [][]string) *schema.Event {
			e := event("x.test", time.Time{}, map[schema.Field]string{schema.EventAction: values["action"], schema.UserID: values["user"]})
			for _, path := range raw {
				e.Raws = append(e.Raws, schema.StringValue(values[path[0]]))
			}
			return e
		}
		values["action"], values["user"] = word(), word()
		for i := range 6 {
			values[fmt.Sprintf("w%d", i)] = word()
		}
		if g, w := hits(got, gs, event(gotRaw)), hits(want, ws, event(wantRaw)); g != w {
			t.Fatalf("with Kept %s, without %s", g, w)
		}
	}
}
