package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// testBacklog reads a backlog of three days with hostile records in every partition: a date of 2035 at the head, records
// without a usable time throughout, and records that cannot be decoded. Each agent's burst must be found exactly.
func testBacklog(t *testing.T, broker *conntest.Kafka) {
	const partitions, calls = 3, 60
	conntest.CreateTopic(t, broker.Addr, "backlog", partitions)
	dir := t.TempDir()
	rule := "id: test.burst\ntitle: Many calls\nseverity: high\ndatasets: [aws.cloudtrail]\nwhen: event.action == \"s3:GetObject\"\n" +
		"threshold: {count: 10, within: 5m, by: [ai_agent.uid]}\ngroup: {for: 1h}\n"
	if err := os.WriteFile(filepath.Join(dir, "burst.yaml"), []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	u := newSetup(t, settings{broker: broker.Addr, topics: []string{"backlog"}, idle: 8 * time.Second, rules: []string{dir}})
	start := time.Now().Add(-72 * time.Hour).UTC().Truncate(time.Second)
	k, records, want := newProducer(t, broker.Addr), 0, map[string]int64{}
	for number := range int32(partitions) {
		agent := fmt.Sprintf("arn:aws:iam::111122223333:user/eve-%d", number)
		want[agent] = calls
		bodies := backlog(agent, start, calls)
		records += len(bodies)
		if err := k.produce("backlog", number, bodies...); err != nil {
			t.Fatal(err)
		}
	}
	p := u.start()
	await(t, time.Minute, "all records are read", func() error {
		p.alive()
		return metricIs(u.listen, float64(records), "aidr_source_records_total")
	})
	await(t, time.Minute, "the bursts are settled and nothing else is found", func() error {
		p.alive()
		got := map[string]int64{}
		for _, f := range jsonLines[schema.Finding](t, mustAidr(t, "findings", "ls", "--json", "--state", u.state)) {
			if f.Status == schema.StatusSettled {
				got[f.AgentUID] += f.Count
			}
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("found %v, want %v", got, want)
		}
		return nil
	})
	if code := p.terminate(); code != exitOK {
		t.Errorf("exit code after SIGTERM: got %d, want 0", code)
	}
}

// backlog returns an agent's calls, one each second, with hostile records between them.
func backlog(agent string, start time.Time, calls int) (bodies [][]byte) {
	call := func(n int, at string) []byte {
		id := fmt.Sprintf("%s-%d", agent[strings.LastIndexByte(agent, '/')+1:], n)
		return []byte(strings.NewReplacer("2026-03-01T12:00:00Z", at, "arn:aws:iam::111122223333:user/eve", agent).Replace(trail(id, "")))
	}
	bodies = append(bodies, call(10_000, "2035-01-01T00:00:00Z"))
	for n := range calls {
		bodies = append(bodies, call(n, start.Add(time.Duration(n)*time.Second).Format(time.RFC3339)))
		switch n % 10 {
		case 3:
			bodies = append(bodies, call(20_000+n, "yesterday"))
		case 6:
			bodies = append(bodies, []byte(`{"eventVersion":`))
		}
	}
	return bodies
}
