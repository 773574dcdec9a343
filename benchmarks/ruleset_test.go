package benchmarks

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/content"
	"github.com/aidr-engine/aidr/schema/decode"
)

// A generated rule set has seededHits rules that some events match and, beyond these, rules that no event matches, although
// each of their conditions holds for some event. So the number of hits does not depend on the size of the set, and
// no rule is easy to exclude: its values occur in the corpus.
const (
	seededHits = 10
	maxHits    = 6 // distinct events that match one rule: about 2 hits in 100 events for all
)

// column is a value of a CloudTrail record that rules read, by its field and by its raw path. The text of the field ends
// with that of the path.
type column struct {
	field schema.Field
	path  string
}

// cloudTrailColumns are the columns of the generated rules. The first two are the exact source and name.
var cloudTrailColumns = []column{
	{schema.ServiceTargetName, "eventSource"},
	{schema.EventAction, "eventName"},
	{schema.CloudRegion, "awsRegion"},
	{schema.SourceIP, "sourceIPAddress"},
	{schema.UserAgentOriginal, "userAgent"},
	{schema.UserName, "userIdentity.userName"},
	{schema.UserID, "userIdentity.principalId"},
	{schema.CloudAccountID, "userIdentity.accountId"},
	{schema.ErrorType, "errorCode"},
	{schema.AIAgentUID, "userIdentity.arn"},
}

// cell is the text of a column in one event, in both forms; "" if it is absent.
type cell struct{ field, raw string }

// usable reports whether both forms have the same text, apart from a prefix: a field may be another reading of the value.
func (c cell) usable() bool {
	return (c.field == "") == (c.raw == "") && strings.HasSuffix(c.field, c.raw)
}

// row holds the texts of one event, by column.
type row []cell

// cloudTrailRows returns the rows of all distinct events of the corpus.
func cloudTrailRows(tb testing.TB, records []string) []row {
	var w schema.Wanted
	for _, c := range cloudTrailColumns {
		w.Fields.Add(c.field)
		w.Raw = append(w.Raw, strings.Split(c.path, "."))
	}
	d, err := decode.New(decode.Options{Format: "auto", Wanted: w})
	if err != nil {
		tb.Fatal(err)
	}
	var rows []row
	known := map[string]bool{}
	h := decode.Handler{Event: func(e *schema.Event) {
		r := make(row, len(cloudTrailColumns))
		for i, c := range cloudTrailColumns {
			r[i] = cell{strings.Clone(e.Text(c.field)), strings.Clone(e.Raws[i].Text)}
		}
		if key := fmt.Sprint(r); !known[key] {
			known[key] = true
			rows = append(rows, r)
		}
	}}
	for i, text := range records {
		d.Decode(text, decode.Meta{Pos: schema.Position{Topic: "corpus", Offset: int64(i)}}, &h)
	}
	return rows
}

// term is one condition of a generated rule.
type term struct {
	column     int
	op         string
	field, raw []string // the arguments in both forms
}

// The kinds of terms.
const (
	opEqual    = "=="
	opIn       = "in"
	opNotIn    = "not in"
	opPrefix   = "startsWith"
	opContains = "contains"
	opGlob     = "glob"
	opExists   = "exists"
	opAbsent   = "absent"
)

// text returns the condition, over the field or over the raw path.
func (t term) text(raw bool) string {
	name, args := cloudTrailColumns[t.column].field.String(), t.field
	if raw {
		name, args = "raw."+cloudTrailColumns[t.column].path, t.raw
	}
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = fmt.Sprintf("%q", a)
	}
	switch t.op {
	case opEqual:
		return name + " == " + quoted[0]
	case opIn:
		return name + " in [" + strings.Join(quoted, ", ") + "]"
	case opNotIn:
		return "!(" + name + " in [" + strings.Join(quoted, ", ") + "])"
	case opExists:
		return "has(" + name + ")"
	case opAbsent:
		return "!has(" + name + ")"
	}
	return name + "." + t.op + "(" + quoted[0] + ")"
}

// holds evaluates the condition without the rule language.
func (t term) holds(text string, args []string) bool {
	switch t.op {
	case opEqual, opIn, opNotIn:
		found := false
		for _, a := range args {
			found = found || a == text
		}
		return found != (t.op == opNotIn)
	case opExists, opAbsent:
		return (text != "") == (t.op == opExists)
	case opPrefix:
		return strings.HasPrefix(text, args[0])
	case opContains:
		return strings.Contains(text, args[0])
	}
	return content.Glob(args[0], text)
}

