package api

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// CallbackPath is the beginning of the paths of call-backs on control.listen. They authenticate by their own signatures.
const CallbackPath = "/callback/"

const (
	// maxCallback is the maximum size of the body of a call-back, in bytes. A payload of Slack holds the whole message.
	maxCallback = 256 << 10
	// pagerDutyLife is how long after its event a webhook of PagerDuty is accepted: it is repeated for up to two days.
	pagerDutyLife = 72 * time.Hour
)

// Callbacks configures the call-backs. A part without its secret answers 404.
type Callbacks struct {
	Slack          string   // signing secret of the app
	SlackApprovers []string // ids of the users that may approve containments
	PagerDuty      []string // secrets of the webhook subscription
	// Resolved is the verdict of a finding whose incident is resolved in PagerDuty; "" means that it is only noted, because a
	// verdict is for a person to give.
	Resolved schema.TriageVerdict
}

// Callbacks returns the handler of call-backs, which are outside of the other requests: they carry no token.
func (a *API) Callbacks(c Callbacks) http.Handler {
	x := &callbacks{h: a.h, Callbacks: c}
	m := http.NewServeMux()
	m.HandleFunc("GET "+CallbackPath+"{link}", x.page)
	m.HandleFunc("POST "+CallbackPath+"{link}", x.confirm)
	m.HandleFunc("POST "+CallbackPath+"slack", x.slack)
	m.HandleFunc("POST "+CallbackPath+"pagerduty", x.pagerDuty)
	return http.MaxBytesHandler(m, maxCallback)
}

type callbacks struct {
	h *handler
	Callbacks
}

// links returns the links of the store.
func (h *handler) links() (*access.Links, error) {
	key, err := h.store.Secret()
	if err != nil {
		return nil, err
	}
	return access.NewLinks(key), nil
}

// Links returns the links of the store.
func (a *API) Links() (*access.Links, error) { return a.h.links() }

// refuse answers a call-back that is refused, and audits it under its kind: the path is a secret.
func (x *callbacks) refuse(w http.ResponseWriter, r *http.Request, kind string, code int, err error) {
	shown := r.Clone(r.Context())
	shown.URL = &url.URL{Path: CallbackPath + kind}
	x.h.refused(shown, access.Caller{Name: kind}, "callback", err)
	secureHeaders(w)
	http.Error(w, err.Error(), code)
}

func secureHeaders(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.Set("Referrer-Policy", "same-origin") // no-referrer would take the Origin from the form
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
}

