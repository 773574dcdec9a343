package kafka

import (
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/connectors"
	"github.com/segmentio/kafka-go"
)

func TestValidate(t *testing.T) {
	good := func() Config {
		return Config{Name: "k", Brokers: []string{"broker:9092"}, Topics: []string{"logs"}, Group: "g", Start: "first"}
	}
	f := func(change func(*Config), want ...string) {
		t.Helper()
		c := good()
		change(&c)
		err := c.Validate()
		if len(want) == 0 && err != nil {
			t.Errorf("validate: %v, want no error", err)
		}
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("validate: error %v, want %q in it", err, w)
			}
		}
		if _, newErr := New(c); (newErr == nil) != (err == nil) {
			t.Errorf("new: error %v, validate: %v", newErr, err)
		}
	}
	f(func(c *Config) {})
	f(func(c *Config) { c.Start = "" })
	f(func(c *Config) { c.Start = "2026-01-31T12:00:00+02:00" })
	f(func(c *Config) { c.Topics, c.Pattern = nil, "logs-.*" })
	f(func(c *Config) { *c = Config{} }, "no brokers", "name topics", "no group")
	f(func(c *Config) { c.Brokers = []string{"broker", ":1", "a:"} }, `broker "broker"`, `broker ":1"`, `broker "a:"`)
	f(func(c *Config) { c.Pattern = "x" }, "and not both")
	f(func(c *Config) { c.Topics = []string{"a b", "c", "c"} }, `topic "a b"`, "named twice")
	f(func(c *Config) { c.Topics, c.Pattern = nil, "(" }, `pattern "("`)
	f(func(c *Config) { c.Start = "yesterday" }, `start "yesterday"`)
	f(func(c *Config) { c.FetchBytes = -1 }, "fetch bytes")
	f(func(c *Config) { c.FetchWait, c.Refresh, c.Session, c.Heartbeat = -1, -1, -1, -1 }, "fetch wait", "refresh", "session", "heartbeat")
	f(func(c *Config) { c.Heartbeat = 9 * time.Second }, "a third of the session")
	f(func(c *Config) { c.TLS = &connectors.TLS{Cert: "x"} }, "go together")
	f(func(c *Config) { c.SASL = &SASL{Mechanism: "GSSAPI"} }, `mechanism "GSSAPI"`, "no username", "no password")
}

func TestBalancer(t *testing.T) {
	member := func(id string, claim int32, topics ...string) kafka.GroupMember {
		data, err := balancer{claim: func() int32 { return claim }}.UserData()
		if err != nil {
			t.Fatal(err)
		}
		return kafka.GroupMember{ID: id, Topics: topics, UserData: data}
	}
	partitions := []kafka.Partition{{Topic: "a", ID: 0}, {Topic: "b", ID: 0}, {Topic: "a", ID: 1}, {Topic: "c", ID: 0}}
	f := func(want string, members ...kafka.GroupMember) {
		t.Helper()
		got := balancer{}.AssignGroups(members, partitions)
		if len(got) != len(members) {
			t.Errorf("%d of %d members have an assignment", len(got), len(members))
		}
		for id, topics := range got {
			n := len(topics["a"]) + len(topics["b"]) + len(topics["c"])
			if id == want && n != 3 || id != want && n != 0 {
				t.Errorf("member %s reads %v, want every chosen partition for %s and none for the others", id, topics, want)
			}
		}
	}
	f("")
	f("m1", member("m1", -1, "a", "b"))
	f("m1", member("m2", -1, "a", "b"), member("m1", -1, "a", "b"))
	f("m2", member("m1", -1, "a", "b"), member("m2", 7, "a", "b"), member("m3", -1, "a", "b"))
	f("m3", member("m1", 6, "a", "b"), member("m2", 5, "a", "b"), member("m3", 8, "a", "b"))
	f("m2", kafka.GroupMember{ID: "m1", Topics: []string{"a"}, UserData: []byte("rubbish")}, member("m2", 0, "a", "b"))
}

func TestWholeRunes(t *testing.T) {
	f := func(s string, want int) {
		t.Helper()
		if got := wholeRunes(s); got != want {
			t.Errorf("wholeRunes(%q) = %d, want %d", s, got, want)
		}
	}
	f("", 0)
	f("abc", 3)
	f("ab\u00e4", 4)
	f("ab\u00e4"[:3], 2)
	f("a\U0001f600", 5)
	f("a\U0001f600"[:4], 1)
	f("\x80\x80\x80\x80\x80", 5)
}
