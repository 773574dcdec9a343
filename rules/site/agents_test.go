package site_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

var update = flag.Bool("update", false, "rewrite agents.schema.json and AGENTS.md")

// everything is a registry with every key.
const everything = `
agents:
  - uid: bot
    name: Bot
    description: pays invoices
    owner: Ann@Example.com
    sponsor: bob@example.com
    status: active
    expires: 2027-03-31
    tier: high
    aliases: [consumer-7, {uid: bot-k, dataset: kong.http_log}, {uid: night, principal: key}]
    declared: [run-1]
    tools: [read_file, "mail_*", {exact: "what?", calls: "12", first_seen: "2026-01-01", last_seen: "2026-01-02", note: n}, {glob: "x?"}]
    mcp_servers: [files]
    models: [gpt-4o]
    routes: ["/v1/*"]
    destinations: ["*.example.com"]
    cloud_actions: ["s3:Get*"]
    networks: [10.0.0.0/8, "2001:db8::7", {network: 192.0.2.0/24, calls: "7"}]
    workflows: []
    scopes: ["s3.amazonaws.com:read"]
    credentials: [{exact: k1}]
    observed: {identity: metadata.user_api_key_hash, first_seen: "2026-01-01", last_seen: "2026-01-07", calls: "120", failures: "3",
      datasets: litellm, delegated_by: "2", left_out: "1"}
  - {uid: draft, status: proposed, aliases: [draft-alias], declared: [d], tools: [read_file]}
  - {uid: old, owner: carol@example.com, status: retired, aliases: [old-alias]}
owners:
  - {id: ann@example.com, name: Ann, left: 2026-06-30}
  - {id: carol@example.com}
`

func parse(t *testing.T, src string) *site.Agents {
	t.Helper()
	a, ps := site.ParseAgents("agents.yaml", []byte(src))
	if a == nil || len(ps) > 0 {
		t.Fatal(texts(ps))
	}
	return a
}

func TestEveryAttribute(t *testing.T) {
	a := parse(t, everything)
	want := map[string]string{ // of bot
		"registry": "true", "registered": "true", "name": "Bot", "owner": "Ann@Example.com", "sponsor": "bob@example.com", "status": "active",
		"tier": "high", "expires": "2027-04-01T00:00:00Z", "owner_left": "2026-07-01T00:00:00Z", "sponsor_left": "",
		"aliases": `["consumer-7","bot-k","night"]`, "declared": `["run-1"]`, "tools": `["read_file","mail_*","what?","x?"]`,
		"mcp_servers": `["files"]`, "models": `["gpt-4o"]`, "routes": `["/v1/*"]`, "destinations": `["*.example.com"]`,
		"cloud_actions": `["s3:Get*"]`, "networks": `["10.0.0.0/8","2001:db8::7","192.0.2.0/24"]`, "workflows": `[]`,
		"scopes": `["s3.amazonaws.com:read"]`, "credentials": `["k1"]`,
	}
	for _, attr := range site.Attributes() {
		v := a.Attribute("bot", attr.Name)
		got := ""
		switch v.Kind {
		case schema.KindBool:
			got = fmt.Sprint(v.Bool())
		case schema.KindTimestamp:
			got = time.Unix(0, v.Int()).UTC().Format(time.RFC3339)
		case schema.KindString, schema.KindList:
			got = v.Text
		}
		if got != want[attr.Name] {
			t.Errorf("%s: got %q, want %q", attr.Name, got, want[attr.Name])
		}
		if v.Present() && (v.Kind == schema.KindList) != (attr.Type == schema.TypeList) {
			t.Errorf("%s: is of kind %v", attr.Name, v.Kind)
		}
		delete(want, attr.Name)
		if strings.HasPrefix(attr.Name, "registe") {
			continue
		}
		if v := a.Attribute("nobody", attr.Name); v.Present() && attr.Name != "registry" {
			t.Errorf("%s of an unknown agent is %v", attr.Name, v)
		}
	}
	if len(want) > 0 {
		t.Errorf("no attributes: %v", want)
	}
	if a.Attribute("draft", "registered").Bool() || a.Attribute("draft", "status").Text != "proposed" || !a.Attribute("old", "registered").Bool() {
		t.Errorf("a proposed entry is registered, or a retired one is not")
	}
	var zero site.Agents
	if zero.Attribute("a", "registry").Bool() || !parse(t, "agents: []").Attribute("a", "registry").Bool() {
		t.Errorf("agent.registry does not tell an empty registry from none")
	}
}

