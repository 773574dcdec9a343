package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine/clock"
	"github.com/aidr-engine/aidr/engine/contain"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// callbackBench is a control API with call-backs and one finding.
type callbackBench struct {
	*controlBench
	http.Handler
	links *access.Links
	id    schema.ID
}

const (
	slackSecret = "8f742231b10e8888abcd99yyyzzz85a5" // of the example in Slack's documentation
	pagerSecret = "pd-secret"
)

func newCallbacks(t *testing.T) *callbackBench {
	t.Helper()
	b := &callbackBench{controlBench: newControl(t), id: finding(1).ID}
	refill(t, b.store, finding(1))
	table, err := triage.Open(b.store, clock.Clock{Now: func() time.Time { return b.now }}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a := b.controlBench.Handler.(*API)
	a.h.rt.Triage = func() (*triage.Table, error) { return table, nil }
	if b.links, err = a.Links(); err != nil {
		t.Fatal(err)
	}
	b.Handler = a.Callbacks(Callbacks{Slack: slackSecret, SlackApprovers: []string{"UBOSS"}, PagerDuty: []string{"old", pagerSecret}})
	return b
}

func (b *callbackBench) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.Handler.ServeHTTP(w, r) }

// ask sends a request and returns the status and the body.
func (b *callbackBench) ask(method, path, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if method == "POST" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// status returns the triage of the finding on one line.
func (b *callbackBench) status() string {
	b.t.Helper()
	v, err := b.store.Triage(b.id)
	if err != nil {
		b.t.Fatal(err)
	}
	if v == nil {
		return "none"
	}
	var x schema.Triage
	if err := json.Unmarshal(v, &x); err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s %s by %s %s", x.Version, x.Status, x.Verdict, x.By, x.Owner))
}

// refusals returns the number of refused requests in the audit, and fails if one shows a link.
func (b *callbackBench) refusals(link string) (n int) {
	for _, a := range b.audit() {
		if a.Action == actionRefused {
			n++
		}
		if line, _ := json.Marshal(a); link != "" && strings.Contains(string(line), link) {
			b.t.Errorf("the audit shows the link: %s", line)
		}
	}
	return n
}

func TestSignedLinks(t *testing.T) {
	b := newCallbacks(t)
	until := schema.InstantOf(b.now.Add(24 * time.Hour))
	closing := b.links.Sign(access.Link{Action: access.LinkClose, ID: b.id, Expires: until})
	if closing != b.links.Sign(access.Link{Action: access.LinkClose, ID: b.id, Expires: until}) {
		t.Error("the same link has two texts")
	}
	code, page := b.ask("GET", "/callback/"+closing, "")
	if code != 200 || !strings.Contains(page, `<form method="post">`) || !strings.Contains(page, "false_positive") || !strings.Contains(page, "rule.1") {
		t.Errorf("page: %d %s", code, page)
	}
	for range 3 { // chats and scanners open links
		b.ask("GET", "/callback/"+closing, "")
	}
	if got := b.status(); got != "none" {
		t.Errorf("opening a link changed the triage: %s", got)
	}
	if code, body := b.ask("POST", "/callback/"+closing, "note=ann"); code != 400 {
		t.Errorf("without a verdict: %d %s", code, body)
	}
	if code, body := b.ask("POST", "/callback/"+closing, "verdict=benign&note=ann"); code != 200 || !strings.Contains(body, "Done") {
		t.Errorf("close: %d %s", code, body)
	}
	if got := b.status(); got != "1 closed benign by link" {
		t.Errorf("after the link: %s", got)
	}
	table, _ := b.controlBench.Handler.(*API).h.triageTable()
	if _, err := table.Change(b.id, triage.Request{Action: triage.Reopen}, triage.Actor{Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	before := b.status()
	refused := b.refusals("")
	ack := b.links.Sign(access.Link{Action: access.LinkAcknowledge, ID: b.id, Expires: until})
	other := access.NewLinks([]byte(strings.Repeat("x", 32)))
	bad := map[string]string{
		"a replay": closing, "another action": "AQE" + closing[3:], "cut": closing[:len(closing)-1], "longer": closing + "A",
		"another key":                           other.Sign(access.Link{Action: access.LinkAcknowledge, ID: b.id, Expires: until}),
		"expired":                               b.links.Sign(access.Link{Action: access.LinkAcknowledge, ID: b.id, Expires: schema.InstantOf(b.now)}),
		"no action":                             b.links.Sign(access.Link{Action: 9, ID: b.id, Expires: until}),
		"no finding":                            b.links.Sign(access.Link{Action: access.LinkAcknowledge, ID: schema.ID{99}, Expires: until}),
		"the id of a finding for a containment": b.links.Sign(access.Link{Action: access.LinkApprove, ID: b.id, Expires: until}),
		"not base64":                            "%2e%2e",
	}
	for name, link := range bad {
		b.now = b.now.Add(time.Second)
		if code, body := b.ask("POST", "/callback/"+link, "verdict=test"); code < 400 || code >= 500 {
			t.Errorf("%s: %d %s", name, code, body)
		}
		if got := b.status(); got != before {
			t.Errorf("%s changed the triage: %s, was %s", name, got, before)
		}
	}
	if n := b.refusals(closing); n != refused+len(bad) {
		t.Errorf("%d refused call-backs are in the audit, want %d", n-refused, len(bad))
	}
	if code, body := b.ask("POST", "/callback/"+ack, "note=bob"); code != 200 {
		t.Errorf("acknowledge: %d %s", code, body)
	}
	if got := b.status(); got != "3 acknowledged  by link" {
		t.Errorf("after the link: %s", got)
	}
}

// proposal makes automation ask a person, because it has contained as many agents as it may.
func (b *callbackBench) proposal(agent string) schema.ID {
	b.t.Helper()
	b.table.SetPolicy(contain.Policy{MaxContained: 1})
	for i, name := range []string{"first-" + agent, agent} {
		b.table.Trigger(contain.Trigger{
			RuleID: "r", FindingID: schema.ID{50, byte(i), 2: agent[0]}, Scope: schema.ScopeAgent, Target: schema.Target{Agent: name},
			State: schema.StateDeny, Mode: schema.ModeEnforce, TTL: time.Hour, Reason: "r", Event: schema.InstantOf(b.now),
		})
	}
	for _, r := range b.table.List().Responses {
		if r.Status == schema.ContainmentProposed && r.Target.Agent == agent {
			return r.ID
		}
	}
	b.t.Fatalf("nothing is proposed: %+v", b.table.List().Responses)
	return schema.ID{}
}

// TestApproveByLink approves a proposal by a signed link and by Slack: once, and only by an approver. No link releases.
func TestApproveByLink(t *testing.T) {
	b := newCallbacks(t)
	status := func(id schema.ID) schema.ContainmentStatus {
		r, _, err := b.table.Response(id)
		if err != nil {
			t.Fatal(err)
		}
		return r.Status
	}
	id := b.proposal("x")
	link := b.links.Sign(access.Link{Action: access.LinkApprove, ID: id, Expires: schema.InstantOf(b.now.Add(time.Hour))})
	if code, page := b.ask("GET", "/callback/"+link, ""); code != 200 || !strings.Contains(page, "deny of agent x") || status(id) != schema.ContainmentProposed {
		t.Errorf("page: %d %s", code, page)
	}
	if code, body := b.ask("POST", "/callback/"+link, "note=ann"); code != 200 || status(id) != schema.ContainmentActive {
		t.Errorf("approve: %d %s", code, body)
	}
	if code, body := b.ask("POST", "/callback/"+link, ""); code != 404 {
		t.Errorf("a replay: %d %s", code, body)
	}
	if _, err := b.table.Release(id, contain.Actor{Name: "ann"}, "r"); err != nil {
		t.Fatal(err)
	}
	if code, _ := b.ask("POST", "/callback/"+link, ""); code != 404 || status(id) != schema.ContainmentReleased {
		t.Errorf("a replay after the release: %d, %s", code, status(id))
	}
	second := b.proposal("y")
	send := func(user string) int {
		text := fmt.Sprintf(`{"type":"block_actions","user":{"id":%q},"actions":[{"action_id":"aidr.approve","value":%q}]}`, user, second)
		body := "payload=" + url.QueryEscape(text)
		stamp := fmt.Sprint(b.now.Unix())
		mac := hmac.New(sha256.New, []byte(slackSecret))
		fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
		code, _ := b.ask("POST", "/callback/slack", body, "X-Slack-Request-Timestamp", stamp, "X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
		return code
	}
	if code := send("UANN"); code != 403 || status(second) != schema.ContainmentProposed {
		t.Errorf("somebody approves: %d, %s", code, status(second))
	}
	if code := send("UBOSS"); code != 200 || status(second) != schema.ContainmentActive {
		t.Errorf("an approver approves: %d, %s", code, status(second))
	}
	if code := send("UBOSS"); code != 409 {
		t.Errorf("a replay: %d", code)
	}
}

// TestSlackCallbacks checks Slack's signature, and that replays and people without the right change nothing.
func TestSlackCallbacks(t *testing.T) {
	b := newCallbacks(t)
	sign := func(secret, body string, at time.Time) []string {
		stamp := fmt.Sprint(at.Unix())
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "v0:%s:%s", stamp, body)
		return []string{"X-Slack-Request-Timestamp", stamp, "X-Slack-Signature", "v0=" + hex.EncodeToString(mac.Sum(nil))}
	}
	payload := func(user, action, value string) string {
		text := fmt.Sprintf(`{"type":"block_actions","user":{"id":%q,"username":"ann"},"actions":[{"action_id":%q,"value":%q}]}`, user, action, value)
		return "payload=" + url.QueryEscape(text)
	}
	f := func(name, body string, headers []string, code int, want string) {
		t.Helper()
		if got, answer := b.ask("POST", "/callback/slack", body, headers...); got != code {
			t.Errorf("%s: %d %s, want %d", name, got, answer, code)
		}
		if got := b.status(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	ack := payload("UANN", "aidr.ack", b.id.String())
	f("another secret", ack, sign("other", ack, b.now), 401, "none")
	f("no signature", ack, nil, 401, "none")
	f("another body", ack+"x", sign(slackSecret, ack, b.now), 401, "none")
	f("an old request", ack, sign(slackSecret, ack, b.now.Add(-6*time.Minute)), 401, "none")
	f("from the future", ack, sign(slackSecret, ack, b.now.Add(6*time.Minute)), 401, "none")
	unknown := payload("UANN", "aidr.release", b.id.String())
	f("an unknown action", unknown, sign(slackSecret, unknown, b.now), 400, "none")
	f("not a payload", "x=y", sign(slackSecret, "x=y", b.now), 400, "none")
	f("acknowledge", ack, sign(slackSecret, ack, b.now), 200, "1 acknowledged  by slack:UANN")
	closing := payload("UANN", "aidr.close", b.id.String()+":benign")
	f("close", closing, sign(slackSecret, closing, b.now), 200, "2 closed benign by slack:UANN")
	f("a replay", ack, sign(slackSecret, ack, b.now), 409, "2 closed benign by slack:UANN")
	opened := payload("UANN", "aidr.open", "")
	f("a button that opens a page", opened, sign(slackSecret, opened, b.now), 200, "2 closed benign by slack:UANN")
}

// TestPagerDutyCallbacks checks the signature of v3 webhooks, and that replays change nothing.
func TestPagerDutyCallbacks(t *testing.T) {
	b := newCallbacks(t)
	event := func(id, kind string, at time.Time, key string) string {
		return fmt.Sprintf(`{"event":{"id":%q,"event_type":%q,"occurred_at":%q,"agent":{"id":"PANN","summary":"Ann"},"data":{"type":"incident","incident_key":%q,"assignees":[{"summary":"Bob"}]}}}`,
			id, kind, at.Format(time.RFC3339), key)
	}
	sign := func(secret, body string) []string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(body))
		return []string{"X-PagerDuty-Signature", "v1=00,v1=" + hex.EncodeToString(mac.Sum(nil))}
	}
	f := func(name, body string, headers []string, code int, want string) {
		t.Helper()
		if got, answer := b.ask("POST", "/callback/pagerduty", body, headers...); got != code {
			t.Errorf("%s: %d %s, want %d", name, got, answer, code)
		}
		if got := b.status(); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	key := b.id.String()
	ack := event("1", "incident.acknowledged", b.now, key)
	f("another secret", ack, sign("other", ack), 401, "none")
	f("no signature", ack, nil, 401, "none")
	f("another body", ack+" ", sign(pagerSecret, ack), 401, "none")
	old := event("2", "incident.acknowledged", b.now.Add(-80*time.Hour), key)
	f("an old event", old, sign(pagerSecret, old), 400, "none")
	ping := event("3", "pagey.ping", b.now, "")
	f("a ping", ping, sign(pagerSecret, ping), 200, "none")
	foreign := event("4", "incident.acknowledged", b.now, "another source")
	f("an incident of another source", foreign, sign(pagerSecret, foreign), 202, "none")
	f("acknowledge", ack, sign(pagerSecret, ack), 200, "1 acknowledged  by pagerduty:PANN")
	assign := event("5", "incident.reassigned", b.now, key)
	f("assign", assign, sign("old", assign), 200, "2 acknowledged  by pagerduty:PANN Bob")
	resolved := event("6", "incident.resolved", b.now, key)
	f("resolve", resolved, sign(pagerSecret, resolved), 200, "3 acknowledged  by pagerduty:PANN Bob") // a note: the verdict is for a person
	f("a replay", ack, sign(pagerSecret, ack), 409, "3 acknowledged  by pagerduty:PANN Bob")
	f("not JSON", "{", sign(pagerSecret, "{"), 400, "3 acknowledged  by pagerduty:PANN Bob")
}

// TestSecretOfTheStore checks that links stay valid after a restart, and are not valid at another AIDR.
func TestSecretOfTheStore(t *testing.T) {
	s := memory(t)
	first, err := s.Secret()
	if err != nil || len(first) != 32 {
		t.Fatalf("%x, %v", first, err)
	}
	clone, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer clone.Close()
	if again, err := clone.Secret(); err != nil || string(again) != string(first) {
		t.Errorf("after a restart: %x, %v", again, err)
	}
	if other, err := memory(t).Secret(); err != nil || string(other) == string(first) {
		t.Errorf("two stores have one key: %v", err)
	}
}
