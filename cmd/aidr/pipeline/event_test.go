package pipeline

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/config"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

// withEvents adds the identity, redact and enrichment sections of the text to a configuration.
func withEvents(t *testing.T, c *config.Config, text string) {
	t.Helper()
	parsed, problems := config.Parse("f.yaml", []byte("sources: [{file: {paths: [x]}}]\n"+text), os.LookupEnv)
	if parsed == nil {
		t.Fatal(problems)
	}
	c.Identity, c.Enrichment, c.Redact = parsed.Identity, parsed.Enrichment, parsed.Redact
}

// whose returns a record of format aidr that names its agent in a key of its own.
func whose(n int, who string) string {
	return strings.Replace(event(n, "leak", "nobody"), "}", fmt.Sprintf(`,"user.email":"ann@example.com","who":%q}`, who), 1)
}

// TestIdentityAndAliases checks that the configuration's expression names the agent, that the registry resolves the name,
// and that a change of the registry applies from the next record on. Delivered findings have the fields of redact hashed.
func TestIdentityAndAliases(t *testing.T) {
	e := newEndpoint(t)
	input := filepath.Join(folder(t, map[string]string{"x": whose(1, "w-1") + "\n" + whose(2, "") + "\n"}), "x")
	registry := func(uid string) string { return "agents: [{uid: " + uid + ", owner: o, aliases: [w-1]}]\n" }
	site := folder(t, map[string]string{"agents.yaml": registry("agent-7")})
	rule := strings.Replace(leak, `event.action == "leak"`, `event.action == "leak" && user.email.endsWith("example.com")`, 1)
	c := fileConfig(t, folder(t, map[string]string{"leak.yaml": rule}), e, true, input)
	c.Agents = filepath.Join(site, "agents.yaml")
	withEvents(t, c, "identity: [{dataset: x.test, uid: raw.who}]\nredact: {user.email: hash}\n")
	x := start(t, c)
	e.await(t, "test.leak agent-7 1", "test.leak nobody 1")

	write(t, c.Agents, registry("agent-8"))
	wait(t, "the registry to be read again", func() bool { return strings.Contains(x.logs.String(), "rules reloaded") })
	f, err := os.OpenFile(input, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, whose(3, "w-1"))
	f.Close()
	e.await(t, "test.leak agent-7 1", "test.leak nobody 1", "test.leak agent-8 1")
	x.stop()

	e.mu.Lock()
	defer e.mu.Unlock()
	for _, d := range e.got {
		for _, ev := range d.Data.Evidence {
			if got := ev.Fields["user.email"]; got != schema.HashText("ann@example.com") {
				t.Errorf("user.email: got %v, want its hash", got)
			}
		}
		if named := d.Data.AgentSource == decode.OverrideRung; named != (d.Data.AgentUID != "nobody") {
			t.Errorf("agent_uid_source of %s: got %q", d.Data.AgentUID, d.Data.AgentSource)
		}
	}
}

// An enrichment file that cannot be read is an error at the start, and of config check.
func TestEnrichmentIsToldAtTheStart(t *testing.T) {
	c := fileConfig(t, folder(t, map[string]string{"leak.yaml": leak}), newEndpoint(t), false, "x")
	withEvents(t, c, "enrichment: {country: "+filepath.Join(t.TempDir(), "none.mmdb")+"}\n")
	if _, err := New(c, Options{}); err == nil || !strings.Contains(err.Error(), "none.mmdb") {
		t.Errorf("new: got %v", err)
	}
	if _, err := Check(c); err == nil || !strings.Contains(err.Error(), "none.mmdb") {
		t.Errorf("check: got %v", err)
	}
}
