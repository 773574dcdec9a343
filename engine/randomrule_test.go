package engine

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

func pick(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

// randomRule writes a rule of one of most kinds with small windows and counts.
func randomRule(r *rand.Rand, i int) string {
	by := pick(r, "[ai_agent.uid]", "[ai_agent.uid, session.id]", "[session.id]")
	within := pick(r, "1s", "5s", "20s", "3m", "1h")
	when := pick(r, `event.class == "tool"`, `event.action in ["a", "b"]`, `event.action == "a"`,
		`gen_ai.tool.name != "t1"`, `http.response.bytes > 20`)
	var clause string
	switch r.IntN(12) {
	case 0:
	case 1:
		clause = fmt.Sprintf("threshold: {count: %d, within: %s, by: %s}\n", pickInt(r, 1, 2, 3, 5, 300), within, by)
	case 2:
		clause = fmt.Sprintf("threshold: {sum: {of: http.response.bytes, at_least: %d}, within: %s, by: %s}\n", pickInt(r, 50, 200, 1000), within, by)
	case 3:
		clause = fmt.Sprintf("threshold: {ratio: {of: 'event.action == \"a\"', at_least: %s, min: %d}, within: %s, by: %s}\n",
			pick(r, "0.2", "0.5", "1.0"), pickInt(r, 1, 3), within, by)
	case 4:
		clause = fmt.Sprintf("distinct: {of: %s, count: %d, within: %s, by: %s}\n",
			pick(r, "[gen_ai.tool.name]", "[event.action, gen_ai.tool.name]"), pickInt(r, 1, 2, 3, 4), within, by)
	case 5:
		clause = fmt.Sprintf("new_value: {of: [gen_ai.tool.name], by: %s, learn: %s, forget: %s, max_values: %d%s}\n",
			by, pick(r, "0s", "2s", "30s"), pick(r, "4s", "1m", "30d"), pickInt(r, 1, 2, 256), pick(r, "", ", hold: 5s", ", hold: 2m"))
	case 6:
		clause = randomSequence(r, by, within)
	case 7:
		clause = randomAbsence(r, by, within)
	case 8:
		clause = randomFlow(r, by, within)
	case 9:
		clause = fmt.Sprintf("rarity: {of: [gen_ai.tool.name], by: %s, share: %s, min_samples: %d, history: %s, max_values: %d}\n",
			by, pick(r, "0.1", "0.25", "0.6"), pickInt(r, 1, 5), within, pickInt(r, 2, 256))
	case 10:
		of := pick(r, "count", "sum(http.response.bytes)", "distinct(gen_ai.tool.name)", `ratio(event.action == "a")`)
		clause = fmt.Sprintf("baseline: {of: %s, by: %s, bucket: %s, history: %d, min_samples: %d, deviation: %s, direction: %s, season: %s}\n",
			of, by, pick(r, "1s", "10s", "1m"), pickInt(r, 2, 28), pickInt(r, 1, 2), pick(r, "0.5", "3.5"),
			pick(r, "up", "down", "both"), pick(r, "none", "hour_of_day"))
	case 11:
		clause = randomProvenance(r, by, within)
	}
	group := pick(r, "", "group: {for: 10s}\n", "group: {for: 0}\n", "group: {for: 5m}\n")
	if clause != "" && strings.Contains(by, "session") && strings.Contains(by, "agent") && r.IntN(2) == 0 {
		group = fmt.Sprintf("group: {for: %s, by: [ai_agent.uid]}\n", pick(r, "10s", "0s", "1h"))
	}
	if clause == "" && r.IntN(2) == 0 {
		group = "group: {for: 20s, by: [session.id]}\n"
	}
	datasets := pick(r, "", "datasets: [litellm]\n", "datasets: [litellm, kong.http_log]\n")
	return fmt.Sprintf("id: r%d\nversion: 1\ntitle: rule %d\ndescription: d\nseverity: %s\nconfidence: 50\nstatus: %s\n"+
		"tags: [%s]\n%swhen: '%s'\n%s%s", i, i, pick(r, "low", "critical"), pick(r, "stable", "stable", "block"),
		pick(r, "x.a", "x.b", "attack.ta0006, x.a", "attack.ta0009, attack.ta0006"), datasets, when, clause, group)
}

// randomProvenance writes a provenance whose values are made from the names of tools.
func randomProvenance(r *rand.Rand, by, within string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "provenance:\n  within: %s\n  by: %s\n", within, by)
	for _, part := range []string{"known", "from", "into"} {
		fmt.Fprintf(&b, "  %s: {when: 'event.action in [\"%s\", \"%s\"]', text: '%s'}\n", part, pick(r, "a", "b", "c"), pick(r, "b", "c", "d"),
			pick(r, `"tool-" + gen_ai.tool.name`, `"tool-" + gen_ai.tool.name + " tool-t1"`))
	}
	return b.String()
}

