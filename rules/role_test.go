package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules"
)

// TestRolesOfParts checks the roles that the parts of an absence and of a flow become, and the defaults of these clauses.
func TestRolesOfParts(t *testing.T) {
	f := func(clause, want string, check func(r *rules.Rule) bool) {
		t.Helper()
		r := load(t, "id: x\ntitle: x\nseverity: low\n"+clause).Rules[0]
		var roles []string
		for _, role := range r.Roles {
			text := fmt.Sprintf("%s %d %s", role.Name, role.Order, role.Key[0].Name)
			if role.Excepted {
				text += " excepted"
			}
			if role.Optional {
				text += " optional"
			}
			roles = append(roles, text+": "+strings.ReplaceAll(role.Cond.Text(), "\n", ""))
		}
		if got := strings.Join(roles, "; "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if !check(r) {
			t.Errorf("%s: got %+v %+v, lookback %s", clause, r.Absence, r.Flow, r.Lookback())
		}
	}
	const event, a, b = `event.class == "tool"`, `event.action == "a"`, `event.action == "b"`
	f("when: '"+event+"'\nabsence: {expect: {when: '"+b+"', by: user.id}, after: {when: '"+a+"'}, within: 5m, by: [session.id]}\n",
		"after 1 session.id: ("+event+") && ("+a+"); expect 2 user.id excepted: ("+event+") && ("+b+")",
		func(r *rules.Rule) bool {
			return *r.Absence == rules.Absence{Form: rules.AbsenceExpect, Within: 5 * time.Minute} && r.Lookback() == 5*time.Minute
		})
	f("absence: {act: {when: '"+a+"'}, without: {when: '"+b+"'}, within: 5m, by: [session.id]}\n",
		"without 1 session.id excepted: "+b+"; act 2 session.id: "+a,
		func(r *rules.Rule) bool {
			return *r.Absence == rules.Absence{Form: rules.AbsenceWithout, Within: 5 * time.Minute, Slack: 30 * time.Second} &&
				r.Lookback() == 330*time.Second
		})
	f("when: '"+event+"'\nabsence: {silent: {for: 2h}, by: [session.id]}\n", " 0 session.id: "+event,
		func(r *rules.Rule) bool {
			return *r.Absence == rules.Absence{Form: rules.AbsenceSilent, For: 2 * time.Hour} && r.Lookback() == 2*time.Hour
		})
	f("flow: {labels: {q: '"+b+"', p: '"+a+"'}, within: 1h, by: [session.id], clear: {when: '"+event+"', by: user.id}}\n",
		"p 1 session.id: "+a+"; q 1 session.id: "+b+"; clear 0 user.id excepted: "+event,
		func(r *rules.Rule) bool {
			return *r.Flow == rules.Flow{Labels: 2, Need: 2, Within: time.Hour, Clear: true} && r.Lookback() == time.Hour
		})
	f("flow: {labels: {p: '"+a+"', q: '"+b+"'}, order: [q, p], within: 1h, by: [session.id]}\n",
		"q 1 session.id: "+b+"; p 2 session.id: "+a,
		func(r *rules.Rule) bool {
			return *r.Flow == rules.Flow{Labels: 2, Need: 2, Ordered: true, Within: time.Hour}
		})
	f("flow: {labels: {p: '"+a+"', q: '"+b+"', z: '"+event+"'}, need: 2, within: 1h, by: [session.id]}\n",
		"p 1 session.id optional: "+a+"; q 1 session.id optional: "+b+"; z 1 session.id optional: "+event,
		func(r *rules.Rule) bool { return *r.Flow == rules.Flow{Labels: 3, Need: 2, Within: time.Hour} })
}
