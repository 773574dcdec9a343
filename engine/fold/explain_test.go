package fold

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/engine/capture"
	"github.com/aidr-engine/aidr/engine/flat"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/expr"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

func TestQuote(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := quote(s); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f("plain \u00e9", "\"plain \u00e9\"")
	f("a\nb\x1b[31m\x00\"", `"a\nb\x1b[31m\x00\""`)
	f("\u202egnp.exe\u200b", `"\u202egnp.exe\u200b"`)
	f("\xff", `"\xff"`)
	f(strings.Repeat("\u00e9", 100), `"`+strings.Repeat("\u00e9", 60)+`..."`)
}

func TestDurationText(t *testing.T) {
	f := func(d time.Duration, want string) {
		t.Helper()
		if got := durationText(d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(0, "0s")
	f(1500*time.Millisecond, "1.5s")
	f(90*time.Second, "90s")
	f(5*time.Minute, "5m")
	f(36*time.Hour, "36h")
	f(30*24*time.Hour, "30d")
}

// TestExplain compares the explanations of groups whose events have the given evidence.
func TestExplain(t *testing.T) {
	type event map[string]string
	f := func(want, name, uid string, events ...event) {
		t.Helper()
		r := &rules.Rule{ID: "r", Version: 1, Kind: rules.KindNone, GroupBy: []int{0, 1}}
		r.Key = rules.FieldOperands(schema.AIAgentUID, schema.SessionID)
		group := "a1\x00\x01\x00\x01"
		g := Group{Start: 1e9, Last: 1e9, Subject: string(item.AppendSubject(nil, &item.Subject{AgentUID: uid, AgentName: name}))}
		for i, e := range events {
			if e["session"] != "" {
				group = "a1\x00\x01" + e["session"] + "\x00\x01"
			}
			ev := flat.AppendText(nil, item.AppendPosition(nil, schema.Position{Topic: "t"}))
			ev = flat.AppendText(ev, "")
			for _, name := range []string{"id", "dataset", "action", "resource", "outcome"} {
				ev = flat.AppendText(ev, e[name])
			}
			var core []byte
			for _, name := range []string{"class", "tool", "server", "target", "credential"} {
				core = flat.AppendText(core, e[name])
			}
			ev = append(flat.AppendText(ev, core), 0, 0, 0, 0, 0)
			g.AddEvent(Event{Time: 1e9, ID: schema.ID{byte(i)}, Evidence: string(ev)})
		}
		if got := NewProgram(r).explain(group, &g); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	f(`Agent "bot" called "shell" of server "files" at "api.example/v1" on "r1" with outcome "failure".`, "bot", "a1",
		event{"action": "tools/call", "tool": "shell", "server": "files", "target": "api.example/v1", "resource": "r1", "outcome": "failure"})
	f(`Agent "a1" did "s3:GetObject" on "b".`, "", "a1", event{"action": "s3:GetObject", "resource": "b", "outcome": "success"})
	f(`session.id "s1": agent "bot" called "a", "b", "c" and others with outcome "success", "failure".`, "bot", "a1",
		event{"tool": "a", "outcome": "success", "session": "s1"}, event{"tool": "a"}, event{"tool": "b"},
		event{"tool": "c", "outcome": "failure"}, event{"tool": "d"})
	f(`Agent "bot" did "read", "login".`, "bot", "a1", event{"tool": "read"}, event{"action": "login"})
	f(`Agent "bot\n\x1b[2J" called "\u202ex".`, "bot\n\x1b[2J", "a1", event{"tool": "\u202ex"})
	f(`ai_agent.uid "a1": an agent was active at "api.example".`, "", "", event{"target": "api.example"})
	f(`ai_agent.uid "a1": an agent was active.`, "", "")
}

// TestReasons checks that reasons show the branch of the first event, for a sequence that of each step.
func TestReasons(t *testing.T) {
	env, err := expr.NewEnv(expr.Site{})
	if err != nil {
		t.Fatal(err)
	}
	compile := func(text string) *predicate.Cond {
		cond, issues := env.Compile(text)
		if len(issues) > 0 {
			t.Fatal(issues)
		}
		return cond
	}
	r := &rules.Rule{ID: "r", Version: 1, Kind: rules.KindSequence, Key: rules.FieldOperands(schema.AIAgentUID), GroupBy: []int{0}}
	r.Sequence = &rules.Sequence{Steps: []rules.Step{{ID: "read", Times: 1}, {ID: "send", Times: 1}}, Within: time.Minute, Unless: true}
	either := compile(`event.action == "a" || event.action == "b"`)
	r.Roles = []rules.Role{
		{Name: "read", Order: 1, Key: r.Key, Cond: either}, {Name: "send", Order: 2, Key: r.Key, Cond: compile(`event.action in ["c", "d"]`)},
		{Name: "unless", Excepted: true, Key: r.Key, Cond: either},
	}
	p := NewProgram(r)
	cell := NewCell(p, "a1\x00\x01")
	cell.Advance(0)
	c := capture.Capturer{}
	for i, action := range []string{"b", "d"} {
		e := &schema.Event{Record: action}
		e.SetTime(schema.Time, int64(i+1)*1e9)
		e.SetText(schema.AIAgentUID, "a1")
		e.SetText(schema.EventAction, action)
		c.BeginEvent()
		c.Capture(capture.NewPlan(r), 0, e, 1<<i, &rules.Scratch{Predicate: predicate.NewScratch()}, func(it *item.Item) {
			own := *it
			cell.Add(&own)
		})
	}
	var got []string
	cell.Emit(0, func(f *schema.Finding) { got = append(got, f.Reasons...) })
	if want := []string{`read: event.action == "b"`, `send: event.action == "d"`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
