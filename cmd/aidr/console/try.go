package console

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/backtest"
	"github.com/aidr-engine/aidr/schema"
)

// tryBody is the content of the page on which a rule is tried.
type tryBody struct {
	Rule, Finding string
	Text          string
	Hours         int
	Choices       []int
	May           bool
	Failed        string
	Tried         *api.RuleTried // nil: nothing was asked
	Written       *api.RuleDraft
	Outcome       *backtest.Rule // of the text
	Before        *backtest.Rule // of the rule that runs now
	Days          []dayBar
	Agents        []agentDiff
	Changes       []changeRow
	Patch         string
	Note          string
	Hidden        string // the characters of the text that an editor does not show
}

// dayBar is a day with the findings of the text and of the rule that runs now.
type dayBar struct {
	Date        string
	Now, Before int64
	W1, W2      int // widths of the bars in pixels
}

// agentDiff is an agent with the findings of both.
type agentDiff struct {
	Agent       backtest.Agent
	Now, Before int64
}

// changeRow is a finding that only one of both has, or that differs.
type changeRow struct {
	backtest.Change
	Label string
}

// trialHours are the choices of how far back a rule runs.
var trialHours = []int{1, 6, 24, 72, api.TrialHours}

// maxShownChanges is the number of differing findings on the page.
const maxShownChanges = 50

// tryForm shows a rule in an editor: that of the address, with a test made from a finding if the address names one.
func (q *request) tryForm() error {
	b := tryBody{Rule: q.value("rule"), Finding: q.value("finding"), Hours: 24}
	var f *schema.Finding
	if b.Finding != "" {
		f = &schema.Finding{}
		if err := q.get("/v1/findings/"+url.PathEscape(b.Finding), nil, f); err != nil {
			return q.queryError(err)
		}
		b.Rule = f.RuleID
	}
	if b.Rule != "" {
		var t api.RuleText
		if err := q.get("/v1/rules/"+url.PathEscape(b.Rule)+"/text", nil, &t); err != nil {
			return q.queryError(err)
		}
		b.Text = t.Text
	} else {
		b.Text = newRule
	}
	if f != nil {
		b.Text, b.Note = withTest(b.Text, f, q.value("verdict") == string(schema.Benign))
	}
	return q.showTry(b)
}

// newRule is the text with which a new rule begins.
const newRule = `id: site.new-rule
version: 1
title: Title of the finding
severity: medium
confidence: 60
status: draft
datasets: ["@llm"]
when: event.class == "tool" && gen_ai.tool.called
threshold: {count: 100, within: 1m, by: [ai_agent.uid]}
`

// tryRule checks or runs the text of the form, or writes it as a draft.
func (q *request) tryRule() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	form := q.r.PostForm
	hours, err := strconv.Atoi(cmp.Or(form.Get("hours"), "24"))
	if err != nil {
		return badRequest{fmt.Errorf("hours: %q is not a number", schema.Truncate(form.Get("hours"), 20))}
	}
	b := tryBody{Rule: form.Get("rule"), Finding: form.Get("finding"), Text: strings.ReplaceAll(form.Get("text"), "\r\n", "\n"), Hours: hours}
	t := api.RuleTrial{Text: b.Text}
	switch form.Get("action") {
	case "check":
	case "run":
		t.Hours = hours
	case "draft":
		b.Written = &api.RuleDraft{}
		if err := q.post("/v1/rules/draft", t, b.Written); err != nil {
			b.Written, b.Failed = nil, err.Error()
		}
	default:
		return badRequest{errors.New("action: is none of check, run and draft")}
	}
	b.Tried = &api.RuleTried{}
	if err := q.postWithin(trialTime, "/v1/rules/try", t, b.Tried); err != nil {
		b.Tried, b.Failed = nil, cmp.Or(b.Failed, err.Error())
	}
	b.fill()
	return q.showTry(b)
}

// trialTime bounds a trial, which takes at most 18 s of running over history, and loading the rules.
const trialTime = 28 * time.Second

func (q *request) showTry(b tryBody) error {
	b.May, b.Choices, b.Hidden = q.session.who.may(access.Rules), trialHours, hiddenIn(b.Text)
	id := b.Rule
	if b.Tried != nil && b.Tried.ID != "" {
		id = b.Tried.ID
	}
	return q.show(page{
		Name: "try", Nav: "try", Title: "Try a rule", Body: b,
		Help: &help{
			From: "The text is loaded with the lists, the registry and the rules of this process, in place of the rule with its id. It runs over the records of the sources, " +
				"on one core and for at most 18 seconds, beside the rule that runs now: a report that is not complete names how far it came. State begins empty: a rule that learns " +
				"for longer than the time that is read finds less than it would.",
			Command: []string{"aidr rules check FILE", "aidr rules backtest --rules FILE --against DIR --config FILE --start TIME --cpu 1"},
			SQL:     "SELECT toDate(group_start) AS day, agent_uid, count() AS findings FROM aidr.v_findings WHERE rule_id = " + sqlQuoted(id) + " GROUP BY day, agent_uid ORDER BY day, findings DESC",
		},
	})
}

