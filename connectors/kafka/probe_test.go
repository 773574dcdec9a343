package kafka

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/aidr-engine/aidr/connectors/conntest"
)

// answers returns the answers to a probe of a source, one per line.
func answers(t *testing.T, s *Source) string {
	t.Helper()
	var b strings.Builder
	for _, a := range s.Probe(t.Context()) {
		kind := "ok"
		if a.Failed {
			kind = "error"
		} else if a.Warning {
			kind = "warning"
		}
		if strings.Contains(a.Text, "\n") || strings.Contains(a.Text, "tell-nobody") {
			t.Errorf("%s: %q has several lines, or a secret", a.Subject, a.Text)
		}
		fmt.Fprintf(&b, "%s: %s: %s\n", kind, a.Subject, a.Text)
	}
	return b.String()
}

func contains(t *testing.T, got string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("got\n%swant %q in it", got, w)
		}
	}
}

// TestProbeGrants checks that each right which is missing is reported.
func TestProbeGrants(t *testing.T) {
	t.Parallel()
	user := func(name string, acls ...kfake.ACL) kfake.Opt {
		return kfake.User("PLAIN", name, "tell-nobody", acls...)
	}
	grant := func(resource kmsg.ACLResourceType, name string, operation kmsg.ACLOperation) kfake.ACL {
		return kfake.ACL{Resource: resource, Name: name, Pattern: kmsg.ACLResourcePatternTypeLiteral, Operation: operation, Allow: true, Host: "*"}
	}
	const topic, group = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeGroup
	fake := conntest.StartFakeKafka(t, kfake.EnableSASL(), kfake.EnableACLs(), kfake.SeedTopics(2, "logs"),
		user("all", grant(topic, "logs", kmsg.ACLOperationRead), grant(topic, "logs", kmsg.ACLOperationDescribeConfigs),
			grant(group, "g", kmsg.ACLOperationRead)),
		user("describes", grant(topic, "logs", kmsg.ACLOperationDescribe)),
		user("none"))
	as := func(name string, change func(*Config)) string {
		return answers(t, newSource(t, fake.Addr, func(c *Config) {
			c.Topics, c.Group, c.SASL = []string{"logs"}, "g", &SASL{Mechanism: "PLAIN", Username: name, Password: "tell-nobody"}
			if change != nil {
				change(c)
			}
		}))
	}
	contains(t, as("all", nil), "ok: broker "+fake.Addr+": answers\n", "ok: topic logs: readable, 2 partitions with 0 records\n",
		"warning: timestamps: the producers choose the timestamps of the records in logs", "ok: group g: usable")
	contains(t, as("describes", nil), "error: topic logs: fetch: ", "warning: timestamps: message.timestamp.type of logs is unknown",
		"error: group g: ")
	contains(t, as("none", nil), "error: topic logs: does not exist, or this client may not see it", "error: group g: ")
	contains(t, as("none", func(c *Config) { c.Topics, c.Pattern = nil, "lo.*" }), `error: topics: none matches "lo.*"`)
	if got := as("all", func(c *Config) { c.SASL.Password = "wrong" }); !strings.HasPrefix(got, "error: broker ") || strings.Count(got, "\n") != 1 {
		t.Errorf("a wrong password: got %s", got)
	}
}

// checkProbe checks a probe of a broker while members of the group read.
func checkProbe(t *testing.T, addr string) {
	conntest.CreateTopic(t, addr, "probed", 2, timestampType, "LogAppendTime")
	conntest.CreateTopic(t, addr, "created", 1)
	conntest.Produce(t, addr, "probed", 1, conntest.Messages("a", "b"), nil)
	source := func(topics ...string) *Source {
		return newSource(t, addr, func(c *Config) { c.Topics, c.Group = topics, "probed" })
	}
	got := answers(t, source("probed", "absent"))
	contains(t, got, "ok: broker "+addr, "ok: topic probed: readable, 2 partitions with 2 records\n",
		"error: topic absent: does not exist", "ok: group probed: usable")
	if strings.Contains(got, "timestamps") {
		t.Errorf("LogAppendTime: got %s", got)
	}
	future := conntest.Messages("c")
	future[0].Time = time.Now().Add(time.Hour)
	conntest.CreateTopic(t, addr, "future", 1)
	conntest.Produce(t, addr, "future", 0, future, nil)
	contains(t, answers(t, source("future")), "warning: topic future: the time of its newest record is at least 59m")
	contains(t, answers(t, source("probed", "created")), "choose the timestamps of the records in created (")
	r := conntest.NewRecorder()
	defer run(t, source("probed"), r)()
	r.Wait(t, patience, "the member reads", func() bool { return r.Count() == 2 })
	contains(t, answers(t, source("probed")), "ok: group probed: usable, 1 members: the next is a standby")
	contains(t, answers(t, source("created")), "warning: group probed: the member aidr at ", "reads other topics (probed)")
}

func TestProbe(t *testing.T) {
	t.Parallel()
	checkProbe(t, conntest.StartFakeKafka(t).Addr)
}

// TestProbeOfNobody checks that a broker that is away or is something else ends the probe with one line.
func TestProbeOfNobody(t *testing.T) {
	t.Parallel()
	got := answers(t, newSource(t, "127.0.0.1:1", topics("t")))
	if !strings.HasPrefix(got, "error: broker 127.0.0.1:1: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("got %s", got)
	}
}
