package console

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// changeTriage acknowledges, closes or reopens a finding, in the name of the session's caller.
func (q *request) changeTriage() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	form, id := q.r.PostForm, q.r.PathValue("id")
	b := triage.Request{Action: triage.Action(form.Get("action")), Note: strings.TrimSpace(form.Get("note"))}
	switch b.Action {
	case triage.Acknowledge, triage.Reopen:
	case triage.Close:
		b.Verdict = schema.TriageVerdict(form.Get("verdict"))
	default:
		return badRequest{fmt.Errorf("action: %q is none of ack, close and reopen", schema.Truncate(string(b.Action), 20))}
	}
	if err := q.post("/v1/findings/"+url.PathEscape(id)+"/triage", b, nil); err != nil {
		return badRequest{err}
	}
	return q.redirect(local(cmp.Or(form.Get("next"), "/findings/"+url.PathEscape(id))))
}