// randomOver writes a rule over the n rules before it, of which the last ones may be over others too.
func randomOver(r *rand.Rand, n, over int) string {
	named := pick(r, `["*"]`, `["r?"]`, "[x.a]", "[r0]", fmt.Sprintf("[r%d, r0]", n-1))
	if over == 0 && named == "[r0, r0]" || n == 1 && strings.HasPrefix(named, "[r0,") {
		named = "[r0]"
	}
	by := pick(r, "[ai_agent.uid]", "[ai_agent.uid, session.id]", "[session.id]", "[rule.id]")
	within := pick(r, "1s", "20s", "3m", "1h")
	when := pick(r, "", "", "when: 'rule.opens'\n", "when: 'rule.severity == \"critical\" || gen_ai.tool.name == \"t1\"'\n")
	var clause string
	switch r.IntN(5) {
	case 0:
	case 1:
		clause = fmt.Sprintf("threshold: {count: %d, within: %s, by: %s}\n", pickInt(r, 1, 2, 4, 300), within, by)
	case 2:
		clause = fmt.Sprintf("distinct: {of: %s, count: %d, within: %s, by: %s}\n",
			pick(r, "[rule.tactic]", "[rule.id]", "[rule.tag]", "[gen_ai.tool.name, rule.id]"), pickInt(r, 1, 2, 3), within, by)
	case 3:
		clause = fmt.Sprintf("new_value: {of: [%s], by: %s, learn: %s, forget: 1m}\n",
			pick(r, "gen_ai.tool.name", "rule.id"), by, pick(r, "0s", "2s"))
	case 4:
		clause = fmt.Sprintf("sequence:\n  within: %s\n  by: %s\n  steps: [{id: p, rule: r0}, {id: q, rule: '%s'}]\n",
			within, by, pick(r, "*", "r?", "r0"))
		if r.IntN(2) == 0 {
			clause += "  where: 'p.gen_ai.tool.name != q.gen_ai.tool.name'\n"
		}
	}
	group := pick(r, "", "group: {for: 10s}\n", "group: {for: 0}\n")
	return fmt.Sprintf("id: r%d\nversion: 1\ntitle: rule %d\nseverity: %s\nover: %s\n%s%s%s", n, n, pick(r, "low", "critical"), named, when, clause, group)
}

func randomSequence(r *rand.Rand, by, within string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "sequence:\n  within: %s\n  by: %s\n  steps:\n", within, by)
	ids := []string{"p", "q", "z"}[:2+r.IntN(2)]
	times := false
	for _, id := range ids {
		fmt.Fprintf(&b, "    - {id: %s, when: 'event.action in [\"%s\", \"%s\"]'", id, pick(r, "a", "b", "c"), pick(r, "a", "b", "c", "d"))
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, ", times: %d", 2+r.IntN(2))
			times = true
		}
		b.WriteString("}\n")
	}
	if !times && r.IntN(2) == 0 {
		fmt.Fprintf(&b, "  where: '%s'\n", pick(r, "p.gen_ai.tool.name == q.gen_ai.tool.name", "q.http.response.bytes > p.http.response.bytes"))
	}
	if r.IntN(3) == 0 {
		b.WriteString("  unless: {when: 'event.action == \"d\"'}\n")
	}
	return b.String()
}

func randomAbsence(r *rand.Rand, by, within string) string {
	part := func(name string) string {
		return fmt.Sprintf("%s: {when: 'event.action in [\"%s\", \"%s\"]'}, ", name, pick(r, "a", "b", "c"), pick(r, "a", "b", "c", "d"))
	}
	switch r.IntN(3) {
	case 0:
		return fmt.Sprintf("absence: {%s%swithin: %s, by: %s}\n", part("after"), part("expect"), within, by)
	case 1:
		return fmt.Sprintf("absence: {%s%swithin: %s, slack: %s, by: %s}\n", part("act"), part("without"), within,
			pick(r, "0s", "1s", "10s", "1m"), by)
	}
	return fmt.Sprintf("absence: {silent: {for: %s}, by: %s}\n", within, by)
}

func randomFlow(r *rand.Rand, by, within string) string {
	more := pick(r, "", "", "need: 2, ", "order: [l, m, n], ")
	if r.IntN(3) == 0 {
		more += "clear: {when: 'event.action == \"d\"'}, "
	}
	return fmt.Sprintf("flow: {labels: {l: 'event.action == \"%s\"', m: 'gen_ai.tool.name in [\"t1\", \"t2\"]', n: 'gen_ai.tool.name == \"%s\"'}, %swithin: %s, by: %s}\n",
		pick(r, "a", "b"), pick(r, "t2", "t3"), more, within, by)
}

func pickInt(r *rand.Rand, of ...int) int { return of[r.IntN(len(of))] }
