package agents

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
)

// day returns the start of a day of January 2026.
func day(n int) schema.Instant {
	return schema.InstantOf(time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC))
}

func use(name string, count int64, first, last int) schema.Use {
	return schema.Use{Name: name, Count: count, FirstSeen: day(first), LastSeen: day(last)}
}

// row returns the row of an agent at LiteLLM.
func row(uid string, uses map[schema.UseKind][]schema.Use) *schema.Agent {
	a := &schema.Agent{
		AgentUID: uid, AgentName: uid + "-bot", AgentSource: "metadata.user_api_key_hash", FirstSeen: day(1), LastSeen: day(7),
		Totals: schema.Totals{Events: 100, Success: 97, Failure: 3},
	}
	a.Uses[schema.UseDataset] = []schema.Use{use("litellm", 100, 1, 7)}
	for k, list := range uses {
		a.Uses[k] = list
	}
	return a
}

func calls(dataset string) bool { return dataset == "litellm" || dataset == "kong.http_log" }

func observed(rows ...*schema.Agent) *Observed {
	o := &Observed{}
	for _, r := range rows {
		o.AddAgent(r)
	}
	return o
}

func learn(t testing.TB, o *Observed, opts LearnOptions) *Learnt {
	t.Helper()
	opts.Calls = calls
	l, err := Learn(o, opts)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func parse(t testing.TB, text string) *site.Agents {
	t.Helper()
	a, problems := site.ParseAgents("agents.yaml", []byte(text))
	if a == nil {
		t.Fatalf("%v\n%s", problems, text)
	}
	return a
}

// approved returns a learnt registry as a reviewer leaves it who accepts everything.
func approved(l *Learnt) string {
	return strings.ReplaceAll(string(l.YAML), "    status: proposed\n", "    status: active\n    owner: reviewer\n")
}

func TestLearn(t *testing.T) {
	bot := row("k1", map[schema.UseKind][]schema.Use{
		schema.UseTool:       {use("*", 2, 5, 6), use("read_mail", 40, 1, 7)},
		schema.UseModel:      {use("gpt-4o", 60, 1, 7)},
		schema.UseNetwork:    {use("10.20.0.0/24", 100, 1, 7), use("gateway-pod", 3, 1, 7)},
		schema.UseCredential: {use("k1", 100, 1, 7)},
		schema.UseOnBehalfOf: {use("ann", 5, 1, 7), use("bob", 5, 1, 7)},
		schema.UseRoute:      {use("/v1/"+strings.Repeat("x", longestName), 4, 1, 7), use("[redacted:aws:1]", 2, 1, 7)},
	})
	bot.Omitted[schema.UseTool] = 7
	role := row("arn:aws:iam::1:role/x", map[schema.UseKind][]schema.Use{
		schema.UseDataset: {use("aws.cloudtrail", 9, 1, 7)}, schema.UseCredential: {use("AKIA1", 3, 1, 7), use("ASIA2", 6, 1, 7)},
		schema.UseCloudAction: {use("s3:GetObject", 9, 1, 7)},
	})
	address := row("10.0.0.9|curl", nil)
	address.AgentSource = addressSource
	long := row(strings.Repeat("u", longestName), nil)
	o := observed(role, address, bot, long)

	got := learn(t, o, LearnOptions{})
	const want = `agents:
  - uid: "k1"
    name: "k1-bot"
    status: proposed
    observed:
      identity: "metadata.user_api_key_hash"
      first_seen: "2026-01-01T00:00:00Z"
      last_seen: "2026-01-07T00:00:00Z"
      calls: "100"
      failures: "3"
      datasets: "litellm"
      delegated_by: "2"
      left_out: "13"
    tools: [
      {exact: "*", calls: "2", first_seen: "2026-01-05T00:00:00Z", last_seen: "2026-01-06T00:00:00Z"},
      {exact: "read_mail", calls: "40", first_seen: "2026-01-01T00:00:00Z", last_seen: "2026-01-07T00:00:00Z"},
    ]
    models: [
      {exact: "gpt-4o", calls: "60", first_seen: "2026-01-01T00:00:00Z", last_seen: "2026-01-07T00:00:00Z"},
    ]
    networks: [
      {network: "10.20.0.0/24", calls: "100", first_seen: "2026-01-01T00:00:00Z", last_seen: "2026-01-07T00:00:00Z"},
    ]
    credentials: [
      {exact: "k1", calls: "100", first_seen: "2026-01-01T00:00:00Z", last_seen: "2026-01-07T00:00:00Z"},
    ]
`
	if text := string(got.YAML); !strings.HasSuffix(text, want) || strings.Count(text, "\n") != strings.Count(want, "\n")+2 {
		t.Errorf("got\n%s", text)
	}
	if got.Agents != 1 || got.Audit != 1 || got.Addresses != 1 || got.Unfit != 1 {
		t.Errorf("got %+v", *got)
	}
	a := parse(t, approved(got))
	if !a.Allows("k1", "tool", "*") || a.Allows("k1", "tool", "shell") || !a.Allows("k1", "network", "10.20.0.7") {
		t.Errorf("the learnt registry allows something else")
	}
	if p := parse(t, string(got.YAML)); p.Allows("k1", "tool", "read_mail") || p.Entry("k1").Registered() {
		t.Errorf("a proposed entry approves something")
	}

	all := string(learn(t, o, LearnOptions{All: true, Without: []site.Kind{site.Tool}, Strict: true}).YAML)
	if !strings.Contains(all, "role/x") || !strings.Contains(all, "cloud_actions: [\n") || strings.Contains(all, "    tools:") ||
		strings.Contains(all, "AKIA1") || !strings.Contains(all, "mcp_servers: []") {
		t.Errorf("got\n%s", all)
	}
	known := parse(t, "agents: [{uid: bot, owner: o, aliases: [k1]}]")
	if l := learn(t, o, LearnOptions{Known: known}); l.Registered != 1 || !strings.HasSuffix(string(l.YAML), "agents: []\n") {
		t.Errorf("got %+v\n%s", *l, l.YAML)
	}
	recent := learn(t, observed(bot, row("k2", map[schema.UseKind][]schema.Use{schema.UseTool: {use("old", 1, 1, 2), use("new", 1, 1, 7)}})),
		LearnOptions{Within: 2 * 24 * time.Hour})
	if strings.Contains(string(recent.YAML), `"old"`) || !strings.Contains(string(recent.YAML), `"new"`) {
		t.Errorf("got\n%s", recent.YAML)
	}
}

// The result depends on the rows, not on their order, and rows of several tenants are one agent.
func TestLearnIsDeterministic(t *testing.T) {
	var rows []*schema.Agent
	for i := range 50 {
		r := row(fmt.Sprintf("k%d", i%20), map[schema.UseKind][]schema.Use{schema.UseTool: {use(fmt.Sprintf("t%d", i%7), 2, 1, 5), use("z", 1, 2, 6)}})
		r.Tenant, r.AgentName = fmt.Sprintf("tenant-%d", i/20), fmt.Sprintf("name-%d", i)
		rows = append(rows, r)
	}
	want := learn(t, observed(rows...), LearnOptions{})
	for seed := range uint64(20) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
		if got := learn(t, observed(rows...), LearnOptions{}); string(got.YAML) != string(want.YAML) {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, got.YAML, want.YAML)
		}
	}
	if want.Agents != 20 || !strings.Contains(string(want.YAML), `calls: "300"`) {
		t.Errorf("got\n%s", want.YAML)
	}
}

