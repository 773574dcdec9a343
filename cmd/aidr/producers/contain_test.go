package producers

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// gatewaysPage documents the settings with which gateways ask.
const gatewaysPage = "connectors/decision/GATEWAYS.md"

// gatewayToken authenticates the gateways of this test.
const gatewayToken = "a-token-of-a-gateway-in-a-test"

// TestContainment follows a containment through real gateways: an agent calls, is contained, is refused by the gateway, and the log
// of the gateway, shipped through Kafka, proves it.
func TestContainment(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a broker and servers")
	}
	a := startAIDR(t, conntest.StartKafka(t).Addr, "contained-envoy", "contained-litellm")
	t.Run("gateways", func(t *testing.T) {
		t.Run("envoy", func(t *testing.T) { t.Parallel(); containAtEnvoy(t, a) })
		t.Run("litellm", func(t *testing.T) { t.Parallel(); containAtLiteLLM(t, a) })
	})
}

// aidr is a running aidr that answers gateways.
type aidr struct {
	broker, http, grpc string // addresses
	control            *api.Client
}

// startAIDR starts an aidr that reads the topics.
func startAIDR(t *testing.T, broker string, topics ...string) *aidr {
	t.Helper()
	dir, err := os.MkdirTemp("", "aidr-contain-") // a short path, because the length of a socket's path is limited
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	a := &aidr{broker: broker, http: freeAddr(t), grpc: freeAddr(t)}
	for _, topic := range topics {
		conntest.CreateTopic(t, broker, topic, 1)
	}
	decisions := replace(documented(t, gatewaysPage, "decisions:"), nil)
	decisions = strings.NewReplacer("127.0.0.1:8473", a.http, "127.0.0.1:8474", a.grpc, "${ENVOY_TOKEN}", gatewayToken+"-envoy",
		"${LITELLM_TOKEN}", gatewayToken+"-litellm").Replace(decisions)
	text := fmt.Sprintf(`sources:
  - name: gateways
    kafka: {brokers: [%q], topics: [%s]}
    delay: {envoy.access: 1s, litellm: 1s}
    idle: 1s
rules: [library]
state: {dir: %q}
response: {verify_after: 2s, grace: 1s}
%s`, broker, strings.Join(topics, ", "), filepath.Join(dir, "state"), decisions)
	cfg, problems := config.Parse("aidr.yaml", []byte(text), nil)
	if cfg == nil {
		t.Fatalf("the configuration does not load: %v\n%s", problems, text)
	}
	p, err := pipeline.New(cfg, pipeline.Options{Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	socket, err := api.SocketPath(cfg.State.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; {
		if _, err = os.Stat(socket); err == nil {
			if a.control, err = api.Dial(cfg.State.Dir, api.Runtime{}); err == nil && a.control.Running() {
				return a
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("aidr does not start: %v", err)
		}
		<-time.After(poll)
	}
}

// do sends a request to the control API.
func (a *aidr) do(t *testing.T, method, path string, body any, out any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err == nil {
		err = a.control.Send(t.Context(), method, path, nil, text, out)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}

// ship ships what a gateway logs to a topic, record by record, until the test ends. records returns all records so far.
func (a *aidr) ship(t *testing.T, topic string, records func() []string) {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for sent := 0; ; {
			if list := records(); len(list) > sent {
				conntest.Produce(t, a.broker, topic, 0, conntest.Messages(list[sent:]...), nil)
				sent = len(list)
			}
			select {
			case <-stop:
				return
			case <-time.After(poll):
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
}

// follow contains an agent that calls a gateway, and follows the proof. call makes a call of the agent and checks whether it
// passes; other does the same for an agent that is not contained.
func (a *aidr) follow(t *testing.T, gateway, dataset, agent string, call func(refusedBy *schema.ResponseRecord), other func()) {
	t.Helper()
	call(nil)
	other()
	var r schema.ResponseRecord
	a.do(t, http.MethodPost, "/v1/containments", map[string]any{
		"scope": schema.ScopeAgent, "target": schema.Target{Agent: agent}, "ttl": "1h", "reason": "a case",
	}, &r)
	if r.Stage != schema.StageAsked || r.Status != schema.ContainmentActive {
		t.Fatalf("contained: %+v", r)
	}
	call(&r)
	other()
	a.await(t, r.ID, "enforced", func(r *schema.ResponseRecord) bool {
		return slices.ContainsFunc(r.Receipts, func(x schema.Receipt) bool { return x.Point == gateway && x.Refused > 0 }) && r.Stage != schema.StageAsked
	})
	got := a.await(t, r.ID, "verified", func(r *schema.ResponseRecord) bool { return r.Stage == schema.StageVerified })
	if got.Proof.Denials == 0 || len(got.Proof.Sources) == 0 || got.Proof.Sources[0].Dataset != dataset || got.Proof.Sources[0].Source != "gateways" {
		t.Errorf("the proof is %+v, want denials of %s", got.Proof, dataset)
	}
	var history []string
	for _, h := range got.History {
		history = append(history, h.Action)
	}
	t.Logf("history: %v; %d denials in the log; verified %v after the containment", history, got.Proof.Denials,
		time.Duration(got.History[len(got.History)-1].Time-got.Since).Round(time.Millisecond))
	a.do(t, http.MethodPost, "/v1/containments/"+r.ID.String()+"/release", map[string]string{"reason": "the case is closed"}, &r)
	if r.Status != schema.ContainmentReleased {
		t.Errorf("released: %+v", r)
	}
	call(nil)
}

// await returns the entry of the ledger once it meets a condition.
func (a *aidr) await(t *testing.T, id schema.ID, name string, condition func(*schema.ResponseRecord) bool) *schema.ResponseRecord {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		var r schema.ResponseRecord
		if err := a.control.Do(t.Context(), http.MethodGet, "/v1/responses/"+id.String(), nil, &r); err != nil {
			t.Fatal(err)
		}
		if condition(&r) {
			return &r
		}
		if time.Now().After(deadline) {
			t.Fatalf("the response is not %s: %+v", name, r)
		}
		<-time.After(poll)
	}
}

func containAtEnvoy(t *testing.T, a *aidr) {
	path := program(t, "envoy", "AIDR_ENVOY", "envoy")
	dir, listen := t.TempDir(), freeAddr(t)
	secret := []byte("a secret of thirty-two characters")
	jwks := asJSON(t, map[string]any{"keys": []any{map[string]any{"kty": "oct", "alg": "HS256", "kid": "k", "k": encoded(secret)}}})
	file := configure(t, dir, "envoy_ext_authz.yaml", map[string]string{
		"JSON_FORMAT":  documented(t, envoyPage, "json_format:"),
		"HTTP_FILTERS": strings.ReplaceAll(documented(t, envoyPage, "http_filters:"), "/etc/envoy/jwks.json", write(t, dir, "jwks.json", jwks)),
		"EXT_AUTHZ":    strings.ReplaceAll(documented(t, gatewaysPage, "envoy.filters.http.ext_authz"), "${ENVOY_TOKEN}", gatewayToken+"-envoy"),
		"AIDR":         strings.ReplaceAll(documented(t, gatewaysPage, "cluster_name: aidr\n"), "8474", port(t, a.grpc)),
		"PORT":         port(t, listen), "BACKEND": port(t, startBackend(t)),
	})
	s := launch(t, dir, nil, path, "-c", file, "--concurrency", "1", "--log-level", "error", "--base-id-path", dir+"/base", "--use-dynamic-base-id")
	s.listening(listen)
	a.ship(t, "contained-envoy", func() []string { return complete(s.stdout.String()) })
	ask := func(name string, refusedBy *schema.ResponseRecord) {
		t.Helper()
		c := &call{agent: agent{name: name, key: token(t, secret, name)}, method: "POST", path: "/mcp", session: "s-1", status: 200, userAgent: sdk,
			body: rpc("tools/call", 7, map[string]any{"name": "pay_invoice", "arguments": map[string]any{"invoice": "INV-7"}})}
		if refusedBy != nil {
			c.status = 403
		}
		c.send(t, listen)
		if refusedBy != nil && !strings.Contains(string(c.got), refusedBy.ID.String()) {
			t.Errorf("the refusal %q does not name the containment %s", c.got, refusedBy.ID)
		}
	}
	a.follow(t, "envoy", "envoy.access", billing.name, func(r *schema.ResponseRecord) { t.Helper(); ask(billing.name, r) }, func() { t.Helper(); ask(research.name, nil) })
}

// complete returns the complete lines of a text.
func complete(text string) []string {
	lines := strings.Split(text, "\n")
	return lines[:len(lines)-1]
}

func containAtLiteLLM(t *testing.T, a *aidr) {
	path := program(t, "litellm", "AIDR_LITELLM", "litellm")
	dir, listen := t.TempDir(), freeAddr(t)
	b := newBridge(t)
	settings := strings.ReplaceAll(documented(t, litellmPage, "callback_type: generic_api"), "http://bridge.internal", b.URL)
	file := configure(t, dir, "litellm_guardrail.yaml", map[string]string{
		"DOCUMENTED": settings, "BACKEND": startModel(t),
		"GUARDRAIL": strings.ReplaceAll(documented(t, gatewaysPage, "guardrail: generic_guardrail_api"), "127.0.0.1:8473", a.http),
	})
	configure(t, dir, "agents.py", nil)
	s := launch(t, dir, []string{
		"LITELLM_LOCAL_MODEL_COST_MAP=True", "DEFAULT_FLUSH_INTERVAL_SECONDS=1", "PYTHONPATH=" + dir, "LITELLM_TOKEN=" + gatewayToken + "-litellm",
		"AGENT_KEYS=" + billing.key + "=" + billing.name + "," + research.key + "=" + research.name,
	}, path, "--config", file, "--host", "127.0.0.1", "--port", port(t, listen), "--telemetry", "False")
	s.listening(listen)
	a.ship(t, "contained-litellm", b.records)
	ask := func(who agent, refusedBy *schema.ResponseRecord) {
		t.Helper()
		for _, model := range []string{"mock", "tools"} { // tools answers with a call of a tool
			c := completion(who, model, "pay it", "s-1", 200, map[string]any{})
			if refusedBy != nil {
				c.status = 400
			}
			c.send(t, listen)
		}
	}
	a.follow(t, "litellm", "litellm", billing.hash(), func(r *schema.ResponseRecord) { t.Helper(); ask(billing, r) }, func() { t.Helper(); ask(research, nil) })
}
