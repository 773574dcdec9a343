package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/schema"
)

const loopRule = `id: t.bad
title: A bad call
severity: high
when: event.action == "bad"
group: {for: 1h, by: [ai_agent.uid]}
tests:
  - {name: bad, events: [{set: {event.class: tool, event.action: bad, ai_agent.uid: a}}], findings: [{count: 1}]}
  - {name: fine, events: [{set: {event.class: tool, event.action: fine, ai_agent.uid: a}}], findings: []}
`

// loop is a running aidr with a receiver of webhooks, the control API and gateways that ask.
type loop struct {
	t                        *testing.T
	dir, logs, state         string
	control, decisions, http string
}

func (l *loop) record(agent, action, more string) {
	l.t.Helper()
	f, err := os.OpenFile(l.logs, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(f, `{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":%q,"ai_agent.uid":%q%s}`+"\n",
			time.Now().UTC().Format(time.RFC3339Nano), action, agent, more)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

// call sends a request with a token and decodes the response into out.
func (l *loop) call(token, method, url, body string, out any) error {
	r, err := http.NewRequestWithContext(l.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %d %s", method, url, resp.StatusCode, b)
	}
	return json.Unmarshal(b, out)
}

func (l *loop) token(name, scope string) string {
	return strings.TrimSpace(mustAidr(l.t, "token", "create", name, "--scope", scope, "--state", l.state))
}

// TestTheWholeLoop is what a new user does: a finding arrives at SOAR, a playbook contains the agent through the API, the
// gateway denies, the logs prove it, an analyst closes the finding with a verdict, and the views of ClickHouse show it.
func TestTheWholeLoop(t *testing.T) {
	tables := host.StartForTest(t, host.Options{Database: "aidr"})
	soar := startReceiver(t)
	dir := t.TempDir()
	l := &loop{
		t: t, dir: dir, logs: filepath.Join(dir, "logs.jsonl"), state: filepath.Join(dir, "state"),
		control: freeAddr(t), decisions: freeAddr(t), http: freeAddr(t),
	}
	writeFile(t, dir, "rule.yaml", loopRule)
	config := writeFile(t, dir, "aidr.yaml", "rules: ["+dir+"/rule.yaml]\nstate: {dir: "+l.state+"}\n"+
		"response: {verify_after: 2s, grace: 1s}\nhttp: {listen: "+l.http+"}\n"+
		"control: {listen: "+l.control+"}\nlinks: {callbacks: \"http://"+l.control+"\"}\n"+
		"decisions: {listen: "+l.decisions+", points: [{name: gateway, token: a-token-of-the-gateway-1}]}\n"+
		"sources: [{name: logs, file: {paths: ["+l.logs+"], follow: true}, format: aidr}]\n"+
		"sinks:\n  clickhouse: {dsn: \""+tables.DSN+"\"}\n"+
		"  webhooks: [{name: soar, url: \""+soar.url+"\", secret: \""+soar.secret+"\", allow_networks: [127.0.0.0/8]}]\n")
	l.record("x", "fine", "")
	p := start(t, "run", "--config", config)
	await(t, time.Minute, "the start", func() error { return isReady(l.http) })
	mustAidr(t, "contain", "--confirm-complete", "--reason", "first start", "--state", l.state)
	playbook, analyst := l.token("playbook", "responder"), l.token("ann", "analyst")

	l.record("a", "bad", "")
	var found schema.Finding
	var links struct{ Links map[string]string }
	await(t, time.Minute, "the finding at SOAR", func() error {
		soar.mu.Lock()
		defer soar.mu.Unlock()
		for id, d := range soar.last {
			if d.Data.RuleID == "t.bad" {
				found = d.Data.Finding
				for _, body := range soar.bodies {
					if strings.Contains(string(body), id.String()) {
						return json.Unmarshal(body, &links)
					}
				}
			}
		}
		return errors.New("none yet")
	})
	if links.Links["acknowledge"] == "" || links.Links["close"] == "" || links.Links["release"] != "" {
		t.Errorf("the delivery has the links %v", links.Links)
	}

	// The playbook contains the agent. The analyst's token may not.
	contain := fmt.Sprintf(`{"scope":"agent","target":{"agent":%q},"ttl":"1h","reason":"playbook 7","finding_id":%q,"key":"pb-7"}`, found.AgentUID, found.ID)
	var response schema.ResponseRecord
	if err := l.call(analyst, "POST", "http://"+l.control+"/v1/containments", contain, &response); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("an analyst contains: %v", err)
	}
	if err := l.call(playbook, "POST", "http://"+l.control+"/v1/containments", contain, &response); err != nil || response.By != "token:playbook" {
		t.Fatalf("contain: %+v, %v", response, err)
	}

	// The gateway asks before a call, and denies it; other agents pass.
	var answer schema.Decision
	ask := func(agent string) schema.Verdict {
		t.Helper()
		answer = schema.Decision{}
		if err := l.call("a-token-of-the-gateway-1", "GET", "http://"+l.decisions+"/v1/decision?agent="+agent, "", &answer); err != nil {
			t.Fatal(err)
		}
		return answer.Verdict
	}
	if v := ask("a"); v != schema.VerdictDeny || answer.FindingID != found.ID {
		t.Errorf("the decision about a is %+v", answer)
	}
	if v := ask("b"); v != schema.VerdictAllow {
		t.Errorf("the decision about b is %+v", answer)
	}

	// The logs show denials and no success: the containment is verified.
	await(t, time.Minute, "the proof", func() error {
		l.record("a", "fine", `,"disposition":"blocked","event.outcome":"failure"`)
		var r schema.ResponseRecord
		if err := l.call(playbook, "GET", "http://"+l.control+"/v1/responses/"+response.ID.String(), "", &r); err != nil {
			return err
		}
		if r.Stage != schema.StageVerified {
			return fmt.Errorf("stage %s, %d denials", r.Stage, r.Proof.Denials)
		}
		return nil
	})

	// The analyst acknowledges by the link in the delivery, and closes with a verdict.
	form, err := http.Post(links.Links["acknowledge"], "application/x-www-form-urlencoded", strings.NewReader("note=ann"))
	if err != nil {
		t.Fatal(err)
	}
	form.Body.Close()
	if form.StatusCode != http.StatusOK {
		t.Errorf("the link answers %d", form.StatusCode)
	}
	var triage schema.Triage
	closing := "http://" + l.control + "/v1/findings/" + found.ID.String() + "/triage"
	if err := l.call(analyst, "POST", closing, `{"action":"close","verdict":"true_positive","note":"exfiltration"}`, &triage); err != nil {
		t.Fatal(err)
	}
	if triage.Status != schema.TriageClosed || len(triage.History) != 2 || triage.History[0].By != "link" || triage.By != "token:ann" {
		t.Errorf("the triage is %+v", triage)
	}
	if out := mustAidr(t, "findings", "ls", "--triage", "closed", "--state", l.state); !strings.Contains(out, "closed true_positive") {
		t.Errorf("aidr findings ls:\n%s", out)
	}

	// The views show all of it.
	sink, err := clickhouse.New(clickhouse.Config{DSN: tables.DSN})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	await(t, time.Minute, "the rows", func() error {
		for query, want := range map[string]string{
			"SELECT status, verdict, by FROM v_triage":                                                                       "closed true_positive token:ann",
			"SELECT stage, requested_by FROM v_responses":                                                                    "verified token:playbook",
			"SELECT rule_id, number, true_positive_number FROM v_rule_quality WHERE rule_id = 't.bad'":                       "t.bad 1 1",
			"SELECT countIf(action = 'contain'), countIf(action = 'triage.close'), countIf(action = 'refused') FROM v_audit": "1 1 1",
		} {
			got, err := sink.Ask(t.Context(), query, nil)
			if err != nil {
				return err
			}
			if len(got.Rows) != 1 || strings.Join(got.Rows[0], " ") != want {
				return fmt.Errorf("%s: %v, want %s", query, got.Rows, want)
			}
		}
		return nil
	})
	if out := mustAidr(t, "audit", "verify", "--state", l.state); !strings.Contains(out, "the chain is whole") {
		t.Errorf("aidr audit verify: %s", out)
	}
	if code := p.terminate(); code != 0 {
		t.Errorf("exit code %d: %s", code, p.lastWords())
	}
}
