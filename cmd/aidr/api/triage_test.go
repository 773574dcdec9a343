package api

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/engine/triage"
	"github.com/aidr-engine/aidr/schema"
)

// TestTriageOverTheAPI triages findings with a token, and looks for them.
func TestTriageOverTheAPI(t *testing.T) {
	s := memory(t)
	r := serveRemote(t, Handler(s, running(s)), &access.Guard{}, nil)
	analyst := r.token("ann", "", access.Read, access.Triage)
	id := finding(1).ID.String()
	f := func(path, body string, code int, want string) {
		t.Helper()
		if got, answer := r.send(analyst, "POST", path, body); got != code || !strings.Contains(answer, want) {
			t.Errorf("%s %s: %d %s, want %d %s", path, body, got, answer, code, want)
		}
	}
	n := func(query string, want int) {
		t.Helper()
		if _, body := r.send(analyst, "GET", "/v1/findings?"+query, ""); strings.Count(body, "\n") != want {
			t.Errorf("%s: %d lines, want %d: %s", query, strings.Count(body, "\n"), want, body)
		}
	}
	n("triage=new", 10)
	f("/v1/findings/"+id+"/triage", `{"action":"ack","note":"mine"}`, 200, `"status":"acknowledged"`)
	f("/v1/findings/"+id+"/triage", `{"action":"close","verdict":"benign","version":1}`, 200, `"by":"token:ann"`)
	f("/v1/findings/"+id+"/triage", `{"action":"close","verdict":"test","version":1}`, 409, "somebody else")
	f("/v1/findings/"+id+"/triage", `{"action":"close"}`, 400, "verdict")
	f("/v1/findings/"+id+"/triage", `{"action":"ack","severity":"low"}`, 400, "unknown field")
	f("/v1/findings/1/triage", `{"action":"ack"}`, 400, "")
	f("/v1/findings/00000000-0000-0000-0000-0000000000ff/triage", `{"action":"ack"}`, 404, "not in the local store")
	n("triage=new", 9)
	n("triage=closed", 1)
	n("triage=open", 9)
	n("triage=acknowledged", 0)
	if code, body := r.send(analyst, "GET", "/v1/findings?triage=done", ""); code != 400 || !strings.Contains(body, "open, new") {
		t.Errorf("an unknown triage: %d %s", code, body)
	}
	again := finding(1)
	again.Revision, again.Count = 2, 5
	refill(t, s, again)
	n("triage=open", 10)
	var line FindingLine
	_, body := r.send(analyst, "GET", "/v1/findings/"+id, "")
	if err := json.Unmarshal([]byte(body), &line); err != nil || line.Triage == nil || line.Triage.Again != 5 || line.RuleID != "rule.1" || len(line.Triage.History) != 2 {
		t.Errorf("the finding is %s (%v)", body, err)
	}
	f("/v1/snoozes", `{"rule":"rule.1","for":"4h","reason":"rollout"}`, 200, `"rule":"rule.1"`)
	f("/v1/snoozes", `{"rule":"rule.1","reason":"rollout"}`, 400, "a snooze has an end")
	f("/v1/snoozes", `{"rule":"rule.1","for":"31d","reason":"rollout"}`, 400, "at most 30 days")
	f("/v1/snoozes", `{"for":"1h","reason":"rollout"}`, 400, "everything")
	_, body = r.send(analyst, "GET", "/v1/snoozes", "")
	var z triage.Snooze
	if err := json.Unmarshal([]byte(body), &z); err != nil || z.ID == "" || z.By != "token:ann" {
		t.Fatalf("snoozes: %s", body)
	}
	f("/v1/snoozes/"+z.ID+"/wake", `{"reason":"over"}`, 200, `"ended_by":"token:ann"`)
	f("/v1/snoozes/"+z.ID+"/wake", `{"reason":"over"}`, 404, "")
	if report, err := s.VerifyAudit(); err != nil || report.Broken != 0 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestAuditOverTheAPI lists and verifies the audit.
func TestAuditOverTheAPI(t *testing.T) {
	s := memory(t)
	r := serveRemote(t, Handler(s, running(s)), &access.Guard{}, nil)
	boss := r.token("boss", "", access.All()...)
	limited := r.token("acme", "acme", access.Read)
	r.send(boss, "POST", "/v1/sinks/soc/enable", "")
	r.send(boss, "DELETE", "/v1/dead-letters/1?reason=old", "")
	r.send("", "GET", "/v1/status", "")
	n := func(secret, query string, want int) {
		t.Helper()
		if _, body := r.send(secret, "GET", "/v1/audit?"+query, ""); strings.Count(body, "\n") != want {
			t.Errorf("%s: %d lines, want %d: %s", query, strings.Count(body, "\n"), want, body)
		}
	}
	n(boss, "", 5)
	n(boss, "class=token", 2)
	n(boss, "class=delivery&who=token:boss", 2)
	n(boss, "action=refused", 1)
	n(boss, "limit=2", 2)
	n(boss, "after=4", 1)
	n(boss, "since=1h", 5)
	n(boss, "until=1h", 0)
	n(limited, "", 1) // the token of the tenant
	if _, body := r.send(boss, "GET", "/v1/audit?action=dead-letter.drop", ""); !strings.Contains(body, `"object":"1"`) || !strings.Contains(body, `"reason":"old"`) {
		t.Errorf("drop: %s", body)
	}
	for _, bad := range []string{"limit=x", "since=x", "after=-1"} {
		if code, _ := r.send(boss, "GET", "/v1/audit?"+bad, ""); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
	head := s.AuditHead()
	known := url.QueryEscape(fmt.Sprintf("%d:%s", head.Seq, head.Hash))
	if code, body := r.send(boss, "GET", "/v1/audit/verify?known="+known, ""); code != 200 || strings.Contains(body, "broken") {
		t.Errorf("verify: %d %s", code, body)
	}
	other := strings.Repeat("0", 64)
	if code, body := r.send(boss, "GET", fmt.Sprintf("/v1/audit/verify?known=2:%s", other), ""); code != 200 || !strings.Contains(body, `"broken":2`) {
		t.Errorf("verify with another head: %d %s", code, body)
	}
	if code, _ := r.send(boss, "GET", "/v1/audit/verify?known=x", ""); code != 400 {
		t.Errorf("verify with a bad head: %d", code)
	}
}

// refill commits another revision of a finding.
func refill(t *testing.T, s *store.Store, f *schema.Finding) {
	t.Helper()
	seq, state, _, err := s.Last()
	if err == nil {
		err = s.Commit(&store.Checkpoint{Seq: seq + 1, State: state, Outbox: entriesOf(f)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func entriesOf(f *schema.Finding) []connectors.Entry {
	return []connectors.Entry{{Type: connectors.EntryTypeOf(f), Finding: f}}
}