func TestEveryKind(t *testing.T) {
	a := parse(t, everything)
	f := func(kind string, yes, no []string) {
		t.Helper()
		for _, x := range yes {
			if !a.Allows("bot", kind, x) {
				t.Errorf("%s %q is not allowed", kind, x)
			}
		}
		for _, x := range no {
			if a.Allows("bot", kind, x) {
				t.Errorf("%s %q is allowed", kind, x)
			}
		}
	}
	f("tool", []string{"read_file", "mail_send", "what?", "xy"}, []string{"", "whatX", "x", "READ_FILE"})
	f("mcp_server", []string{"files"}, []string{"file", ""})
	f("model", []string{"gpt-4o"}, []string{"gpt-4"})
	f("route", []string{"/v1/x"}, []string{"/v2"})
	f("destination", []string{"api.example.com"}, []string{"example.com"})
	f("cloud_action", []string{"s3:GetObject"}, []string{"s3:PutObject"})
	f("network", []string{"10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7", "192.0.2.9"}, []string{"11.0.0.1", "", "host", "2001:db8::8"})
	f("workflow", nil, []string{"", "x"})
	f("scope", []string{"s3.amazonaws.com:read"}, []string{"s3.amazonaws.com:delete"})
	f("credential", []string{"k1"}, []string{"k2"})
	f("nonsense", nil, []string{"x"})
	for _, uid := range []string{"draft", "old", "nobody"} {
		if a.Allows(uid, "tool", "read_file") || a.Allows(uid, "model", "m") {
			t.Errorf("%s may use something", uid)
		}
	}
	if !a.Allows("bot/run-1", "tool", "read_file") {
		t.Errorf("a declared id has not the grants of its principal")
	}
	if !a.Entry("bot").Allows(site.Tool, "read_file") || (*site.Entry)(nil).Allows(site.Tool, "x") {
		t.Errorf("an entry allows something else")
	}
}

// A proposed entry joins no identities.
func TestProposedAliasesDoNotCount(t *testing.T) {
	a := parse(t, everything)
	for other, want := range map[string]string{"consumer-7": "bot", "draft-alias": "", "old-alias": "old"} {
		if got := a.Resolve("litellm", other); got != want {
			t.Errorf("%s: got %q, want %q", other, got, want)
		}
	}
	if got := a.Resolve("", schema.DeclaredName("draft", "d")); got != "" {
		t.Errorf("a declared id of a proposed entry is %q", got)
	}
	_, ps := site.ParseAgents("a.yaml", []byte("agents: [{uid: a, status: proposed, aliases: [x]}, {uid: b, status: proposed, aliases: [x]}]"))
	if got, want := texts(ps), `a.yaml:1:89: agents[1].aliases[0]: "x" is already an alias of agent "a": remove one of the two`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestGrantMatch(t *testing.T) {
	a := parse(t, everything)
	for _, k := range site.Kinds() {
		list, restricted := a.Entry("bot").Grants(k)
		if !restricted {
			t.Errorf("%s: not restricted", k)
		}
		for _, x := range []string{"", "read_file", "mail_x", "what?", "whatX", "xy", "files", "gpt-4o", "/v1/1", "a.example.com", "s3:GetX",
			"10.0.0.1", "192.0.2.1", "2001:db8::7", "s3.amazonaws.com:read", "k1"} {
			alone := slices.ContainsFunc(list, func(g site.Grant) bool { return g.Match(k, x) })
			if alone != a.Allows("bot", k.String(), x) {
				t.Errorf("%s %q: one by one %t", k, x, alone)
			}
		}
	}
	if _, restricted := a.Entry("old").Grants(site.Tool); restricted {
		t.Errorf("an entry without a list is restricted")
	}
}

func TestRegistryProblems(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		_, ps := site.ParseAgents("a.yaml", []byte(src))
		if got := texts(ps); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", src, got, want)
		}
	}
	f(`agents: [{uid: a, owner: o, tools: [{exact: x, glob: y}]}]`,
		`a.yaml:1:38: agents[0].tools[0].exact: is set beside glob: keep one of the two`)
	f(`agents: [{uid: a, owner: o, tools: [{calls: "1"}]}]`, `a.yaml:1:37: agents[0].tools[0]: "exact" is missing`)
	f(`agents: [{uid: a, owner: o, networks: [10.0.0.0/40, {exact: 10.0.0.1}]}]`,
		`a.yaml:1:40: agents[0].networks[0]: "10.0.0.0/40" is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1
a.yaml:1:53: agents[0].networks[1]: "network" is missing
a.yaml:1:54: agents[0].networks[1].exact: unknown key; known are calls, first_seen, last_seen, network, note`)
	f(`agents: [{uid: a, owner: o, tools: [{exact: x, calls: 7}]}]`,
		`a.yaml:1:55: agents[0].tools[0].calls: is a whole number, not text: put it into quotes`)
	f("agents: []\nowners: [{id: A@x}, {id: a@x, left: never}, {name: n}]", `a.yaml:2:26: owners[1].id: "a@x" is listed twice: keep one
a.yaml:2:37: owners[1].left: "never" is not a date: write it as 2027-03-31
a.yaml:2:45: owners[2]: "id" is missing`)
	f(`agents: [{uid: a, owner: o, observed: {first: x}}]`,
		`a.yaml:1:40: agents[0].observed.first: unknown key; known are calls, datasets, delegated_by, failures, first_seen, `+
			`identity, last_seen, left_out`)
	f(`agents: [{uid: a, owner: o, tools: ["`+strings.Repeat("x", site.MaxValue+1)+`"]}]`,
		`a.yaml:1:37: agents[0].tools[0]: has 2049 bytes, the limit is 2048: shorten it`)
	f(`agents: [{uid: a, owner: o, tools: [`+strings.Repeat("x,", site.MaxGrants+1)+`]}]`,
		`a.yaml:1:36: agents[0].tools: has 10001 values, the limit is 10000: write patterns such as mail_*`)
}

