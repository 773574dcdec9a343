package producers

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// chat is one request to LiteLLM's proxy.
type chat struct {
	agent  agent
	path   string
	body   string
	status int            // expected
	key    map[string]any // fields that only its event has
	want   map[string]any // further fields of the event
	tool   map[string]any // fields of the event of the tool call in the answer; nil: there is none

	began, ended time.Time // set by send
}

func (c *chat) send(t *testing.T, addr string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "User-Agent": {breakOut},
		"X-Agent-Id": {"victim"}, "Authorization": {"Bearer " + c.agent.key},
	}
	c.began = time.Now()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if c.ended = time.Now(); answer.StatusCode != c.status {
		t.Errorf("%s %s: got status %d, want %d: %s", c.path, c.body, answer.StatusCode, c.status, body)
	}
}

// completion is a call of the chat API with a session of its own. The text chooses the answer of model tools, see startModel.
func completion(a agent, model, text, session string, status int, want map[string]any) *chat {
	body, err := json.Marshal(map[string]any{
		"model": model, "metadata": map[string]any{"session_id": session, "agent_id": "victim"}, "stream": want["stream"] == true,
		"messages": []any{map[string]any{"role": "system", "content": "You pay."}, map[string]any{"role": "user", "content": text}},
	})
	if err != nil {
		panic(err)
	}
	delete(want, "stream")
	want["message_context.prompt_text"], want["event.class"], want["event.action"] = text, "llm", "chat"
	return &chat{agent: a, path: "/v1/chat/completions", body: string(body), status: status, key: map[string]any{"session.id": session}, want: want}
}

// tool is a call of the tool of the MCP server behind the proxy.
func tool(invoice, outcome string) *chat {
	arguments := map[string]any{"invoice": invoice}
	return &chat{
		agent: billing, path: "/mcp/", body: rpc("tools/call", 7, map[string]any{"name": "erp-pay_invoice", "arguments": arguments}), status: 200,
		key: map[string]any{"gen_ai.tool.call.arguments": arguments},
		want: map[string]any{
			"event.class": "tool", "event.action": "tools/call", "event.outcome": outcome, "gen_ai.tool.name": "pay_invoice",
			"mcp.server.name": "erp", "gen_ai.tool.called": true, "gen_ai.tool.returned": true,
		},
	}
}

// chats returns what the agents do at the proxy.
func chats() []*chat {
	const said = "the invoice is paid"
	success := func() map[string]any {
		return map[string]any{"event.outcome": "success", "disposition": nil, "http.response.status_code": nil, "message_context.response_text": said}
	}
	failure := func(status int, disposition any, class string) map[string]any {
		return map[string]any{"event.outcome": "failure", "disposition": disposition, "http.response.status_code": status, "error.type": class}
	}
	streamed := success()
	streamed["stream"] = true
	asked := func() map[string]any {
		return map[string]any{
			"event.outcome": "success", "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 3,
			"gen_ai.response.finish_reasons": []string{"tool_calls"},
		}
	}
	list := []*chat{
		completion(billing, "mock", breakOut, "s-0", 200, success()),
		completion(billing, "mock", forgedRecord, "s-1", 200, streamed),
		completion(billing, "tools", "pay it", "s-2", 200, asked()),
		completion(billing, "tools", "slow", "s-3", 200, asked()),
		completion(research, "tools", "busy", "s-4", 429, failure(429, nil, "RateLimitError")),
		completion(research, "tools", "denied", "s-5", 403, failure(403, "blocked", "APIError")),
		completion(research, "tools", "broken", "s-6", 500, failure(500, nil, "InternalServerError")),
		completion(stranger, "mock", "let me in", "s-7", 401, failure(401, "blocked", "ProxyException")),
		{agent: billing, path: "/v1/messages", status: 200, key: map[string]any{"session.id": "s-8"}, want: success(),
			body: `{"model":"mock","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"metadata":{"session_id":"s-8"}}`},
		{agent: billing, path: "/v1/responses", status: 200, key: map[string]any{"session.id": "s-9"}, want: success(),
			body: `{"model":"mock","input":"hi","metadata":{"session_id":"s-9"}}`},
		{agent: billing, path: "/mcp/", status: 200, body: rpc("tools/list", 6, nil), key: map[string]any{"event.action": "tools/list"},
			want: map[string]any{"event.class": "tool", "event.outcome": "success", "gen_ai.tool.definitions.count": 1, "gen_ai.tool.called": nil}},
		tool("INV-8", "success"),
		tool(missing, "failure"),
		{agent: research, path: "/mcp/", status: 200, body: rpc("tools/call", 9, map[string]any{"name": "vault-pay_invoice", "arguments": map[string]any{"invoice": "INV-9"}}),
			key: map[string]any{"http.response.status_code": 403, "event.class": "tool"}, want: map[string]any{
				"event.action": "tools/call", "event.outcome": "failure", "disposition": "blocked", "gen_ai.tool.called": true,
				"gen_ai.tool.returned": nil, "gen_ai.tool.call.result": nil, // the proxy does not log which tool it refused
			}},
	}
	for _, c := range list[2:4] {
		c.tool = map[string]any{
			"event.action": "tool_call", "gen_ai.tool.name": "pay_invoice", "gen_ai.tool.call.id": "call_9",
			"gen_ai.tool.call.arguments": map[string]any{"invoice": "INV-7"}, "gen_ai.tool.called": true,
		}
	}
	// The proxy logs a refused call with an id of its own in place of the session.
	list[7].key = map[string]any{"message_context.prompt_text": "let me in"}
	return list
}

