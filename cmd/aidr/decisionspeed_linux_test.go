package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

var decisionsFlag = flag.Bool("decisions", false, "measure decisions over HTTP; takes a minute and wants two idle cores")

// pointToken authenticates the gateway of these tests.
const pointToken = "a-token-of-a-gateway-in-a-test"

// gated is a running aidr that answers a gateway.
type gated struct {
	*process
	dir, state, listen, gateway string
	bodies                      []string // questions about 100 agents, of which 10 are contained
}

// startGated starts an aidr that reads the paths, on one core, or on all if core is negative, and contains ten agents.
func startGated(t *testing.T, core int, paths ...string) *gated {
	t.Helper()
	dir := t.TempDir()
	g := &gated{dir: dir, state: filepath.Join(dir, "state"), listen: freeAddr(t), gateway: freeAddr(t)}
	logs := filepath.Join(dir, "logs.jsonl")
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("logs.jsonl", `{"time":"2026-01-01T00:00:00Z","event.dataset":"litellm","event.class":"tool","ai_agent.uid":"x"}`+"\n")
	sources := fmt.Sprintf("  - {name: logs, file: {paths: [%q], follow: true}, format: aidr}\n", logs)
	for i, path := range paths {
		sources += fmt.Sprintf("  - {name: load-%d, file: {paths: [%q]}, format: aidr}\n", i, path)
	}
	config := write("aidr.yaml", fmt.Sprintf("rules: [library]\nstate: {dir: %q}\nsources:\n%shttp: {listen: %q}\n"+
		"decisions: {listen: %q, points: [{name: gw, token: %s}]}\n", g.state, sources, g.listen, g.gateway, pointToken))
	g.process = startOn(t, core, "run", "--config", config)
	await(t, 30*time.Second, "the start", func() error { g.alive(); return isReady(g.listen) })
	mustAidr(t, "contain", "--confirm-complete", "--reason", "first start", "--state", g.state)
	for i := range 100 {
		agent := fmt.Sprintf("agent-%d", i)
		if i%10 == 0 {
			mustAidr(t, "contain", "--agent", agent, "--reason", "a case", "--state", g.state)
		}
		g.bodies = append(g.bodies, fmt.Sprintf(`{"agent":%q,"session":"s-%d","credential":%q,"tool":"send_mail","route":"POST /v1/chat/completions"}`,
			agent, i, schema.CredentialHash(agent)))
	}
	return g
}

// load returns questions for a listener.
func (g *gated) load(addr string, connections, rate int, most time.Duration) asking {
	return asking{addr: addr, token: pointToken, path: "/v1/decision", bodies: g.bodies, connections: connections, rate: rate, time: most}
}

// TestDecisionSpeed measures decisions over HTTP on keep-alive connections of loopback, with the server on one core and the
// load on the other:
//
//	go test ./cmd/aidr -run TestDecisionSpeed -decisions -v
func TestDecisionSpeed(t *testing.T) {
	if !*decisionsFlag {
		t.Skip("a measurement: ask for it with -decisions")
	}
	g := startGated(t, 0)
	pinTo(t, 1)
	g.load(g.gateway, 32, 0, 2*time.Second).run(t) // warms up
	for _, l := range []struct{ rate, connections int }{{0, 32}, {0, 8}, {10_000, 32}} {
		before := g.cpuTime()
		got := g.load(g.gateway, l.connections, l.rate, 3*time.Second).run(t)
		cpu := g.cpuTime() - before
		t.Logf("rate %d, %d connections: %v; %.0f answers per second of processor time", l.rate, l.connections, got, float64(got.answers)/cpu.Seconds())
	}
}

// TestDecisionSpeedUnderLoad measures decisions while the engine reads as fast as it can on the same cores, of aidr run and of
// aidr decide beside it:
//
//	go test ./cmd/aidr -run TestDecisionSpeedUnderLoad -decisions -v
func TestDecisionSpeedUnderLoad(t *testing.T) {
	if !*decisionsFlag {
		t.Skip("a measurement: ask for it with -decisions")
	}
	dir := t.TempDir()
	pipes := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	var written atomic.Int64
	for _, path := range pipes {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := startGated(t, -1, pipes...)
	for _, path := range pipes {
		go pour(path, &written)
	}
	beside := freeAddr(t)
	config := filepath.Join(dir, "decide.yaml")
	text := fmt.Sprintf("from: {url: \"http://%s\", token: %s}\ndecisions: {listen: %q, points: [{name: gw, token: %s}]}\n", g.gateway, pointToken, beside, pointToken)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, "decide", "--config", config)
	await(t, 30*time.Second, "aidr decide follows", func() error {
		body, code, err := get("http://" + beside + "/healthz")
		if err == nil && (code != 200 || strings.TrimSpace(string(body)) != "ok") {
			err = fmt.Errorf("%d %s", code, body)
		}
		return err
	})
	for _, l := range []struct{ name, addr string }{{"aidr run", g.gateway}, {"aidr decide", beside}} {
		const most = 6 * time.Second
		before, cpu := written.Load(), g.cpuTime()
		got := g.load(l.addr, 8, 500, most).run(t)
		t.Logf("%s: %v; meanwhile aidr run reads %.0f MB/s with %.2f cores", l.name, got,
			float64(written.Load()-before)/1e6/got.elapsed.Seconds(), (g.cpuTime()-cpu).Seconds()/got.elapsed.Seconds())
		if want := got.answers / 20; got.denied < want {
			t.Errorf("%s denied %d calls, want at least %d", l.name, got.denied, want)
		}
	}
}

// pour writes records of a busy day, 1,000 a second of event time, into a pipe until its reader ends. It patches the same
// bytes again and again, because aidr lacks the processor time that it uses.
func pour(path string, written *atomic.Int64) {
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		return
	}
	defer f.Close()
	const layout = "2006-01-02T15:04:05Z"
	at := time.Now().UTC().Add(-24 * time.Hour)
	var b []byte
	var times, ids []int // offsets
	for n := range 1000 {
		b = append(b, `{"time":"`...)
		times = append(times, len(b))
		b = at.AppendFormat(b, layout)
		b = append(b, `","event.dataset":"litellm","event.class":"tool","event.action":"execute_tool","event.id":"`...)
		ids = append(ids, len(b))
		b = fmt.Appendf(b, `%010d-%d","ai_agent.uid":"busy-%d","session.id":"s-%d","gen_ai.tool.name":"search","gen_ai.tool.called":true,`+
			`"event.outcome":"success","gen_ai.tool.call.arguments":{"query":"invoices of last month","limit":%d},"source.ip":"10.0.0.9"}`+"\n",
			0, n, n%500, n%5000, n%100)
	}
	for n := 0; ; n++ {
		at = at.Add(time.Second)
		now, id := at.AppendFormat(nil, layout), fmt.Appendf(nil, "%010d", n)
		for i := range times {
			copy(b[times[i]:], now)
			copy(b[ids[i]:], id)
		}
		if _, err := f.Write(b); err != nil {
			return
		}
		written.Add(int64(len(b)))
	}
}