// conjunction is the terms of a generated rule.
type conjunction []term

func (c conjunction) text(raw bool) string {
	texts := make([]string, len(c))
	for i, t := range c {
		texts[i] = t.text(raw)
	}
	return strings.Join(texts, " && ")
}

// matches returns the number of rows that match in either form, at most maxHits + 1.
func (c conjunction) matches(rows []row) (n int) {
	for _, r := range rows {
		field, raw := true, true
		for _, t := range c {
			x := r[t.column]
			field = field && t.holds(x.field, t.field)
			raw = raw && t.holds(x.raw, t.raw)
			if !field && !raw {
				break
			}
		}
		if field || raw {
			if n++; n > maxHits {
				break
			}
		}
	}
	return n
}

// ruleSeed generates conjunctions from the values of rows.
type ruleSeed struct {
	*rand.Rand
	rows []row
}

// sample returns a text of a column that some event has.
func (g *ruleSeed) sample(column int) cell {
	for {
		if c := g.rows[g.IntN(len(g.rows))][column]; c.usable() && c.raw != "" {
			return c
		}
	}
}

// term returns a condition on a column that holds for an event with the text.
func (g *ruleSeed) term(column int, c cell, exact bool) term {
	t := term{column: column, op: opEqual}
	if !exact {
		t.op = []string{
			opEqual, opEqual, opIn, opIn, opPrefix, opPrefix, opContains, opContains, opGlob, opNotIn, opExists, opAbsent,
		}[g.IntN(12)]
	}
	if c.raw == "" && t.op != opAbsent {
		t.op = opAbsent
	}
	add := func(field, raw string) { t.field, t.raw = append(t.field, field), append(t.raw, raw) }
	switch t.op {
	case opEqual:
		add(c.field, c.raw)
	case opIn:
		add(c.field, c.raw)
		for range 1 + g.IntN(4) {
			other := g.sample(column)
			add(other.field, other.raw)
		}
	case opNotIn:
		for range 1 + g.IntN(3) {
			other := g.sample(column)
			add(other.field, other.raw)
		}
	case opPrefix:
		cut := g.IntN(len(c.raw)/2 + 1)
		add(c.field[:len(c.field)-cut], c.raw[:len(c.raw)-cut])
	case opContains, opGlob:
		from := g.IntN(len(c.raw)/3 + 1)
		to := len(c.raw) - g.IntN(len(c.raw)/3+1)
		part := c.raw[from:to]
		if t.op == opGlob {
			part = "*" + strings.NewReplacer("*", "?", "[", "?", "]", "?", `\`, "?").Replace(part) + "*"
		}
		add(part, part)
	}
	return t
}

// conjunction returns 2 to 4 conditions over different columns. Those of a hit are all of one event, those of other
// rules of an event each.
func (g *ruleSeed) conjunction(hit bool) conjunction {
	same := g.rows[g.IntN(len(g.rows))]
	columns := g.Perm(len(cloudTrailColumns))
	if g.IntN(5) > 0 { // four in five have an exact source or name
		first := 1 - g.IntN(3)/2 // the name twice as often
		for i, c := range columns {
			if c == first {
				columns[0], columns[i] = columns[i], columns[0]
			}
		}
	}
	var out conjunction
	for i := range 2 + g.IntN(3) {
		column := columns[i]
		c := same[column]
		if !hit || !c.usable() || c.raw == "" && column < 2 {
			c = g.sample(column)
		}
		out = append(out, g.term(column, c, column < 2 && i == 0))
	}
	return out
}

// conjunctions returns n distinct conjunctions. The first seededHits have hits; the sequence is the same for any n.
func (g *ruleSeed) conjunctions(n int) []conjunction {
	var out []conjunction
	known := map[string]bool{}
	for len(out) < n {
		hit := len(out) < seededHits
		c := g.conjunction(hit)
		n := c.matches(g.rows)
		if key := c.text(false); !known[key] && (n > 0) == hit && n <= maxHits {
			known[key] = true
			out = append(out, c)
		}
	}
	return out
}

func newRuleSeed(rows []row) *ruleSeed { return &ruleSeed{rand.New(rand.NewPCG(1, 2)), rows} }

// ruleFile returns the text of a rule file.
func ruleFile(id, when string) string {
	return fmt.Sprintf("id: %s\ntitle: Generated\ndescription: A generated rule.\nseverity: low\nconfidence: 50\n"+
		"references: [generated]\nfalse_positives: [none]\nwhen: |\n  %s\ngroup: {by: [ai_agent.uid], for: 1h}\n", id, when)
}

// ruleFiles returns the files of a rule set, by name.
func ruleFiles(conditions []string) map[string]string {
	files := map[string]string{}
	for i, when := range conditions {
		id := fmt.Sprintf("gen.r%05d", i)
		files[id+".yaml"] = ruleFile(id, when)
	}
	return files
}

// statefulKinds are the clauses that rules of a mixed set have in turns.
var statefulKinds = []string{
	"threshold: {count: 20, within: 10m, by: [ai_agent.uid]}\n",
	"distinct: {of: event.action, count: 20, within: 1h, by: [ai_agent.uid]}\n",
	"new_value: {of: [source.ip], by: [ai_agent.uid], learn: 1d, forget: 30d}\n",
}

// statefulEvery is the number of rules of a mixed set of which one is stateful.
const statefulEvery = 10

// mixedRuleFiles returns the files of a rule set of which every tenth rule is stateful.
func mixedRuleFiles(conditions []string) map[string]string {
	files := ruleFiles(conditions)
	for i, when := range conditions {
		if i%statefulEvery == 0 {
			id := fmt.Sprintf("gen.r%05d", i)
			files[id+".yaml"] = ruleFile(id, when) + statefulKinds[i/statefulEvery%len(statefulKinds)]
		}
	}
	return files
}

func loadRules(tb testing.TB, conditions []string) *rules.Set {
	return loadRuleFiles(tb, ruleFiles(conditions))
}

func loadRuleFiles(tb testing.TB, files map[string]string) *rules.Set {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, problems := rules.LoadFS(rules.Options{}, fsys, "generated")
	if set == nil {
		tb.Fatalf("%v", problems[:min(len(problems), 5)])
	}
	return set
}

// cloudTrailRules returns the conditions of a rule set of size n.
func cloudTrailRules(tb testing.TB, n int, raw bool) []string {
	records, _ := cloudTrailRecords(tb, true)
	return conditions(newRuleSeed(cloudTrailRows(tb, records)).conjunctions(n), raw)
}

// conditions returns the conjunctions in the language of AIDR.
func conditions(conjunctions []conjunction, raw bool) []string {
	out := make([]string, len(conjunctions))
	for i, c := range conjunctions {
		out[i] = c.text(raw)
	}
	return out
}

var (
	rulesOut   = flag.String("rules-out", "", "folder for the rule sets that TestWriteRules writes")
	rulesMost  = flag.Int("rules-most", 50_000, "largest rule set that TestWriteRules writes")
	logRepeats = flag.Int("log-repeats", cloudTrailRepeats, "number of repetitions of the records in the log that TestWriteRules writes")
)

// TestWriteRules writes the generated rule sets as folders and in the languages of other engines, and the records of
// BenchmarkReplay as cloudtrail.jsonl, for `aidr bench` and the programs in peers/:
//
//	go test ./benchmarks -run WriteRules -rules-out /tmp/rules -rules-most 1000
//
// It is skipped without the flag.
func TestWriteRules(t *testing.T) {
	if *rulesOut == "" {
		t.Skip("no -rules-out")
	}
	if err := os.MkdirAll(*rulesOut, 0o777); err != nil {
		t.Fatal(err)
	}
	records, _ := cloudTrailRecords(t, true)
	all := newRuleSeed(cloudTrailRows(t, records)).conjunctions(*rulesMost)
	for _, n := range ruleSizes {
		if n > *rulesMost {
			break
		}
		writeDialects(t, *rulesOut, all[:n])
		for form, files := range map[string]map[string]string{
			"fields": ruleFiles(conditions(all[:n], false)), "raw": ruleFiles(conditions(all[:n], true)),
			"mixed": mixedRuleFiles(conditions(all[:n], false)),
		} {
			dir := filepath.Join(*rulesOut, fmt.Sprintf("%s-%d", form, n))
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	log := strings.Join(cloudTrailCorpus(t, *logRepeats).records, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(*rulesOut, "cloudtrail.jsonl"), []byte(log), 0o666); err != nil {
		t.Fatal(err)
	}
}
