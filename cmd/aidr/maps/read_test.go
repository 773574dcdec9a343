package maps

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

func texts(problems []doc.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		kind := ""
		if p.Warning {
			kind = "warning: "
		}
		fmt.Fprintf(&b, "%s%s\n", kind, p)
	}
	return strings.TrimSpace(b.String())
}

// All problems of a file are reported at once, each with its position and advice. The test pins the texts that users see.
func TestProblems(t *testing.T) {
	const head = "name: m\ndataset: x.y\nclass: api\nkeys: [a, b]\n"
	f := func(src, want string) {
		t.Helper()
		_, problems := Parse("f.yaml", []byte(src))
		if got := texts(problems); got != strings.TrimSpace(want) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", src, got, want)
		}
	}
	f("name: My Map\ndataset: X\nclass: apis\nkeys: a\nextra: 1\n", `
f.yaml:1:1: "fields" is missing
f.yaml:1:7: name: "My Map" is not a valid name: use up to 63 of a-z, 0-9 and '_', the first a letter or digit
f.yaml:2:10: dataset: "X" is not a valid dataset: write it like nginx.access
f.yaml:3:8: class: "apis" is not one of api, http, llm, tool, auth, audit, guardrail: did you mean api?
f.yaml:4:7: keys: is text, not a list: write [a, b], or one a line after a dash
f.yaml:5:1: extra: unknown key; known are about, absent, chat, class, dataset, families, fields, identity, keys, match, name, tests
`)
	f(head+"fields: {time: t, http.request.methd: m, event.class: c, ai_agent.uid: a, event.duration: d, zzz: q}\n", `
warning: f.yaml:1:1: has no tests: give a record and the events that it must yield
warning: f.yaml:1:1: neither identity nor source.ip is mapped: no event has an agent
warning: f.yaml:5:9: fields: no event has an action: map http.request.method or event.action
f.yaml:5:19: fields.http.request.methd: there is no such field: did you mean http.request.method?
f.yaml:5:42: fields.event.class: cannot be mapped: the map's class sets it
f.yaml:5:58: fields.ai_agent.uid: cannot be mapped: the map's identity sets it
f.yaml:5:91: fields.event.duration: a duration needs its unit: write {path: d, unit: ms}
f.yaml:5:94: fields.zzz: there is no such field: schema/FIELDS.md lists them
`)
	f(head+`identity: [a]
tests: [{name: n, record: {a: 1}, dead: [no_time]}]
fields:
  http.request.method: m
  time: [{path: t, unit: parsec}, {path: t, at: noon}, $.x, a..b, {}, {path: t, until: x}]
  event.duration: [{path: d}, {path: a, until: b}]
  url.path: {path: p, regex: "(a)(b)", unit: ms}
  user.name: {path: p, regex: "(", hash: true}
  event.outcome: {path: o, table: {ok: fine, no: failure}}
  disposition: {value: maybe}
  gen_ai.usage.cost: {path: c, unit: cents}
  source.ip: {path: i, forwarded: [x, ""]}
  user.type: {path: u, table: {}}
`, `
f.yaml:9:26: fields.time[0].unit: "parsec" is not one of s, ms, us, ns, ticks
f.yaml:9:49: fields.time[1].at: "noon" is not one of start, end
f.yaml:9:56: fields.time[2]: "$.x" is not a path: write keys separated by dots, as in request.method, and \. for a dot inside a key
f.yaml:9:61: fields.time[3]: "a..b" is not a path: write keys separated by dots, as in request.method, and \. for a dot inside a key
f.yaml:9:67: fields.time[4]: needs path, value or both
f.yaml:9:88: fields.time[5].until: belongs to event.duration only
f.yaml:10:20: fields.event.duration[0]: a duration needs its unit: s, ms, us, ns or ticks
f.yaml:11:30: fields.url.path.regex: is not a pattern: it has 2 groups: write (?:...) for those that are not the wanted text
f.yaml:11:46: fields.url.path.unit: belongs to time, event.duration and gen_ai.usage.cost only
f.yaml:12:31: fields.user.name.regex: is not a pattern: error parsing regexp: missing closing ): `+"`(`"+`
f.yaml:12:42: fields.user.name.hash: belongs to credential.uid only
f.yaml:13:40: fields.event.outcome.table.ok: "fine" is not one of success, failure, unknown
f.yaml:14:24: fields.disposition.value: "maybe" is not one of allowed, blocked
f.yaml:16:39: fields.source.ip.forwarded[1]: is blank: write something or leave the key out
f.yaml:17:31: fields.user.type.table: needs 1 to 1000 rows
`)
	f("name: m\ndataset: d\nclass: audit\nkeys: [[only], []]\nfields: {time: t}\nidentity: [a]\nchat: {request: r}\n"+
		"tests: [{name: n, record: 5, events: [{user.nam: 1}]}, {name: n, record: {}}]\n", `
warning: f.yaml:4:8: keys[0]: a single key identifies a format poorly: records of other formats may have "only" too
f.yaml:4:16: keys[1]: needs 1 to 16 keys that every record has at its top
f.yaml:5:9: fields: an event of class audit needs an action: map event.action
f.yaml:7:7: chat: belongs to class llm
f.yaml:8:27: tests[0].record: is a whole number, not a record: write it as JSON text, or as a mapping
f.yaml:8:40: tests[0].events[0].user.nam: there is no such field: schema/FIELDS.md lists them
f.yaml:8:56: tests[1]: expects nothing: give the events that the record yields, or the reasons of its dead letters as dead
f.yaml:8:63: tests[1].name: two tests have this name: choose another
`)
	f("", "f.yaml:1:1: the file is empty")
}