// hostile are texts that try to leave their scalar, to run something in a terminal or to look like something else.
var hostile = []string{
	"\"", "\\", "\\\"", "'", "a\"}\n  - uid: evil\n    status: active", "a: b", "# comment", "x #y", "- x", "[a, b]", "{a: b}", "}, {exact: \"all\"",
	"*", "?", "&a", "*a", "!!binary x", "<<: x", "%YAML 1.2", "---", "...", "|", ">", "|\n  x", "~", "null", "true", "0x10", "1e3", "2026-01-01", "@x", "`x`",
	"\n", "\r\n", "a\nstatus: active\n", "\t", "\x00", "\x1b[2J\x1b[31mred", "\x1b]0;title\x07", "\x7f", "\u0085", "\u2028\u2029", "\ufeffx",
	"abc\u202edcba", "\u2066x\u2069", "\u200bzero", "\u05e9\u05dc\u05d5\u05dd", "p\u0430ypal", "e\u0301", "\U000e0041tag", "\U0001f600", "\ufffd",
	" leading", "trailing ", "  ", strings.Repeat("a", 499), "${jndi:ldap://x}", "{{7*7}}", "<script>", "=cmd|' /C calc'!A0", "a\u0000b",
}

var safe = regexp.MustCompile(`^[ -~\n]*$`)

