package console

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// maxAlso is the number of findings that one request acknowledges beside that of its address. A row of the queue names fewer.
const maxAlso = 20

// changeTriage acknowledges, closes or reopens a finding, in the name of the session's caller. An acknowledgment may name more
// findings (also), as those of one row of the queue.
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
	ids := append([]string{id}, form["also"]...)
	if len(ids) > 1 && (b.Action != triage.Acknowledge || len(ids) > 1+maxAlso) {
		return badRequest{fmt.Errorf("also: %d further findings: only ack takes them, and at most %d", len(ids)-1, maxAlso)}
	}
	for _, id := range ids {
		if err := q.post("/v1/findings/"+url.PathEscape(id)+"/triage", b, nil); err != nil {
			return badRequest{err}
		}
	}
	return q.redirect(local(cmp.Or(form.Get("next"), "/findings/"+url.PathEscape(id))))
}