// TestReference checks that the schema and the reference page are current, that the schema has the keys of the reader, and
// that the page has every key.
func TestReference(t *testing.T) {
	for name, text := range map[string][]byte{"agents.schema.json": site.JSONSchema(), "AGENTS.md": site.Reference()} {
		if *update {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if have, err := os.ReadFile(name); err != nil || string(have) != string(text) {
			t.Errorf("%s is not current (%v): run go test ./rules/site -run TestReference -update", name, err)
		}
	}
	var s struct {
		Properties map[string]any
		Defs       map[string]struct {
			Properties map[string]any
			AnyOf      []struct{ Properties map[string]any }
		} `json:"$defs"`
	}
	if err := json.Unmarshal(site.JSONSchema(), &s); err != nil {
		t.Fatal(err)
	}
	keys := func(m map[string]any) (names []string) {
		for k := range m {
			names = append(names, k)
		}
		slices.Sort(names)
		return names
	}
	for mapping, have := range map[string][]string{
		"":                       keys(s.Properties),
		"agents[0].":             keys(s.Defs["agent"].Properties),
		"agents[0].aliases[0].":  keys(s.Defs["alias"].AnyOf[1].Properties),
		"agents[0].tools[0].":    keys(s.Defs["grant"].AnyOf[1].Properties),
		"agents[0].networks[0].": keys(s.Defs["network"].AnyOf[1].Properties),
		"agents[0].observed.":    keys(s.Defs["observed"].Properties),
		"owners[0].":             keys(s.Defs["owner"].Properties),
	} {
		_, ps := site.ParseAgents("a.yaml", []byte(`{zz: 1, owners: [{zz: 1}],
  agents: [{zz: 1, uid: a, aliases: [{zz: 1}], tools: [{zz: 1}], networks: [{zz: 1}], observed: {zz: 1}}]}`))
		i := slices.IndexFunc(ps, func(p doc.Problem) bool { return p.Key == mapping+"zz" })
		if i < 0 {
			t.Errorf("%s: the reader reports no unknown key", mapping)
			continue
		}
		if _, known, _ := strings.Cut(ps[i].Cause, "known are "); known != strings.Join(have, ", ") {
			t.Errorf("%s: the schema has %s, the reader %s", mapping, strings.Join(have, ", "), known)
		}
		for _, k := range have {
			if !strings.Contains(string(site.Reference()), "| `"+k+"` |") {
				t.Errorf("the reference page lacks %s%s", mapping, k)
			}
		}
	}
}

// A registry of many agents with many grants loads in linear time.
func TestLargeRegistry(t *testing.T) {
	var b strings.Builder
	b.WriteString("agents:\n")
	for i := range 5_000 {
		fmt.Fprintf(&b, "  - uid: \"agent-%d\"\n    owner: o\n    tools: [\n      {exact: \"a\", calls: \"1\"},\n      {exact: \"tool-%d\", calls: \"2\"},\n    ]\n", i, i)
	}
	a := parse(t, b.String())
	if len(a.Entries()) != 5_000 || !a.Allows("agent-4999", "tool", "tool-4999") || a.Allows("agent-4999", "tool", "tool-4998") {
		t.Errorf("got %d entries", len(a.Entries()))
	}
}
