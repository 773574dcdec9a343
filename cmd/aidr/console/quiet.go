package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// quietBody is the content of the page on which a snooze or an exception is made from a finding.
type quietBody struct {
	*schema.Finding
	Covers        string // finding, key, agent or rule
	Choices       []option
	Hidden        *api.Quiet
	Snoozes       []triage.Snooze
	For           []string
	Reason, Owner string
	Until         string // day of an exception
	When          string // condition of an exception
	Exception     string // the entry, as YAML
	Patch         string
	MaySnooze     bool
	Failed, Done  string
}

// snoozeTimes are the choices of how long a snooze lasts.
var snoozeTimes = []string{"1h", "4h", "12h", "1d", "3d", "7d", "30d"}

// quietSpec returns the snooze of a finding for what it covers.
func quietSpec(f *schema.Finding, covers, tenant string) triage.SnoozeSpec {
	s := triage.SnoozeSpec{Rule: f.RuleID}
	if tenant != "" || f.Tenant != "" {
		s.Tenant = &f.Tenant
	}
	switch covers {
	case "finding":
		s.Finding = f.ID
	case "agent":
		s.Agent = f.AgentUID
	case "key":
		s.Key = f.Key
	}
	return s
}

// exceptionWhen returns the condition of an exception for what it covers; "" if it would except everything.
func exceptionWhen(f *schema.Finding, covers string) string {
	var parts []string
	switch covers {
	case "agent":
		if f.AgentUID != "" {
			parts = append(parts, "ai_agent.uid == "+yamlText(f.AgentUID))
		}
	case "key", "finding":
		for name, value := range f.Key {
			if field, ok := schema.FieldByName(name); ok && field.Info().Type == schema.TypeString {
				parts = append(parts, name+" == "+yamlText(value))
			}
		}
		slices.Sort(parts)
	}
	return strings.Join(parts, " && ")
}

// quietForm shows what a snooze, or an exception, would hide.
func (q *request) quietForm() error {
	b, err := q.quiet(q.r.URL.Query())
	if err != nil {
		return err
	}
	return q.showQuiet(b)
}

// quiet returns the page of the finding and the choices of an address or a form.
func (q *request) quiet(v url.Values) (b *quietBody, err error) {
	b = &quietBody{
		Finding: &schema.Finding{}, Covers: cmp.Or(v.Get("covers"), "key"), For: snoozeTimes, Reason: strings.TrimSpace(v.Get("reason")), Owner: strings.TrimSpace(v.Get("owner")),
		Until: v.Get("until"), MaySnooze: q.session.who.may(access.Triage),
	}
	id := v.Get("finding")
	if _, bad := schema.ParseID(id); bad != nil {
		return nil, badRequest{fmt.Errorf("finding: %w", bad)}
	}
	if err := q.get("/v1/findings/"+url.PathEscape(id), nil, b.Finding); err != nil {
		return nil, err
	}
	b.Choices = []option{{"finding", "this finding"}, {"key", "this rule and key"}, {"agent", "this rule and agent"}, {"rule", "all of this rule"}}
	if !slices.ContainsFunc(b.Choices, func(o option) bool { return o.Value == b.Covers }) {
		b.Covers = "key"
	}
	b.When = exceptionWhen(b.Finding, b.Covers)
	b.Hidden = &api.Quiet{}
	if err := q.post("/v1/snoozes/dry-run", quietSpec(b.Finding, b.Covers, q.session.who.Tenant), b.Hidden); err != nil {
		b.Hidden, b.Failed = nil, err.Error()
	}
	b.Snoozes, _, _ = list[triage.Snooze](q, "/v1/snoozes", nil, perPage) // the page is of use without them
	b.Snoozes = slices.DeleteFunc(b.Snoozes, func(s triage.Snooze) bool { return s.Ended != 0 || !s.Matches(b.Finding) })
	return b, nil
}

