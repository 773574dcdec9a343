package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/connectors/conntest"
	"github.com/aidr-engine/aidr/schema"
)

// tapAll taps until the sources end or n events have come, and returns "uid uid_source user.email" of each, sorted.
func tapAll(t *testing.T, c *config.Config, from string, n int, sources ...string) (shown []string, dead int, err error) {
	t.Helper()
	enough := errors.New("enough")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = Tap(ctx, c, TapOptions{
		Sources: sources, From: from, Log: slog.New(slog.DiscardHandler), Dead: func(string, string) { dead++ },
		Event: func(_ string, e *schema.Event) error {
			shown = append(shown, strings.Join([]string{e.Text(schema.AIAgentUID), e.Text(schema.AIAgentUIDSource), e.Text(schema.UserEmail)}, " "))
			if len(shown) == n {
				return enough
			}
			return nil
		},
	})
	if errors.Is(err, enough) {
		err = nil
	}
	slices.Sort(shown)
	return shown, dead, err
}

// TestTap checks that a tap gives the events of a running aidr, redacted, and needs no state directory.
func TestTap(t *testing.T) {
	input := filepath.Join(folder(t, map[string]string{"x": whose(1, "w-1") + "\n" + whose(2, "") + "\n{\"no\":1}\n"}), "x")
	c := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), nil, false, input)
	c.State.Dir = filepath.Join(t.TempDir(), "none", "such")
	c.Agents = filepath.Join(folder(t, map[string]string{"agents.yaml": "agents: [{uid: agent-7, owner: o, aliases: [w-1]}]\n"}), "agents.yaml")
	withEvents(t, c, "identity: [{dataset: x.test, uid: raw.who}]\nredact: {user.email: hash}\n")
	hash := schema.HashText("ann@example.com")
	shown, dead, err := tapAll(t, c, "last", 0)
	if want := []string{"agent-7 identity.uid " + hash, "nobody  " + hash}; !slices.Equal(shown, want) || dead != 1 || err != nil {
		t.Errorf("got %q, %d dead letters, %v, want %q and one", shown, dead, err, want)
	}
	c.Redact = &schema.Redaction{}
	c.Redact.SetField(schema.UserEmail, schema.Dropped)
	if shown, _, err := tapAll(t, c, "last", 1, "files"); len(shown) != 1 || !strings.HasSuffix(shown[0], " ") || err != nil {
		t.Errorf("got %q, %v, want one event without the address", shown, err)
	}
	if _, _, err := tapAll(t, c, "last", 0, "logs"); err == nil || !strings.Contains(err.Error(), `"logs"`) {
		t.Errorf("a source that is not there: got %v", err)
	}
	c.Rules = []string{filepath.Join(t.TempDir(), "none")}
	if _, _, err := tapAll(t, c, "last", 0); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("rules that do not load: got %v", err)
	}
}

func TestTapOfKafka(t *testing.T) {
	k := conntest.StartFakeKafka(t)
	conntest.CreateTopic(t, k.Addr, "logs", 3)
	for n := range 3 {
		conntest.Produce(t, k.Addr, "logs", n, conntest.Messages(event(n, "leak", string(rune('a'+n)))), nil)
	}
	c := &config.Config{Rules: []string{folder(t, map[string]string{"leak.yaml": leak})}, Sources: []config.Source{
		{Name: "logs", Format: "aidr", Kafka: &config.Kafka{Brokers: []string{k.Addr}, Topics: []string{"logs"}, Group: "g", Start: "last"}},
	}}
	shown, _, err := tapAll(t, c, "first", 3)
	if want := []string{"a  ", "b  ", "c  "}; !slices.Equal(shown, want) || err != nil {
		t.Errorf("got %q, %v, want %q", shown, err, want)
	}
	if c.Sources[0].Kafka.Start != "last" {
		t.Errorf("the configuration was changed: %q", c.Sources[0].Kafka.Start)
	}
}
