package site_test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
	"github.com/aidr-engine/aidr/rules/site"
	"github.com/aidr-engine/aidr/schema"
	"pgregory.net/rapid"
)

// The interfaces that the rule language needs.
var (
	_ predicate.List     = (*site.List)(nil)
	_ predicate.Registry = (*site.Agents)(nil)
)

func texts(ps []doc.Problem) string {
	var b strings.Builder
	for _, p := range ps {
		fmt.Fprintln(&b, p)
	}
	return strings.TrimSpace(b.String())
}

func list(t *testing.T, src string) *site.List {
	t.Helper()
	l, ps := site.ParseList("lists/l.yaml", []byte(src))
	if l == nil || len(ps) > 0 {
		t.Fatalf("%q: %s", src, texts(ps))
	}
	return l
}

func TestListContains(t *testing.T) {
	f := func(l *site.List, holds, lacks []string) {
		t.Helper()
		for _, s := range holds {
			if !l.Contains(s) {
				t.Errorf("%s: %q not found", l.Type, s)
			}
		}
		for _, s := range lacks {
			if l.Contains(s) {
				t.Errorf("%s: %q found", l.Type, s)
			}
		}
	}
	f(list(t, "values: [a, b.example, 'C d']"), []string{"a", "b.example", "C d"}, []string{"", "A", "b", "c d", "a "})
	f(list(t, "type: cidrs\nvalues: [10.0.0.0/8, 192.0.2.7, '2001:db8::/32', '::ffff:198.51.100.0/120', 10.1.2.3/16]"),
		[]string{"10.0.0.0", "10.255.1.2", "192.0.2.7", "2001:db8:1::9", "198.51.100.255", "::ffff:10.1.1.1", "::ffff:198.51.100.1"},
		[]string{"", "11.0.0.1", "192.0.2.8", "2001:db9::1", "host.example", "10.0.0", "10.0.0.0/8", "010.0.0.1", "1", ":", "198.51.101.0"})
	f(list(t, "type: cidrs\nvalues: ['0.0.0.0/0']"), []string{"1.2.3.4"}, []string{"::1", "x"})
	f(list(t, "type: globs\nvalues: [exact.example, '*.webhook.site', 'bot-*', 'a*c', 'x?z', '*mid*']"),
		[]string{"exact.example", "q.webhook.site", ".webhook.site", "bot-", "bot-9", "ac", "abbc", "xyz", "x\u00e4z", "amidst", "mid"},
		[]string{"", "exact.example.com", "webhook.site", "bo", "abcd", "xz", "xyyz"})
	f(list(t, "type: globs\nvalues: ['*']"), []string{"", "anything"}, nil)
}

func TestListLiterals(t *testing.T) {
	l := list(t, "description: d\nvalues: [b, a]\n")
	values, ok := l.Literals()
	if !ok || strings.Join(values, ",") != "a,b" || l.Size() != 2 || l.Name != "l" {
		t.Errorf("got %v %t %d %q", values, ok, l.Size(), l.Name)
	}
	if _, ok := list(t, "type: globs\nvalues: [a]").Literals(); ok {
		t.Errorf("a list of globs returned literals")
	}
}

func TestListProblems(t *testing.T) {
	f := func(name, src, want string) {
		t.Helper()
		l, ps := site.ParseList(name, []byte(src))
		if got := texts(ps); got != strings.TrimSpace(want) {
			t.Errorf("%q: got\n%s\nwant\n%s", src, got, want)
		}
		if failed := !strings.Contains(want, "twice"); failed != (l == nil) {
			t.Errorf("%q: list is %v", src, l)
		}
	}
	f("x/bad-name.yaml", "values: [a]", `
x/bad-name.yaml:1:1: a list has the name of its file, and "bad-name" cannot be written in a rule: rename the file, using a-z, 0-9 and _`)
	f("x/l.yaml", "type: regex\nvalues: [1, a]\nvalue: b", `
x/l.yaml:1:7: type: "regex" is not one of strings, cidrs, globs
x/l.yaml:2:10: values[0]: is a whole number, not text: put it into quotes
x/l.yaml:3:1: value: unknown key: did you mean values?; known are description, type, values`)
	f("x/l.yaml", "type: cidrs\nvalues: [10.0.0.0/33, fe80::1%eth0, '::ffff:0.0.0.0/90']", `
x/l.yaml:2:10: values[0]: "10.0.0.0/33" is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1
x/l.yaml:2:23: values[1]: "fe80::1%eth0" is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1
x/l.yaml:2:37: values[2]: "::ffff:0.0.0.0/90" is neither an address nor a network: write it as 10.0.0.0/8 or 2001:db8::1`)
	f("x/l.yaml", "values: [a, a]", `x/l.yaml:1:13: values[1]: "a" is listed twice: remove one`)
	f("x/l.yaml", "values: ["+strings.Repeat("a", site.MaxValue+1)+"]", `x/l.yaml:1:10: values[0]: has 2049 bytes, the limit is 2048: shorten it`)
	f("x/l.yaml", "", "x/l.yaml:1:1: the file is empty")
}

