package config

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/schema"
)

const source = "sources:\n  - file: {paths: [a]}\n"

func TestEvents(t *testing.T) {
	c, problems := person(source + `
identity:
  - {dataset: kong.http_log, uid: 'raw.request.headers["x-agent-id"]'}
  - {dataset: litellm, uid: 'has(raw.metadata.bot) ? raw.metadata.bot : client.app.id'}
enrichment: {country: /geo/c.mmdb, asn: /geo/a.mmdb}
redact:
  message_context.prompt_text: drop
  user.email: hash
  ai_agent.name: keep
  raw.request.body: drop
  dead_letters: hash
`)
	if len(problems) > 0 {
		t.Fatalf("got %v", problems)
	}
	if c.Enrichment != (Enrichment{Country: "/geo/c.mmdb", ASN: "/geo/a.mmdb"}) {
		t.Errorf("got %+v", c.Enrichment)
	}
	if n := len(c.Identity.Datasets); n != 2 || c.Identity.Datasets[0].Dataset != "kong.http_log" || len(c.Identity.Raws) != 2 {
		t.Fatalf("got %+v", c.Identity)
	}
	e := &schema.Event{Raws: []schema.Value{schema.StringValue("bot-1"), {}}}
	e.SetText(schema.ClientAppID, "app")
	s := predicate.NewScratch()
	for i, want := range []string{"bot-1", "app"} {
		if got, err := c.Identity.Datasets[i].UID.Eval(e, s); got != want || err != nil {
			t.Errorf("expression %d: got %q, %v, want %q", i, got, err, want)
		}
	}
	for field, want := range map[schema.Field]schema.Exposure{
		schema.MessageContextPromptText: schema.Dropped, schema.UserEmail: schema.Hashed,
		schema.AIAgentName: schema.Kept, schema.UserID: schema.Redacted,
	} {
		if got := c.Redact.Field(field); got != want {
			t.Errorf("%s: got %d, want %d", field, got, want)
		}
	}
	if c.Redact.Raw([]string{"request", "body", "x"}) != schema.Dropped || c.Redact.DeadLetters() != schema.Hashed {
		t.Errorf("got %d, %d", c.Redact.Raw([]string{"request", "body", "x"}), c.Redact.DeadLetters())
	}
}

func TestEventsAbsent(t *testing.T) {
	c, problems := person(source)
	if len(problems) > 0 || c.Identity != nil || c.Redact != nil || c.Enrichment != (Enrichment{}) {
		t.Errorf("got %+v, %v", c, problems)
	}
}

// A dead letter holds a whole record: if it is not listed, it gets the strictest exposure of the listed fields.
func TestDeadLettersFollowTheStrictest(t *testing.T) {
	f := func(redact string, want schema.Exposure) {
		t.Helper()
		c, problems := person(source + "redact: " + redact)
		if len(problems) > 0 {
			t.Fatalf("%s: %v", redact, problems)
		}
		if got := c.Redact.DeadLetters(); got != want {
			t.Errorf("%s: got %d, want %d", redact, got, want)
		}
	}
	f("{user.email: hash}", schema.Hashed)
	f("{user.email: hash, raw.a: drop}", schema.Dropped)
	f("{user.email: keep}", schema.Redacted)
	f("{user.email: drop, dead_letters: keep}", schema.Kept)
	f("{dead_letters: drop}", schema.Dropped)
}

func TestEventProblems(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		_, problems := person(source + text)
		var all []string
		for _, p := range problems {
			all = append(all, p.String())
		}
		if got := strings.Join(all, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: got\n%s\nwant %q", text, got, want)
		}
	}
	f(`identity: [{dataset: litellm, uid: 'user.nam'}]`, "f.yaml:3:41: identity[0].uid: there is no field user.nam: did you mean user.name?")
	f(`identity: [{dataset: litellm, uid: 'user.name == ""'}]`, "the expression must give a text")
	f(`identity: [{dataset: litellm, uid: raw.headers.authorization}]`, "holds a credential")
	f(`identity: [{dataset: litellm, uid: agent.owner}]`, "agent.owner")
	f(`identity: [{dataset: litellm, uid: 7}]`, "is a whole number, not text")
	f(`identity: [{dataset: litellm}]`, `"uid" is missing`)
	f(`identity: [{uid: user.name}]`, `"dataset" is missing`)
	f(`identity: [{dataset: litelm, uid: user.name}]`, `no format gives the dataset "litelm"`)
	f(`identity: [{dataset: litellm, uid: user.name}, {dataset: litellm, uid: user.id}]`, "has an expression above")
	f(`identity: {dataset: litellm}`, "not a list")
	f(`enrichment: {}`, "names no file")
	f(`enrichment: {contry: x}`, "did you mean country?")
	f(`redact: {user.mail: drop}`, "is not a field that findings can show")
	f(`redact: {event.raw_ref: drop}`, "is not a field that findings can show")
	f(`redact: {raw.: drop}`, "is not a field that findings can show")
	f(`redact: {user.email: hide}`, `"hide" is not one of keep, hash, drop`)
	f(`redact: [user.email]`, "is a list, not a mapping")
}