// Whatever the texts of logs are, a learnt registry loads, holds them as they are, is plain ASCII in lines of its own, and
// approves nothing.
func TestLearntTextIsOnlyQuoted(t *testing.T) {
	for _, text := range hostile {
		uses := map[schema.UseKind][]schema.Use{}
		for _, k := range site.Kinds() {
			if u, ok := useOf(k); ok {
				uses[u] = []schema.Use{use(text, 1, 1, 7)}
			}
		}
		r := row(text, uses)
		r.AgentName, r.AgentSource = text+"n", text
		r.Uses[schema.UseDataset] = append(r.Uses[schema.UseDataset], use(text, 1, 1, 7))
		l := learn(t, observed(r), LearnOptions{})
		checkLearnt(t, l, text)
	}
}

func checkLearnt(t testing.TB, l *Learnt, text string) {
	t.Helper()
	if !safe.Match(l.YAML) {
		t.Fatalf("%q: the registry is not plain ASCII:\n%s", text, l.YAML)
	}
	for line := range strings.Lines(string(l.YAML)) {
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# Written by") && !strings.HasPrefix(line, "# and change") {
			t.Fatalf("%q: a comment %q", text, line)
		}
	}
	a := parse(t, string(l.YAML))
	if len(a.Entries()) != l.Agents || l.Agents > 1 {
		t.Fatalf("%q: %d entries", text, len(a.Entries()))
	}
	for _, e := range a.Entries() {
		if e.Status != site.Proposed || e.UID != text || e.Owner != "" || len(e.Aliases)+len(e.Declared) > 0 {
			t.Fatalf("%q: the entry is %+v", text, *e)
		}
		for _, k := range site.Kinds() {
			list, _ := e.Grants(k)
			for _, g := range list {
				if !g.Exact && k != site.Network || g.Text != text {
					t.Fatalf("%q: %s has %+v", text, k, g)
				}
			}
		}
		active := parse(t, approved(l))
		for _, other := range []string{"all", "evil", "a", "x", ""} {
			if other != text && active.Allows(text, "tool", other) {
				t.Fatalf("%q approves the tool %q", text, other)
			}
		}
	}
}

func FuzzLearntText(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		r := row(text, map[schema.UseKind][]schema.Use{schema.UseTool: {use(text, 1, 1, 7)}, schema.UseNetwork: {use(text, 1, 1, 7)}})
		r.AgentName = text
		l, err := Learn(observed(r), LearnOptions{Calls: calls})
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if utf8.ValidString(text) {
			if _, problems := site.ParseAgents("x", l.YAML); len(problems) > 0 {
				t.Fatal(problems)
			}
		}
		if !safe.Match(l.YAML) {
			t.Fatalf("%q: the registry is not plain ASCII", text)
		}
	})
}

func lines(all []Difference) string {
	var b strings.Builder
	for i := range all {
		fmt.Fprintf(&b, "%s %s\n", all[i].Kind, all[i].String())
	}
	return b.String()
}