// TestNetworksMatchNetip checks the look-up by prefix length against netip.Prefix.Contains for every network.
func TestNetworksMatchNetip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.OneOf(
			rapid.Custom(func(t *rapid.T) netip.Addr {
				b := rapid.SliceOfN(rapid.ByteRange(0, 3), 4, 4).Draw(t, "v4")
				return netip.AddrFrom4([4]byte(b))
			}),
			rapid.Custom(func(t *rapid.T) netip.Addr {
				b := rapid.SliceOfN(rapid.ByteRange(0, 3), 16, 16).Draw(t, "v6")
				return netip.AddrFrom16([16]byte(b))
			}))
		var prefixes []netip.Prefix
		var src strings.Builder
		src.WriteString("type: cidrs\nvalues:\n")
		for range rapid.IntRange(1, 8).Draw(t, "networks") {
			a := address.Draw(t, "base")
			p := netip.PrefixFrom(a, rapid.IntRange(0, a.BitLen()).Draw(t, "bits"))
			prefixes = append(prefixes, p)
			fmt.Fprintf(&src, "  - '%s'\n", p)
		}
		l, ps := site.ParseList("l.yaml", []byte(src.String()))
		if l == nil {
			t.Fatalf("%s", texts(ps))
		}
		a := address.Draw(t, "address")
		want := false
		for _, p := range prefixes {
			want = want || p.Contains(a)
		}
		if got := l.Contains(a.String()); got != want {
			t.Errorf("%s in %v: got %t, want %t", a, prefixes, got, want)
		}
	})
}

// TestGlobsAreWhatARegexpSays checks lists of globs against regexp: with the pattern alone in a list, and with others that
// are found in other ways.
func TestGlobsAreWhatARegexpSays(t *testing.T) {
	letters := rapid.StringOfN(rapid.RuneFrom([]rune("ab*?\u00e4.")), 1, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		pattern, text := letters.Draw(t, "pattern"), letters.Draw(t, "text")
		spelled := strings.NewReplacer(`\*`, `(?s:.*)`, `\?`, `(?s:.)`).Replace(regexp.QuoteMeta(pattern))
		want := regexp.MustCompile("^" + spelled + "$").MatchString(text)
		for _, others := range []string{"", ", zzz, 'zz*', '*zz', 'z*z'"} {
			l, ps := site.ParseList("l.yaml", []byte("type: globs\nvalues: ['"+pattern+"'"+others+"]"))
			if l == nil {
				t.Fatalf("%s", texts(ps))
			}
			if got := l.Contains(text); got != want {
				t.Errorf("list of %q%s on %q: got %t, want %t", pattern, others, text, got, want)
			}
		}
	})
}

const registry = `
agents:
  - {uid: a1, name: invoice-bot, owner: finance, tier: high, expires: 2027-03-31, tools: [read_file, "mail_*"], models: []}
  - {uid: a2, owner: ops, status: suspended, routes: ["/v1/*"], destinations: ["*.example.com"]}
`

