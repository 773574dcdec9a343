package producers

import (
	"context"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/cmd/aidr/pipeline"
	"github.com/aidr-engine/aidr/connectors"
	"github.com/aidr-engine/aidr/schema"
)

// refusals collects the findings of the rule test.refused as a running aidr commits them.
type refusals struct {
	mu    sync.Mutex
	found map[schema.ID]*schema.Finding // the latest revision of each
}

// refusal is the key of a finding.
type refusal struct{ dataset, agent string }

func (r *refusals) committed(entries []connectors.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range entries {
		if f := e.Finding; f != nil && f.RuleID == "test.refused" {
			copied := *f
			r.found[f.ID] = &copied
		}
	}
}

// counts returns the number of refused calls. An agent has a second finding if the machine is so slow that a call is late.
func (r *refusals) counts() map[refusal]int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := map[refusal]int64{}
	for _, f := range r.found {
		if f.Status != schema.StatusWithdrawn {
			out[refusal{f.Key["event.dataset"], f.Key["ai_agent.uid"]}] += f.Count
		}
	}
	return out
}

// testFindings runs the whole engine over the topics of all producers, with the shipped rules and one of its own: each agent
// that was refused has a finding for each gateway that refused it.
func testFindings(t *testing.T, k *shipping) {
	topics := k.shipped()
	if len(topics) == 0 {
		t.Skip("no producer ran")
	}
	cfg := recommended(t, k.broker, topics...)
	cfg.Rules = append(cfg.Rules, filepath.Join("testdata", "rules"))
	cfg.State, cfg.Sinks, cfg.HTTP = config.State{Dir: t.TempDir()}, config.Sinks{}, config.HTTP{}
	seen := &refusals{found: map[schema.ID]*schema.Finding{}}
	p, err := pipeline.New(cfg, pipeline.Options{Version: "test", Committed: seen.committed})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	}()
	wants := map[string]map[refusal]int64{
		"nginx": refusedAt("nginx.access"), "caddy": refusedAt("caddy.access"), "haproxy": refusedAt("haproxy.access"), "envoy": refusedAt("envoy.access"),
		"litellm": {
			{"litellm", research.hash()}: 2, // denied by the model's API, and the use of a tool
			{"litellm", stranger.hash()}: 1,
		},
	}
	want := map[refusal]int64{}
	for _, topic := range topics {
		maps.Copy(want, wants[topic])
	}
	for deadline := time.Now().Add(patience); !maps.Equal(seen.counts(), want); {
		if time.Now().After(deadline) {
			t.Fatalf("got the findings %v, want %v", seen.counts(), want)
		}
		<-time.After(poll)
	}
}

// refusedAt returns the refused calls at a gateway.
func refusedAt(dataset string) map[refusal]int64 {
	out := map[refusal]int64{}
	for _, c := range calls() {
		switch {
		case c.status == 401:
			out[refusal{dataset, "127.0.0.1|" + sdk}]++
		case c.status == 403:
			out[refusal{dataset, c.agent.name}]++
		}
	}
	return out
}