func testLiteLLM(t *testing.T, k *shipping) {
	path := program(t, "litellm", "AIDR_LITELLM", "litellm")
	if found, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "..", "lib", "python*", "site-packages", "litellm-*.dist-info")); len(found) > 0 {
		t.Logf("version: %s", strings.TrimSuffix(filepath.Base(found[0]), ".dist-info"))
	}
	dir, listen := t.TempDir(), freeAddr(t)
	b := newBridge(t)
	settings := strings.ReplaceAll(documented(t, litellmPage, "callback_type: generic_api"), "http://bridge.internal", b.URL)
	file := configure(t, dir, "litellm.yaml", map[string]string{"DOCUMENTED": settings, "BACKEND": startModel(t)})
	configure(t, dir, "agents.py", nil)
	s := launch(t, dir, []string{
		"LITELLM_LOCAL_MODEL_COST_MAP=True", "DEFAULT_FLUSH_INTERVAL_SECONDS=1", "PYTHONPATH=" + dir,
		"AGENT_KEYS=" + billing.key + "=" + billing.name + "," + research.key + "=" + research.name,
	}, path, "--config", file, "--host", "127.0.0.1", "--port", port(t, listen), "--telemetry", "False")
	s.listening(listen)
	sent := chats()
	for _, c := range sent {
		c.send(t, listen)
	}
	s.await("all calls are logged", func() bool {
		lines := 0
		for _, body := range b.records() {
			lines += len(strings.Split(strings.TrimSpace(body), "\n"))
		}
		return lines >= len(sent)
	})
	s.stop()
	events := through(t, k, "litellm", b.records())
	tools := 0
	for _, c := range sent {
		e := single(t, c.path+" "+c.body, events, c.key)
		if e == nil {
			continue
		}
		c.check(t, e)
		if c.tool == nil {
			continue
		}
		tools++
		if e := single(t, "tool call of "+c.body, events, with(c.key, c.tool)); e != nil {
			e.want(t, "tool call of "+c.body, map[string]any{"ai_agent.uid": c.agent.hash(), "gen_ai.tool.returned": nil})
		}
	}
	if len(events) != len(sent)+tools {
		t.Errorf("got %d events, want %d calls and %d tool calls", len(events), len(sent), tools)
	}
}

// check compares the call with its event.
func (c *chat) check(t *testing.T, e event) {
	t.Helper()
	want := with(c.want, map[string]any{
		"event.dataset": "litellm", "ai_agent.uid": c.agent.hash(), "ai_agent.uid_source": "metadata.user_api_key_hash", "ai_agent.declared_uid": nil,
		"credential.uid": c.agent.hash(), "credential.type": "api_key",
	})
	if c.agent.name != "" {
		want["ai_agent.name"] = c.agent.name
	}
	e.want(t, c.path+" "+c.body, want)
	atLeast := time.Duration(0)
	if strings.Contains(c.body, `"slow"`) {
		atLeast = hold
	}
	e.during(t, c.path+" "+c.body, c.began, c.ended, 2*time.Millisecond, atLeast)
}

// single returns the only event of class llm, or of a tool if the fields are those of one, that has the fields.
func single(t *testing.T, name string, events []event, fields map[string]any) (found event) {
	t.Helper()
	n := 0
	for _, e := range events {
		if e["event.action"] == "tool_call" && fields["event.action"] != "tool_call" {
			continue
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(fields)), func(f string) bool { return asJSON(t, e[f]) != asJSON(t, fields[f]) }) {
			found = e
			n++
		}
	}
	if n != 1 {
		t.Errorf("%s: %d events have %v", name, n, fields)
		return nil
	}
	return found
}

// with returns both sets of fields.
func with(a, b map[string]any) map[string]any {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}