// confirmPage asks for a confirmation: opening a link changes nothing, because mail and chat programs open links too.
var confirmPage = template.Must(template.New("confirm").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>AIDR</title>
<style>body{font:16px sans-serif;max-width:40em;margin:3em auto;padding:0 1em}dt{color:#666}dd{margin:0 0 .6em}button,select,input{font:inherit;padding:.4em .8em}</style>
</head><body><h1>{{.Title}}</h1>
{{if .Done}}<p>Done.</p>{{else}}<dl>{{range .Facts}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>
<form method="post">
{{if .Verdicts}}<p><label>Verdict <select name="verdict" required><option value=""></option>{{range .Verdicts}}<option>{{.}}</option>{{end}}</select></label></p>{{end}}
<p><label>Your name and a note <input name="note" maxlength="400" size="40"></label></p>
<p><button>{{.Button}}</button></p></form>{{end}}
</body></html>
`))

type callbackFact struct{ Name, Value string }

type callbackPage struct {
	Title, Button string
	Facts         []callbackFact
	Verdicts      []schema.TriageVerdict
	Done          bool
}

// link returns the link of a request. If it is not valid, it answers the request; ok is then false.
func (x *callbacks) link(w http.ResponseWriter, r *http.Request) (l access.Link, ok bool) {
	links, err := x.h.links()
	if err == nil {
		l, err = links.Parse(r.PathValue("link"), schema.InstantOf(x.h.now()))
	}
	if err != nil {
		x.refuse(w, r, "link", http.StatusNotFound, err)
	}
	return l, err == nil
}

// pageOf describes what a link does.
func (x *callbacks) pageOf(l access.Link) (p callbackPage, err error) {
	if l.Action == access.LinkApprove {
		table, _, err := x.h.containmentTable()
		if err != nil {
			return p, err
		}
		r, ok, err := table.Response(l.ID)
		if err != nil || !ok {
			return p, errors.Join(err, contain.ErrNotFound)
		}
		return callbackPage{Title: "Approve a containment", Button: "Approve", Facts: []callbackFact{
			{"Containment", fmt.Sprintf("%s of %s %s (%s)", r.State, r.Scope, cmp.Or(r.Target.Agent, r.Target.Credential, r.Target.Session, r.Target.Server), r.Mode)},
			{"Status", string(r.Status)}, {"Reason", r.Reason}, {"Why a person is asked", r.Why}, {"Rule", r.RuleID},
		}}, nil
	}
	f, ok, err := x.h.store.Finding(l.ID)
	if err != nil || !ok {
		return p, errors.Join(err, triage.ErrNotFound)
	}
	p = callbackPage{Title: "Acknowledge a finding", Button: "Acknowledge", Facts: []callbackFact{
		{"Finding", f.Title}, {"Summary", f.Summary}, {"Severity", string(f.Severity)}, {"Agent", cmp.Or(f.AgentName, f.AgentUID)}, {"Rule", f.RuleID},
		{"Last seen", f.LastSeen.String()},
	}}
	if l.Action == access.LinkClose {
		p.Title, p.Button, p.Verdicts = "Close a finding", "Close", schema.TriageVerdicts()
	}
	return p, nil
}

// page shows what a link does, and asks for a confirmation.
func (x *callbacks) page(w http.ResponseWriter, r *http.Request) {
	l, ok := x.link(w, r)
	if !ok {
		return
	}
	p, err := x.pageOf(l)
	if err != nil {
		x.refuse(w, r, "link", http.StatusNotFound, err)
		return
	}
	secureHeaders(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	confirmPage.Execute(w, p) // an error means that the client has disconnected
}

// confirm does what a link is for, once.
func (x *callbacks) confirm(w http.ResponseWriter, r *http.Request) {
	l, ok := x.link(w, r)
	if !ok {
		return
	}
	if err := r.ParseForm(); err != nil {
		x.refuse(w, r, "link", http.StatusBadRequest, errors.New("the form cannot be read"))
		return
	}
	note := schema.Truncate(plainText(strings.TrimSpace(r.PostForm.Get("note"))), 400)
	var err error
	switch l.Action {
	case access.LinkApprove:
		err = x.approve(r, l.ID, "link", cmp.Or(note, "by a signed link"))
	default:
		request := triage.Request{Action: triage.Acknowledge, Note: note}
		if l.Action == access.LinkClose {
			request.Action, request.Verdict = triage.Close, schema.TriageVerdict(r.PostForm.Get("verdict"))
		}
		once := store.Once{Text: "link:" + r.PathValue("link"), Until: l.Expires}
		err = x.triage(l.ID, request, triage.Actor{Name: "link", Once: []store.Once{once}})
	}
	if err != nil {
		x.refuse(w, r, "link", callbackFailure(err), err)
		return
	}
	secureHeaders(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p, _ := x.pageOf(l)
	p.Done = true
	confirmPage.Execute(w, p)
}

func callbackFailure(err error) int {
	if errors.Is(err, store.ErrUsed) {
		return http.StatusConflict
	}
	if code := triageFailure(err); code != http.StatusBadRequest {
		return code
	}
	return failureCode(err)
}

func (x *callbacks) triage(id schema.ID, r triage.Request, who triage.Actor) error {
	table, err := x.h.triageTable()
	if err != nil {
		return err
	}
	_, err = table.Change(id, r, who)
	return err
}

// approve lets a proposal become a containment, durably. A proposal is decided once, so a replay changes nothing.
func (x *callbacks) approve(r *http.Request, id schema.ID, who, reason string) error {
	table, commit, err := x.h.containmentTable()
	if err != nil {
		return err
	}
	rec, ok, err := table.Response(id)
	if err != nil || !ok || rec.Status != schema.ContainmentProposed {
		return errors.Join(err, fmt.Errorf("proposal %s: %w", id, contain.ErrNotFound))
	}
	if _, _, err := table.Approve(id, contain.Actor{Name: who}, schema.Truncate(reason, schema.MaxReason)); err != nil {
		return err
	}
	return x.h.durable(r.Context(), commit)
}

// slack handles the buttons of a message in Slack.
func (x *callbacks) slack(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	switch {
	case x.Slack == "":
		x.refuse(w, r, "slack", http.StatusNotFound, errors.New("there is no call-back for Slack: set control.slack"))
		return
	case err != nil:
		x.refuse(w, r, "slack", http.StatusRequestEntityTooLarge, errors.New("the body is too large"))
		return
	}
	now := x.h.now()
	replay, err := access.VerifySlack(x.Slack, r.Header, body, now)
	if err != nil {
		x.refuse(w, r, "slack", http.StatusUnauthorized, err)
		return
	}
	form, err := url.ParseQuery(string(body))
	var p slackPayload
	if err == nil {
		err = json.Unmarshal([]byte(form.Get("payload")), &p)
	}
	if err == nil && (p.Type != "block_actions" || len(p.Actions) != 1) {
		err = errors.New("the payload is not one action of a block")
	}
	if err == nil {
		once := store.Once{Text: replay, Until: schema.InstantOf(now.Add(time.Hour))}
		err = x.slackAction(r, &p, once)
	}
	if err != nil {
		code := callbackFailure(err)
		x.refuse(w, r, "slack", code, err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// slackPayload is the part of an interaction of Slack that counts.
type slackPayload struct {
	Type string `json:"type"`
	User struct {
		ID   string `json:"id"`
		Name string `json:"username"`
	} `json:"user"`
	Actions []struct {
		ID       string `json:"action_id"`
		Value    string `json:"value"`
		Selected struct {
			Value string `json:"value"`
		} `json:"selected_option"`
	} `json:"actions"`
}

// slackAction does what a person chose: aidr.ack with the id of a finding, aidr.close with the id and the verdict, aidr.approve
// with the id of a proposal.
func (x *callbacks) slackAction(r *http.Request, p *slackPayload, once store.Once) error {
	a := &p.Actions[0]
	text, verdict, _ := strings.Cut(cmp.Or(a.Selected.Value, a.Value), ":")
	if strings.HasPrefix(a.ID, "aidr.open") {
		return nil // a button that opens a page
	}
	id, err := schema.ParseID(text)
	if err != nil {
		return errors.New("the action names no finding")
	}
	who := "slack:" + schema.Truncate(plainText(p.User.ID), 64)
	actor := triage.Actor{Name: who, Once: []store.Once{once}}
	switch a.ID {
	case "aidr.ack":
		return x.triage(id, triage.Request{Action: triage.Acknowledge}, actor)
	case "aidr.close":
		return x.triage(id, triage.Request{Action: triage.Close, Verdict: schema.TriageVerdict(verdict)}, actor)
	case "aidr.approve":
		if !slices.Contains(x.SlackApprovers, p.User.ID) {
			return refusal{http.StatusForbidden, fmt.Errorf("%s may not approve containments: list the user in control.slack.approvers", who)}
		}
		if err := x.h.store.Apply(&store.Change{Once: actor.Once}); err != nil {
			return err
		}
		return x.approve(r, id, who, "approved in Slack")
	}
	return fmt.Errorf("the action %q is not one of AIDR", schema.Truncate(plainText(a.ID), 64))
}

// pagerDuty handles a v3 webhook: incidents that are acknowledged, assigned or resolved there are so here.
func (x *callbacks) pagerDuty(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	switch {
	case len(x.PagerDuty) == 0:
		x.refuse(w, r, "pagerduty", http.StatusNotFound, errors.New("there is no call-back for PagerDuty: set control.pagerduty"))
		return
	case err != nil:
		x.refuse(w, r, "pagerduty", http.StatusRequestEntityTooLarge, errors.New("the body is too large"))
		return
	}
	if err := access.VerifyPagerDuty(x.PagerDuty, r.Header, body); err != nil {
		x.refuse(w, r, "pagerduty", http.StatusUnauthorized, err)
		return
	}
	var p pagerDutyEvent
	if err := json.Unmarshal(body, &p); err != nil || p.Event.ID == "" {
		x.refuse(w, r, "pagerduty", http.StatusBadRequest, errors.New("the body is not a v3 webhook"))
		return
	}
	if err := x.incident(&p); err != nil {
		if errors.Is(err, triage.ErrNotFound) { // of another source, or swept: PagerDuty should not repeat it
			w.WriteHeader(http.StatusAccepted)
			return
		}
		x.refuse(w, r, "pagerduty", callbackFailure(err), err)
		return
	}
	w.WriteHeader(http.StatusOK)
}

// pagerDutyEvent is the part of a v3 webhook that counts.
type pagerDutyEvent struct {
	Event struct {
		ID       string    `json:"id"`
		Type     string    `json:"event_type"`
		Occurred time.Time `json:"occurred_at"`
		Agent    struct {
			ID      string `json:"id"`
			Summary string `json:"summary"`
		} `json:"agent"`
		Data struct {
			Key       string `json:"incident_key"` // the dedup_key: the id of the finding
			Assignees []struct {
				Summary string `json:"summary"`
			} `json:"assignees"`
		} `json:"data"`
	} `json:"event"`
}

func (x *callbacks) incident(p *pagerDutyEvent) error {
	e := &p.Event
	now := x.h.now()
	if e.Occurred.Before(now.Add(-pagerDutyLife)) || e.Occurred.After(now.Add(time.Hour)) {
		return errors.New("the event is too old: it may be a replay")
	}
	var r triage.Request
	by := schema.Truncate(plainText(cmp.Or(e.Agent.Summary, e.Agent.ID)), 100)
	switch e.Type {
	case "incident.acknowledged":
		r = triage.Request{Action: triage.Acknowledge, Note: "acknowledged in PagerDuty by " + cmp.Or(by, "somebody")}
	case "incident.reassigned", "incident.delegated":
		if len(e.Data.Assignees) == 0 {
			return nil
		}
		r = triage.Request{Action: triage.Assign, Owner: schema.Truncate(plainText(e.Data.Assignees[0].Summary), schema.MaxTriageOwner)}
	case "incident.resolved":
		r = triage.Request{Action: triage.Note, Note: "resolved in PagerDuty by " + cmp.Or(by, "somebody")}
		if x.Resolved != "" {
			r.Action, r.Verdict = triage.Close, x.Resolved
		}
	case "incident.reopened", "incident.unacknowledged":
		r = triage.Request{Action: triage.Reopen}
	default:
		return nil // pagey.ping, and what triage does not know
	}
	id, err := schema.ParseID(e.Data.Key)
	if err != nil {
		return triage.ErrNotFound
	}
	once := store.Once{Text: "pagerduty:" + e.ID, Until: schema.InstantOf(e.Occurred.Add(pagerDutyLife + time.Hour))}
	return x.triage(id, r, triage.Actor{Name: "pagerduty:" + schema.Truncate(plainText(cmp.Or(e.Agent.ID, "unknown")), 64), Once: []store.Once{once}})
}