// hiddenIn names the characters of a text that cannot be seen, or that move others.
func hiddenIn(text string) string {
	var names []string
	for _, r := range Runs(text) {
		if name := r.Code + " " + r.Name; r.Name != "" && !slices.Contains(names, name) && len(names) < maxSeen {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// fill adds the outcome of the run, and the difference to the rule that runs now.
func (b *tryBody) fill() {
	if b.Tried == nil {
		return
	}
	b.Patch = patch(b.Tried.ID, b.Tried.Live, b.Text)
	r := b.Tried.Report
	if r == nil {
		return
	}
	find := func(all []backtest.Rule) *backtest.Rule {
		if i := slices.IndexFunc(all, func(x backtest.Rule) bool { return x.ID == b.Tried.ID }); i >= 0 {
			return &all[i]
		}
		return nil
	}
	b.Outcome, b.Before = find(r.Rules), find(r.Against)
	b.addDays()
	b.addAgents()
	if r.Difference != nil {
		for _, c := range r.Difference.Findings[:min(len(r.Difference.Findings), maxShownChanges)] {
			label := map[string]string{backtest.OnlyLeft: "this text only", backtest.OnlyRight: "live rule only", backtest.Changed: "differs"}[c.Change]
			b.Changes = append(b.Changes, changeRow{c, label})
		}
	}
}

func (b *tryBody) addDays() {
	const width = 180
	at := map[string]int{}
	most := int64(1)
	add := func(r *backtest.Rule, set func(d *dayBar, n int64)) {
		if r == nil {
			return
		}
		for _, d := range r.Days {
			i, ok := at[d.Date]
			if !ok {
				i = len(b.Days)
				at[d.Date] = i
				b.Days = append(b.Days, dayBar{Date: d.Date})
			}
			set(&b.Days[i], d.Count)
			most = max(most, d.Count)
		}
	}
	add(b.Outcome, func(d *dayBar, n int64) { d.Now = n })
	add(b.Before, func(d *dayBar, n int64) { d.Before = n })
	slices.SortFunc(b.Days, func(x, y dayBar) int { return strings.Compare(x.Date, y.Date) })
	for i := range b.Days {
		b.Days[i].W1, b.Days[i].W2 = int(b.Days[i].Now*width/most), int(b.Days[i].Before*width/most)
	}
}

func (b *tryBody) addAgents() {
	type name struct{ tenant, uid string }
	at := map[name]int{}
	add := func(r *backtest.Rule, set func(d *agentDiff, n int64)) {
		if r == nil {
			return
		}
		for _, a := range r.Agents {
			k := name{a.Tenant, a.UID}
			i, ok := at[k]
			if !ok {
				i = len(b.Agents)
				at[k] = i
				b.Agents = append(b.Agents, agentDiff{Agent: a})
			}
			set(&b.Agents[i], a.Findings)
		}
	}
	add(b.Outcome, func(d *agentDiff, n int64) { d.Now = n })
	add(b.Before, func(d *agentDiff, n int64) { d.Before = n })
}

// withTest adds a test made from a finding to the text of a rule: its evidence as events, and the finding, or none if it is benign.
// note describes the limits of the test.
func withTest(text string, f *schema.Finding, benign bool) (out, note string) {
	test := testOf(f, benign)
	note = "A test made from the finding is at the end of the tests. Evidence holds the first 3 and the last 5 events with the fields that the rule reads, " +
		"redacted: repeat events if the rule counts more of them."
	lines := strings.SplitAfter(text, "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "tests:" && strings.HasPrefix(l, "tests:") })
	if at < 0 {
		return strings.TrimSuffix(text, "\n") + "\ntests:\n" + indented(test, "  "), note
	}
	indent := "  "
	if at+1 < len(lines) {
		indent = lines[at+1][:len(lines[at+1])-len(strings.TrimLeft(lines[at+1], " "))]
	}
	end := at + 1
	for end < len(lines) && (strings.TrimSpace(lines[end]) == "" || strings.HasPrefix(lines[end], " ") || strings.HasPrefix(lines[end], "-")) {
		end++
	}
	for end > at+1 && strings.TrimSpace(lines[end-1]) == "" {
		end--
	}
	head := strings.Join(lines[:end], "")
	if !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return head + indented(test, indent) + strings.Join(lines[end:], ""), note
}

// indented returns a text with an indent before each line.
func indented(text, indent string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(indent + line)
	}
	return b.String()
}

// testOf returns a finding as a test. JSON is YAML, so values are JSON.
func testOf(f *schema.Finding, benign bool) string {
	var b strings.Builder
	name := "from finding " + f.ID.String()
	if benign {
		name += ", which is benign"
	}
	fmt.Fprintf(&b, "- name: %s\n  events:\n", yamlText(name))
	for i, e := range f.Evidence {
		fmt.Fprintf(&b, "    - at: %dms\n      set:\n", max(0, int64(e.Time-f.Evidence[0].Time)/int64(time.Millisecond)))
		set := map[string]any{}
		for field, v := range f.Evidence[i].Fields {
			set[field] = v
		}
		for field, v := range map[string]string{"event.dataset": e.Dataset, "event.class": e.Class, "event.action": e.Action, "event.outcome": e.Outcome} {
			if v != "" && set[field] == nil {
				set[field] = v
			}
		}
		for field, v := range f.Key {
			if set[field] == nil && !strings.HasPrefix(field, "raw") {
				set[field] = v
			}
		}
		names := make([]string, 0, len(set))
		for field := range set {
			names = append(names, field)
		}
		slices.Sort(names)
		for _, field := range names {
			fmt.Fprintf(&b, "        %s: %s\n", yamlText(field), yamlText(set[field]))
		}
	}
	if benign {
		b.WriteString("  findings: []\n")
	} else {
		key, _ := json.Marshal(f.Key) // a map of texts
		fmt.Fprintf(&b, "  findings: [{by: %s}]\n", key)
	}
	return b.String()
}

// yamlText returns a value as JSON, in which characters that cannot be seen are escaped.
func yamlText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return `""`
	}
	var b strings.Builder
	for _, r := range string(text) {
		if hidden(r) == "" || r > 0xffff {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