// folder writes files into a new folder and returns its path.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// mini returns a valid map.
func mini(name, keys string) string {
	return "name: " + name + "\ndataset: x.y\nclass: api\nkeys: " + keys + "\nfields: {time: t, event.action: {value: go}}\n" +
		"identity: [who]\ntests: [{name: n, record: {t: 1767261600, k: 1, who: w}, events: [{ai_agent.uid: w}]}]\n"
}

// A map in a folder replaces the shipped map of the same name. Duplicate names, and keys for which a built-in format takes
// precedence, are reported.
func TestLoad(t *testing.T) {
	set, problems := Load(folder(t, map[string]string{
		"a.yaml": mini("traefik", "[t, k]"), "b.yml": mini("mine", "[t, k, x]"), ".hidden.yaml": "x", "note.txt": "x",
	}))
	if set == nil || len(problems) > 0 {
		t.Fatalf("got %s", texts(problems))
	}
	by := map[string]*File{}
	for _, f := range set.Files {
		by[f.Map.Name] = f
	}
	if f := by["traefik"]; f == nil || f.Shipped || f.Dataset != "x.y" {
		t.Errorf("traefik is %v, want the folder's", f)
	}
	if f := by["nginx_json"]; f == nil || !f.Shipped {
		t.Errorf("nginx_json is %v, want the shipped one", f)
	}
	if set.Files[0].Shipped || set.Files[1].Shipped {
		t.Error("shipped maps come before the folder's")
	}
	for want, files := range map[string]map[string]string{
		`b.yaml:1:1: name: the name "m" is taken by`:                 {"a.yaml": mini("m", "[t, k]"), "b.yaml": mini("m", "[t, k]")},
		`a.yaml:1:1: name: the format "litellm" is built in`:         {"a.yaml": mini("litellm", "[t, k]")},
		`a.yaml:1:1: name: the format "kong_http_log" is built in`:   {"a.yaml": mini("kong", "[t, k]")},
		`a.yaml:1:1: keys: the built-in format kong_http_log has at`: {"a.yaml": mini("m", "[started_at, latencies, request]")},
		`contains no field map (*.yaml, *.yml)`:                      {"a.txt": ""},
	} {
		if _, problems := Load(folder(t, files)); !strings.Contains(texts(problems), want) {
			t.Errorf("got %q, want something that has %q", texts(problems), want)
		}
	}
	if set, problems := Load(filepath.Join(t.TempDir(), "none")); set != nil || !strings.Contains(texts(problems), "cannot be read: no such file") {
		t.Errorf("a folder that is not there: got %q", texts(problems))
	}
}