func (q *request) showQuiet(b *quietBody) error {
	return q.show(page{
		Name: "quiet", Nav: "findings", Title: "Snooze or except", Body: b,
		Help: &help{
			From: "The findings of the local store of the last 30 days that a snooze of this form selects. An exception with the condition below removes the events of the same " +
				"findings; one that covers a key or an agent does so exactly, because all events of a finding have its key.",
			Command: []string{"aidr findings snooze --rule " + shellQuoted(b.RuleID) + " --for 1d --reason TEXT", "aidr findings ls --rule " + shellQuoted(b.RuleID) + " --since 30d"},
			SQL:     "SELECT toDate(group_start) AS day, count() AS findings FROM aidr.v_findings WHERE rule_id = " + sqlQuoted(b.RuleID) + " AND group_start >= now() - INTERVAL 30 DAY GROUP BY day ORDER BY day",
		},
	})
}

// makeQuiet makes a snooze, or shows the patch of an exception. Both need a reason and an end.
func (q *request) makeQuiet() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	form := q.r.PostForm
	b, err := q.quiet(form)
	if err != nil {
		return err
	}
	switch form.Get("action") {
	case "snooze":
		s := api.SnoozeRequest{SnoozeSpec: quietSpec(b.Finding, b.Covers, q.session.who.Tenant), For: form.Get("for"), Reason: b.Reason}
		var made triage.Snooze
		if err := q.post("/v1/snoozes", s, &made); err != nil {
			b.Failed = err.Error()
			break
		}
		b.Done = "The snooze holds until " + utc(made.Until) + " UTC."
		b.Snoozes = append(b.Snoozes, made)
	case "wake":
		if err := q.post("/v1/snoozes/"+url.PathEscape(form.Get("snooze"))+"/wake", map[string]string{"reason": b.Reason}, nil); err != nil {
			b.Failed = err.Error()
			break
		}
		b.Done = "The snooze has ended."
		b.Snoozes = slices.DeleteFunc(b.Snoozes, func(s triage.Snooze) bool { return s.ID == form.Get("snooze") })
	case "except":
		if err := b.except(q); err != nil {
			b.Failed = err.Error()
		}
	default:
		return badRequest{errors.New("action: is none of snooze, wake and except")}
	}
	return q.showQuiet(b)
}

// except adds the entry of an exception, and its patch.
func (b *quietBody) except(q *request) error {
	day, err := time.Parse("2006-01-02", b.Until)
	switch {
	case err != nil:
		return errors.New("until: an exception has an end: write a day such as 2026-12-31")
	case day.Before(q.console.opts.Now()):
		return errors.New("until: the day is over")
	case b.Reason == "":
		return errors.New("reason: an exception has a reason")
	case b.When == "":
		return errors.New("the finding has no text field as a key: an exception for all of the rule would switch it off: set its status to disabled instead")
	}
	b.Exception = fmt.Sprintf("{when: %s, until: %s, reason: %s, owner: %s}", yamlText(b.When), b.Until, yamlText(b.Reason), yamlText(cmp.Or(b.Owner, q.session.who.Name)))
	var t api.RuleText
	if err := q.get("/v1/rules/"+url.PathEscape(b.RuleID)+"/text", nil, &t); err != nil {
		return err
	}
	b.Patch = patch(b.RuleID, t.Text, withEntry(t.Text, "exceptions", "- "+b.Exception+"\n"))
	return nil
}

// withEntry adds an entry to a list of a rule, which is made if the text does not have it.
func withEntry(text, list, entry string) string {
	lines := strings.SplitAfter(text, "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.TrimRight(l, " \r\n") == list+":" })
	if at < 0 {
		return strings.TrimSuffix(text, "\n") + "\n" + list + ":\n" + indented(entry, "  ")
	}
	indent := "  "
	if at+1 < len(lines) {
		indent = lines[at+1][:len(lines[at+1])-len(strings.TrimLeft(lines[at+1], " "))]
	}
	return strings.Join(lines[:at+1], "") + indented(entry, indent) + strings.Join(lines[at+1:], "")
}