func TestDiff(t *testing.T) {
	registry := parse(t, `agents:
  - {uid: k1, name: mail-bot, owner: ann, tools: [read_mail, "send_*", never], models: ["gpt*"], networks: [10.20.0.0/16, 10.99.0.1], aliases: [k1-old]}
  - {uid: k2, owner: bob, status: proposed}
  - {uid: k3, owner: bob, status: retired}
  - {uid: k4, owner: gone, expires: 2026-01-05}
  - {uid: k5}
  - {uid: k6, owner: ann, declared: [night], tools: []}
owners: [{id: gone, left: 2026-01-03}]
`)
	k1 := row("k1", map[schema.UseKind][]schema.Use{
		schema.UseTool: {use("read_mail", 40, 1, 7), use("run_shell", 2, 3, 4)}, schema.UseModel: {use("gpt-4o", 9, 1, 7)},
		schema.UseNetwork: {use("10.20.3.0/24", 9, 1, 7), use("203.0.113.0/24", 1, 6, 6), use("pod", 1, 6, 6)},
	})
	old := row("k1-old", map[schema.UseKind][]schema.Use{schema.UseTool: {use("send_mail", 1, 1, 2)}})
	shadow := row("shadow", nil)
	audit := row("arn:aws:iam::1:role/x", map[schema.UseKind][]schema.Use{schema.UseDataset: {use("aws.cloudtrail", 9, 1, 7)}})
	night := row("k6/night", map[schema.UseKind][]schema.Use{schema.UseTool: {use("t", 1, 7, 7)}})
	o := observed(k1, old, row("k2", nil), row("k3", nil), row("k4", nil), shadow, audit, night)
	for _, c := range []struct {
		uid    string
		agents []schema.Use
	}{
		{"shared", []schema.Use{use("k1", 5, 1, 7), use("shadow", 4, 2, 6)}},
		{"own", []schema.Use{use("k1", 5, 1, 7), use("k1-old", 4, 2, 6)}},
		{"k1", []schema.Use{use("k1", 5, 1, 7), use("k2", 4, 2, 6)}},
	} {
		r := &schema.Credential{CredentialUID: c.uid}
		r.Uses[schema.UseAgent] = c.agents
		o.AddCredential(r)
	}
	got := lines(Diff(registry, o, DiffOptions{Calls: calls}))
	const want = `shadow_agent shadow-bot (shadow): 100 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
proposed_agent k2-bot (k2): 100 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
retired_agent k3-bot (k3): 100 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
expired_agent k4-bot, since 2026-01-06T00:00:00Z: 100 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
owner_left k4-bot, since 2026-01-04T00:00:00Z: 100 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
outside mail-bot: network 203.0.113.0/24: 1 calls from 2026-01-06T00:00:00Z to 2026-01-06T00:00:00Z
outside mail-bot: tool run_shell: 2 calls from 2026-01-03T00:00:00Z to 2026-01-04T00:00:00Z
outside k6/night-bot: tool t: 1 calls from 2026-01-07T00:00:00Z to 2026-01-07T00:00:00Z
shared_credential shared by k1, shadow: 9 calls from 2026-01-01T00:00:00Z to 2026-01-07T00:00:00Z
unused_grant mail-bot: network 10.99.0.1
unused_grant mail-bot: tool never
unseen_agent k5
no_owner k5
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	all := Diff(registry, o, DiffOptions{Calls: calls, All: true, Within: 2 * 24 * time.Hour})
	if text := lines(all); !strings.Contains(text, "role/x") || strings.Contains(text, "run_shell") || !strings.Contains(text, "tool send_*") {
		t.Errorf("got\n%s", text)
	}
	for _, x := range all {
		if x.Violation != x.Kind.Violation() || x.Kind.Title() == string(x.Kind) {
			t.Errorf("%+v", x)
		}
	}
}

// A registry that was learnt and approved has no violation among the same observations but shared credentials.
func TestLearntRegistryCoversWhatWasObserved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String())
		var rows []*schema.Agent
		for i := range rapid.IntRange(1, 5).Draw(t, "agents") {
			uses := map[schema.UseKind][]schema.Use{}
			for _, k := range site.Kinds() {
				u, ok := useOf(k)
				if !ok || k == site.Network || !rapid.Bool().Draw(t, "used") {
					continue
				}
				for _, n := range rapid.SliceOfNDistinct(name, 0, 4, rapid.ID).Draw(t, "names") {
					if fit(n) && !strings.HasPrefix(n, "ASIA") {
						uses[u] = append(uses[u], use(n, 1, 1, 7))
					}
				}
				slices.SortFunc(uses[u], func(a, b schema.Use) int { return strings.Compare(a.Name, b.Name) })
			}
			rows = append(rows, row(fmt.Sprintf("agent-%d", i), uses))
		}
		o := observed(rows...)
		l, err := Learn(o, LearnOptions{Calls: calls, Strict: rapid.Bool().Draw(t, "strict")})
		if err != nil {
			t.Fatal(err)
		}
		registry, problems := site.ParseAgents("x", []byte(approved(l)))
		if registry == nil {
			t.Fatal(problems)
		}
		if diff := Diff(registry, o, DiffOptions{Calls: calls}); len(diff) > 0 {
			t.Fatalf("%s\n%s", lines(diff), l.YAML)
		}
	})
}