// A failing test reports every difference.
func TestTestsFail(t *testing.T) {
	src := strings.Replace(mini("m", "[t, k]"), "events: [{ai_agent.uid: w}]",
		"events: [{ai_agent.uid: x, user.id: null, event.action: null}, {}], dead: [empty], faults: [t]", 1)
	set, problems := Load(folder(t, map[string]string{"a.yaml": src}))
	if set == nil {
		t.Fatal(texts(problems))
	}
	var got []string
	err := set.Run(func(f *File) bool { return !f.Shipped }, func(r Result) { got = append(got, r.Diff) })
	want := `event 1: ai_agent.uid: got "w", want "x"
event 1: event.action: got "go", want nothing
missing event 2
dead letters: got [], want ["empty"]
faults: got [], want ["t"]
`
	if err != nil || len(got) != 1 || !sameLines(got[0], want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func sameLines(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }

// Each kind of source, alone.
func TestSources(t *testing.T) {
	f := func(source, field, record, want string) {
		t.Helper()
		fields := map[string]string{"time": "t", field: source}
		text := "name: m\ndataset: d\nclass: api\nkeys: [t, k]\nabsent: [none]\nfields:\n"
		for name, from := range fields {
			text += "  " + name + ": " + from + "\n"
		}
		file, problems := Parse("f.yaml", []byte(text))
		if file == nil {
			t.Errorf("%s: %s", source, texts(problems))
			return
		}
		d, err := decode.New(decode.Options{Format: "m", Maps: []*decode.Map{file.Map}, Wanted: schema.Wanted{Fields: schema.AllFields()}})
		if err != nil {
			t.Fatal(err)
		}
		target, _ := schema.FieldByName(field)
		got := ""
		d.Decode(`{"t":1767261600,"k":1,`+record+`}`, decode.Meta{}, &decode.Handler{
			Event: func(e *schema.Event) {
				if e.Has(target) {
					line := string(formats.AppendEvent(nil, e, false))
					_, rest, _ := strings.Cut(line, `"`+field+`":`)
					got = rest[:strings.IndexAny(rest, ",}")]
				}
			},
			FieldError: func(_, name string) { got += "!" + name },
		})
		if got != want {
			t.Errorf("%s of %s: got %s, want %s", source, record, got, want)
		}
	}
	f("a.b", "user.id", `"a":{"b":"x"}`, `"x"`)
	f("a.b", "user.id", `"a":"{\"b\":\"x\"}"`, `"x"`)
	f("a.b.c", "user.id", `"a":{"b":"{\"c\":\"x\"}"}`, `"x"`)
	f("a.b", "user.id", `"a":"{\"b\":"`, ``)
	f("a.b", "user.id", `"a":{"b":null}`, ``)
	f(`a\.b`, "user.id", `"a.b":"x","a":{"b":"y"}`, `"x"`)
	f("[a, b]", "user.id", `"a":"none","b":7`, `"7"`)
	f("{value: v}", "user.id", `"a":1`, `"v"`)
	f("{value: v, path: a}", "user.id", `"a":1`, `"v"`)
	f("{value: v, path: a}", "user.id", `"a":"none"`, ``)
	f(`{path: a, regex: "^x(.)"}`, "user.id", `"a":"xyz"`, `"y"`)
	f(`{path: a, regex: "^x(.)"}`, "user.id", `"a":"abc"`, ``)
	f(`{path: a, table: {x: y, n: null}}`, "user.id", `"a":"x"`, `"y"`)
	f(`{path: a, table: {x: y, n: null}}`, "user.id", `"a":"n"`, ``)
	f(`{path: a, table: {x: y, n: null}}`, "user.id", `"a":"q"`, `!user.id`)
	f(`{path: a, table: {x: y, "*": z}}`, "user.id", `"a":"q"`, `"z"`)
	f(`{path: a, table: {true: y}}`, "user.id", `"a":true`, `"y"`)
	f("{path: a, unit: s}", "event.duration", `"a":"0.0450"`, `45000000`)
	f("{path: a, unit: us}", "event.duration", `"a":45`, `45000`)
	f("{path: a, unit: ns}", "event.duration", `"a":45`, `45`)
	f("{path: a, unit: ticks}", "event.duration", `"a":45`, `4500`)
	f("{path: a, unit: s}", "event.duration", `"a":1e300`, `!event.duration`)
	f("{path: a, until: b}", "event.duration", `"a":"2026-01-01T10:00:00Z","b":1767261601.5`, `1500000000`)
	f("{path: a, until: b}", "event.duration", `"a":"2026-01-01T10:00:00Z"`, ``)
	f("{path: a, unit: ms}", "time", `"a":1767261600001`, `"2026-01-01T10:00:00.001Z"`)
	f("{path: a, unit: ticks}", "time", `"a":"639028584000000000"`, `"2026-01-01T10:00:00Z"`)
	f("{path: a, unit: cents}", "gen_ai.usage.cost", `"a":12.5`, `0.125`)
	f("a", "gen_ai.usage.cost", `"a":"12.5"`, `12.5`)
	f("a", "http.response.status_code", `"a":"200"`, `200`)
	f(`{path: a, regex: "HTTP (\\d+)"}`, "http.response.status_code", `"a":"HTTP 200 OK"`, `200`)
	f(`{path: a, hash: true}`, "credential.uid", `"a":"sk-1234567890"`, `"581d30b4caecfdbad68803e06cde0f826b06850314fbadc988d9ad6d0d4d3298"`)
	f("a", "url.path", `"a":"https://u:p@h.example:8/x?token=1"`, `"/x"`)
	f("a", "url.domain", `"a":"https://u:p@h.example:8/x?token=1"`, `"h.example"`)
	f("a", "url.domain", `"a":"h.example:8"`, `"h.example"`)
	f("a", "url.domain", `"a":"/x"`, ``)
	f("a", "source.geo.country_iso_code", `"a":"de"`, `"DE"`)
	f("a", "source.geo.country_iso_code", `"a":"Germany"`, ``)
	f("a", "gen_ai.response.finish_reasons", `"a":"stop"`, `["stop"]`)
	f("a", "gen_ai.tool.call.arguments", `"a":"[1]"`, `[1]`)
	f("a", "source.ip", `"a":"[::ffff:10.0.0.1]:5"`, `"10.0.0.1"`)
	f("a", "disposition", `"a":"blocked"`, `"blocked"`)
	f("{value: true}", "gen_ai.tool.called", `"a":1`, `true`)
	f("{value: false}", "gen_ai.tool.called", `"a":1`, ``)
	f("{path: a, value: true}", "gen_ai.tool.returned", `"b":1`, ``)
	f("a", "gen_ai.tool.returned", `"a":true`, `true`)
	f("a", "gen_ai.tool.returned", `"a":"true"`, `true`)
	f("a", "gen_ai.tool.returned", `"a":false`, ``)
	f("a", "gen_ai.tool.returned", `"a":"done"`, `!gen_ai.tool.returned`)
	f("{path: a, table: {done: true, begun: false}}", "gen_ai.tool.returned", `"a":"done"`, `true`)
	f("{path: a, table: {done: true, begun: false}}", "gen_ai.tool.returned", `"a":"begun"`, ``)
}

// The phases of a tool's call follow from the action and the result, unless the map sets them.
func TestPhases(t *testing.T) {
	set, problems := Load(folder(t, map[string]string{"log.yaml": toolLog, "phases.yaml": toolPhases}))
	if set == nil || len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	tests := 0
	err := set.Run(func(f *File) bool { return !f.Shipped }, func(r Result) {
		if tests++; r.Diff != "" {
			t.Error(r.Diff)
		}
	})
	if err != nil || tests != 7 {
		t.Errorf("%d tests ran, %v", tests, err)
	}
}

const toolLog = `
name: tools_log
about: runs of tools
dataset: site.tools
class: tool
keys: [at, tool, phase]
fields:
  time: at
  event.action: phase
  gen_ai.tool.name: tool
  gen_ai.tool.call.arguments: args
  gen_ai.tool.call.result: out
identity: [agent]
tests:
  - name: a call
    record: {at: 1767261600, tool: t, phase: tool_call, args: {a: 1}, agent: x}
    events: [{gen_ai.tool.called: true, gen_ai.tool.returned: null}]
  - name: a run
    record: {at: 1767261600, tool: t, phase: run, args: {a: 1}, out: ok, agent: x}
    events: [{gen_ai.tool.called: true, gen_ai.tool.returned: true}]
  - name: a result
    record: {at: 1767261600, tool: t, phase: tool_result, out: ok, agent: x}
    events: [{gen_ai.tool.called: null, gen_ai.tool.returned: true}]
  - name: list
    record: {at: 1767261600, tool: t, phase: tools/list, out: ok, agent: x}
    events: [{gen_ai.tool.called: null, gen_ai.tool.returned: null}]
`

const toolPhases = `
name: tool_phases
about: runs of tools
dataset: site.tool_phases
class: tool
keys: [at, tool, done]
fields:
  time: at
  event.action: phase
  gen_ai.tool.name: tool
  gen_ai.tool.called: {value: true}
  gen_ai.tool.returned: done
  gen_ai.tool.call.arguments: args
  gen_ai.tool.call.result: out
identity: [agent]
tests:
  - name: begun
    record: {at: 1767261600, tool: t, done: false, agent: x}
    events: [{gen_ai.tool.called: true, gen_ai.tool.returned: null}]
  - name: done
    record: {at: 1767261600, tool: t, done: "true", agent: x}
    events: [{gen_ai.tool.called: true, gen_ai.tool.returned: true}]
  - name: neither
    record: {at: 1767261600, tool: t, done: 7, agent: x}
    events: [{gen_ai.tool.called: true, gen_ai.tool.returned: null}]
    faults: [gen_ai.tool.returned]
`

// The example of the documentation loads without a warning, and its test passes.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("maps.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	set, problems := Load(folder(t, map[string]string{"doors.yaml": example}))
	if set == nil || len(problems) > 0 {
		t.Fatal(texts(problems))
	}
	tests := 0
	err = set.Run(func(f *File) bool { return !f.Shipped }, func(r Result) {
		if tests++; r.Diff != "" {
			t.Error(r.Diff)
		}
	})
	if err != nil || tests == 0 {
		t.Errorf("%d tests ran, %v", tests, err)
	}
}