func TestAgents(t *testing.T) {
	a, ps := site.ParseAgents("agents.yaml", []byte(registry))
	if a == nil || len(ps) > 0 {
		t.Fatal(texts(ps))
	}
	attribute := func(uid, name string, want schema.Value) {
		t.Helper()
		if got := a.Attribute(uid, name); got != want {
			t.Errorf("%s of %s: got %v, want %v", name, uid, got, want)
		}
	}
	attribute("a1", "registered", schema.BoolValue(true))
	attribute("a3", "registered", schema.BoolValue(false))
	attribute("a1", "owner", schema.StringValue("finance"))
	attribute("a1", "status", schema.StringValue("active"))
	attribute("a2", "status", schema.StringValue("suspended"))
	attribute("a1", "tier", schema.StringValue("high"))
	attribute("a2", "tier", schema.Value{})
	attribute("a2", "name", schema.Value{})
	attribute("a3", "owner", schema.Value{})
	attribute("a1", "nonsense", schema.Value{})
	attribute("a1", "expires", schema.TimestampValue(1_806_537_600_000_000_000)) // 2027-04-01T00:00:00Z
	allows := func(uid, kind, x string, want bool) {
		t.Helper()
		if got := a.Allows(uid, kind, x); got != want {
			t.Errorf("%s allowed %s %q: got %t, want %t", uid, kind, x, got, want)
		}
	}
	allows("a1", "tool", "read_file", true)
	allows("a1", "tool", "mail_send", true)
	allows("a1", "tool", "shell", false)
	allows("a1", "model", "gpt-4o", false) // an empty list allows nothing
	allows("a1", "route", "/anything", true)
	allows("a2", "route", "/v1/x", false)    // suspended
	allows("a3", "tool", "read_file", false) // not registered
	var zero site.Agents
	if zero.Allows("a", "tool", "x") || zero.Attribute("a", "registered").Bool() || len(zero.UIDs()) != 0 {
		t.Errorf("the zero registry has an agent")
	}
	if got := strings.Join(a.UIDs(), ","); got != "a1,a2" {
		t.Errorf("got %s", got)
	}
}

