package engine_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/connectors/file"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// One agent as three sources see it: a consumer of the gateway, a key of the model gateway, a role in the cloud.
var oneAgent = map[string]string{
	"kong.jsonl": `{"latencies":{"request":5},"request":{"method":"GET","uri":"/export","headers":{}},"response":{"status":200},` +
		`"service":{"name":"crm"},"consumer":{"id":"consumer-7","username":"invoice-bot"},"client_ip":"192.0.2.7","started_at":1767261600000}`,
	"litellm.jsonl": `{"id":"c-1","trace_id":"t","call_type":"acompletion","status":"success","custom_llm_provider":"openai",` +
		`"startTime":1767261610,"endTime":1767261611,` +
		`"model":"gpt-4o","metadata":{"user_api_key_hash":"88dc28d0","user_api_key_alias":"billing"},` +
		`"messages":[{"role":"user","content":"hello"}],` +
		`"response":{"choices":[{"message":{"role":"assistant","content":"hi"}}]}}`,
	"cloudtrail.jsonl": `{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::111122223333:assumed-role/bot/s",` +
		`"sessionContext":{"sessionIssuer":{"type":"Role","arn":"arn:aws:iam::111122223333:role/bot"}}},"eventTime":"2026-01-01T10:00:30Z",` +
		`"eventSource":"s3.amazonaws.com","eventName":"PutBucketPolicy","awsRegion":"us-east-1","sourceIPAddress":"192.0.2.7","eventID":"e-1"}`,
}

const acrossSources = `id: test.across-sources
title: Export, a model call and a change of policy by one agent
severity: high
sequence:
  within: 5m
  by: [ai_agent.uid]
  steps:
    - {id: export, when: event.dataset == "kong.http_log"}
    - {id: asked, when: event.dataset == "litellm"}
    - {id: opened, when: event.action == "s3:PutBucketPolicy"}
`

const registry = `agents:
  - uid: agent-7
    name: invoice-bot
    owner: finance@example.com
    aliases: [consumer-7, {uid: 88dc28d0, dataset: litellm}, "arn:aws:iam::111122223333:role/bot"]
`

// replayOf runs the rule over the three files, with a registry, and with a tenant for each file that has one.
func replayOf(t *testing.T, agents string, tenants map[string]string) (uids, datasets []string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rule := write("rule.yaml", acrossSources)
	o := rules.Options{}
	if agents != "" {
		o.Agents = write("agents.yaml", agents)
	}
	set, problems := rules.Load(o, rule)
	if set == nil {
		t.Fatal(problems)
	}
	var inputs []engine.Input
	for name, text := range oneAgent {
		src, err := file.New(file.Config{Name: name, Paths: []string{write(name, text)}})
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, engine.Input{Source: src, Decode: decode.Options{Tenant: tenants[name]}})
	}
	found, err := engine.Replay(t.Context(), engine.Options{Set: set, Inputs: inputs, Shards: 3, Redact: content.Redact}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		uids = append(uids, f.Tenant+"/"+f.AgentUID+" by "+f.AgentSource)
		for _, e := range f.Evidence {
			datasets = append(datasets, e.Dataset)
		}
	}
	return uids, datasets
}

// A rule over several sources meets on one key, the agent's uid in the registry; which raw field named it still shows.
func TestAliasesJoinSources(t *testing.T) {
	uids, datasets := replayOf(t, registry, nil)
	if !slices.Equal(uids, []string{"/agent-7 by userIdentity.sessionContext.sessionIssuer.arn"}) {
		t.Errorf("got %q, want one finding of agent-7", uids)
	}
	if !slices.Equal(datasets, []string{"kong.http_log", "litellm", "aws.cloudtrail"}) {
		t.Errorf("got evidence of %q, want of all three sources", datasets)
	}
	if uids, _ := replayOf(t, "", nil); len(uids) != 0 {
		t.Errorf("without a registry: got %q, want nothing", uids)
	}
}

// Events of different tenants never share a key, also if the registry gives their agents one id.
func TestTenantsNeverMeet(t *testing.T) {
	all := map[string]string{"kong.jsonl": "acme", "litellm.jsonl": "acme", "cloudtrail.jsonl": "acme"}
	if uids, _ := replayOf(t, registry, all); len(uids) != 1 || uids[0][:len("acme/agent-7")] != "acme/agent-7" {
		t.Errorf("one tenant: got %q, want one finding", uids)
	}
	all["cloudtrail.jsonl"] = "other"
	if uids, _ := replayOf(t, registry, all); len(uids) != 0 {
		t.Errorf("two tenants: got %q, want nothing", uids)
	}
}
