package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// testKafkaSink checks that a running aidr writes every finding and dead letter to topics, through kills: the highest revision of
// each finding there is that of `aidr findings`, and no id and revision has two values.
func testKafkaSink(t *testing.T, broker *conntest.Kafka) {
	for topic, partitions := range map[string]int{"sunk": 2, "sunk-findings": 3, "sunk-dead": 1} {
		conntest.CreateTopic(t, broker.Addr, topic, partitions)
	}
	dir := t.TempDir()
	state, listen, config, rule := filepath.Join(dir, "state"), freeAddr(t), filepath.Join(dir, "aidr.yaml"), filepath.Join(dir, "rules", "bad.yaml")
	if err := os.MkdirAll(filepath.Dir(rule), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		rule: "id: t.bad\ntitle: A bad call\nseverity: high\ndatasets: [litellm]\nwhen: event.action == \"bad\"\ngroup: {for: 5s, by: [ai_agent.uid]}\n",
		config: fmt.Sprintf("rules: [%q]\nstate: {dir: %q}\nsources: [{name: logs, kafka: {brokers: [%q], topics: [sunk], session: 2s}, format: aidr, delay: {litellm: 1s}, idle: 2s}]\n"+
			"sinks: {kafka: {brokers: [%q], topic: sunk-findings, dead_letters: sunk-dead}}\nhttp: {listen: %q}\n", filepath.Dir(rule), state, broker.Addr, broker.Addr, listen),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, "run", "--config", config)
	await(t, 30*time.Second, "the start", func() error { p.alive(); return isReady(listen) })
	producer := newProducer(t, broker.Addr)
	const rounds, agents = 12, 20
	for round := range rounds {
		var bodies [][]byte
		for n := range agents {
			bodies = append(bodies, fmt.Appendf(nil, `{"time":%q,"event.dataset":"litellm","event.class":"tool","event.action":"bad","ai_agent.uid":"a%d","event.id":"%d-%d"}`,
				time.Now().UTC().Format(time.RFC3339Nano), n, round, n))
		}
		if err := producer.produce("sunk", int32(round%2), append(bodies, []byte("not JSON"))...); err != nil {
			t.Fatal(err)
		}
		if round%4 == 3 {
			p.kill()
			p = start(t, "run", "--config", config)
		}
		<-time.After(200 * time.Millisecond)
	}
	await(t, 2*time.Minute, "all is in the topics", func() error {
		p.alive()
		if err := isReady(listen); err != nil {
			return err
		}
		want := map[schema.ID]uint64{}
		triggers := int64(0)
		for _, f := range jsonLines[schema.Finding](t, mustAidr(t, "findings", "ls", "--json", "--limit", "0", "--state", state)) {
			if f.Status == schema.StatusOpen {
				return fmt.Errorf("finding %s is open", f.ID)
			}
			want[f.ID] = f.Revision
			triggers += f.Count
		}
		if triggers != rounds*agents {
			return fmt.Errorf("%d triggers, want %d", triggers, rounds*agents)
		}
		got, values := map[schema.ID]uint64{}, map[string]string{}
		for _, r := range consume(t, broker.Addr, "sunk-findings") {
			var f schema.Finding
			if err := json.Unmarshal(r.Value, &f); err != nil {
				return err
			}
			key := fmt.Sprint(f.ID, f.Revision)
			if old, ok := values[key]; ok && old != string(r.Value) {
				t.Fatalf("two values of %s:\n%s\n%s", key, old, r.Value)
			}
			values[key] = string(r.Value)
			got[f.ID] = max(got[f.ID], f.Revision)
			if string(r.Key) != f.AgentUID {
				t.Fatalf("key %s of a finding of %s", r.Key, f.AgentUID)
			}
		}
		for id, revision := range want {
			if got[id] != revision {
				return fmt.Errorf("finding %s has revision %d in the topic, want %d", id, got[id], revision)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%d findings in the topic, want %d", len(got), len(want))
		}
		dead := map[int64]bool{} // by offset and partition: a dead letter may come twice
		for _, r := range consume(t, broker.Addr, "sunk-dead") {
			var d struct {
				Partition int32
				Offset    int64
				Reason    string
			}
			if err := json.Unmarshal(r.Value, &d); err != nil || d.Reason != "malformed_json" {
				return fmt.Errorf("dead letter %s: %v", r.Value, err)
			}
			dead[d.Offset<<1|int64(d.Partition)] = true
		}
		if len(dead) != rounds {
			return fmt.Errorf("%d dead letters in the topic, want %d", len(dead), rounds)
		}
		return nil
	})
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
}

// consume returns all records of a topic.
func consume(t *testing.T, addr, topic string) (out []*kgo.Record) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // a topic that is at rest has no end to wait for
		fetches := c.PollFetches(ctx)
		cancel()
		records := fetches.Records()
		if len(records) == 0 {
			return out
		}
		out = append(out, records...)
	}
}