func TestAgentProblems(t *testing.T) {
	_, ps := site.ParseAgents("agents.yaml", []byte(`agents:
  - {uid: a1, name: x}
  - {uid: a1, owner: o, status: gone, aliases: [b]}
  - {owner: o, expires: soon, tool: [x]}
  - uid: 7
`))
	const want = `agents.yaml:2:5: agents[0]: agent "a1" has no owner: name the person or team to contact about its findings
agents.yaml:3:11: agents[1].uid: "a1" is registered twice: keep one entry
agents.yaml:3:33: agents[1].status: "gone" is not one of proposed, active, suspended, retired
agents.yaml:4:5: agents[2]: "uid" is missing
agents.yaml:4:25: agents[2].expires: "soon" is not a date: write it as 2027-03-31
agents.yaml:4:31: agents[2].tool: unknown key: did you mean tools?; known are aliases, cloud_actions, ` +
		`credentials, declared, description, destinations, expires, mcp_servers, models, name, networks, observed, owner, routes, scopes, ` +
		`sponsor, status, tier, tools, uid, workflows
agents.yaml:5:10: agents[3].uid: is a whole number, not text: put it into quotes`
	if got := texts(ps); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestAliases(t *testing.T) {
	a, ps := site.ParseAgents("agents.yaml", []byte(`agents:
  - uid: bot
    owner: o
    aliases: [consumer-7, 'arn:aws:iam::1:role/bot', {uid: shared, dataset: kong.http_log}]
  - {uid: other, owner: o, aliases: [{uid: shared, dataset: litellm}, {uid: shared}], declared: [run-1, run-2]}
  - {uid: other/run-2, owner: p}
  - {uid: third, owner: p, aliases: [{uid: run-3, principal: key}]}
`))
	if a == nil || len(ps) > 0 || !a.HasAliases() {
		t.Fatalf("got %s", texts(ps))
	}
	f := func(dataset, uid, want string) {
		t.Helper()
		if got := a.Resolve(dataset, uid); got != want {
			t.Errorf("%s %s: got %q, want %q", dataset, uid, got, want)
		}
	}
	f("kong.http_log", "consumer-7", "bot")
	f("", "arn:aws:iam::1:role/bot", "bot")
	f("kong.http_log", "shared", "bot")
	f("litellm", "shared", "other")
	f("aws.cloudtrail", "shared", "other")
	f("litellm", "bot", "")
	f("litellm", schema.DeclaredName("other", "run-1"), "other/run-1")
	f("litellm", schema.DeclaredName("other", "run-2"), "other/run-2")
	f("litellm", schema.DeclaredName("key", "run-3"), "third")
	f("litellm", schema.DeclaredName("bot", "run-1"), "")
	f("litellm", "other/run-1", "")
	f("litellm", "run-3", "")
	for uid, owner := range map[string]string{"other/run-1": "o", "other/run-2": "p"} {
		if got := a.Attribute(uid, "owner").Text; got != owner {
			t.Errorf("owner of %s: got %q, want %q", uid, got, owner)
		}
	}
	f("litellm", "", "")
	if n := testing.AllocsPerRun(100, func() { a.Resolve("kong.http_log", "shared") }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	var zero site.Agents
	if zero.HasAliases() || zero.Resolve("x", "y") != "" {
		t.Errorf("the zero registry has aliases")
	}
}

func TestAliasProblems(t *testing.T) {
	a, ps := site.ParseAgents("agents.yaml", []byte(`agents:
  - {uid: a, owner: o, aliases: [a, b, x]}
  - {uid: b, owner: o, aliases: [x, "", {dataset: litellm}, {uid: y, dateset: litellm}, 7]}
`))
	const want = `agents.yaml:2:34: agents[0].aliases[0]: "a" is the agent's own uid: remove the alias
agents.yaml:2:37: agents[0].aliases[1]: "b" is registered as an agent of its own: remove that entry or this alias
agents.yaml:3:34: agents[1].aliases[0]: "x" is already an alias of agent "a": remove one of the two
agents.yaml:3:37: agents[1].aliases[1]: is blank: write something or leave the key out
agents.yaml:3:41: agents[1].aliases[2]: "uid" is missing
agents.yaml:3:70: agents[1].aliases[3].dateset: unknown key: did you mean dataset?; known are dataset, principal, uid
agents.yaml:3:89: agents[1].aliases[4]: is a whole number, not text: put it into quotes`
	if got := texts(ps); got != want || a != nil {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestLookUpsAllocateNothing(t *testing.T) {
	values := make([]string, 100_000)
	for i := range values {
		values[i] = fmt.Sprintf("h%d.example", i)
	}
	hosts := list(t, "values: ["+strings.Join(values, ", ")+"]")
	nets := list(t, "type: cidrs\nvalues: [10.0.0.0/8, '2001:db8::/32']")
	globs := list(t, "type: globs\nvalues: ['*.webhook.site', 'bot-*', 'a*c']")
	agents, _ := site.ParseAgents("agents.yaml", []byte(registry))
	found := 0
	count := func(ok bool) {
		if ok {
			found++
		}
	}
	if n := testing.AllocsPerRun(1000, func() {
		count(hosts.Contains("h77777.example"))
		count(nets.Contains("10.1.2.3"))
		count(nets.Contains("some.host.example"))
		count(nets.Contains("2001:db8::7"))
		count(globs.Contains("x.webhook.site"))
		count(globs.Contains("abbbbbc"))
		count(agents.Allows("a1", "tool", "mail_send"))
		count(agents.Attribute("a1", "owner").Present())
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
	if found != 7*1001 {
		t.Errorf("got %d hits, want %d", found, 7*1001)
	}
}

// FuzzParse checks that no list and no registry causes a panic.
func FuzzParse(f *testing.F) {
	f.Add("values: [a]", "1.2.3.4")
	f.Add("type: cidrs\nvalues: ['::/0']", "::1")
	f.Add("type: globs\nvalues: ['a*b?']", "ab")
	f.Add(registry, "a1")
	f.Add(everything, "bot")
	f.Fuzz(func(t *testing.T, src, text string) {
		if len(src) > 4096 {
			return
		}
		if l, _ := site.ParseList("l.yaml", []byte(src)); l != nil {
			l.Contains(text)
			if values, ok := l.Literals(); ok {
				for _, v := range values {
					if !l.Contains(v) {
						t.Fatalf("%q is not in its own list", v)
					}
				}
			}
		}
		if a, _ := site.ParseAgents("agents.yaml", []byte(src)); a != nil {
			a.Allows(text, "tool", text)
			a.Attribute(text, "expires")
			if uid := a.Resolve(text, text); uid != "" && a.Resolve("", uid) != "" && a.Resolve("", uid) != uid {
				t.Fatalf("%q is an agent and an alias", uid)
			}
		}
	})
}
