package rules

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// Limits of a rule file.
const (
	// MaxTests is the largest number of tests in a rule file.
	MaxTests = 100
	// MaxTestEvents is the largest number of events in one test, including repeats. Tests run at every load of the rules.
	MaxTestEvents = 100_000
	// MaxBy is the largest number of fields in a key, which is stored with every item.
	MaxBy = 8
	// MaxOf is the largest number of values in `of`.
	MaxOf = 3
	// MaxSpan is the longest window, learning time, forgetting time and group. State is kept for that long.
	MaxSpan = 366 * 24 * time.Hour
	// maxID and maxTitle are lengths in bytes. Ids are keys of tables and labels of metrics; a title is one line.
	maxID    = 100
	maxTitle = 200
)

// Defaults of a rule file.
const (
	defaultVersion    = 1
	defaultConfidence = 50
	defaultGroupFor   = time.Hour
	defaultForget     = 30 * 24 * time.Hour
	defaultMaxValues  = 256
)

// reader reads one rule file into a Rule. Problems are collected in doc.
type reader struct {
	compiler *compiler
	doc      *doc.Doc
	rule     *Rule
	top      *doc.Fields
	when     string // the text of the rule's `when`, or ""
	keyValid bool   // `by` is valid, so other fields can be compared with it
}

// readRule returns the rule and all problems of its file. The rule is nil if the file has no readable structure.
func readRule(c *compiler, d *doc.Doc, root *doc.Node) (*Rule, []Problem) {
	if root == nil {
		return nil, ofDoc(d.Problems(), "")
	}
	r := &reader{compiler: c, doc: d, rule: &Rule{File: d.Name, Line: root.Line}, top: root.Fields()}
	r.params(root)
	r.head()
	r.response()
	when := r.top.Get("when")
	_, r.when = r.condition(when)
	if r.rule.Over != nil && when == nil {
		r.when = always
	}
	r.kind(when)
	r.group()
	r.summary(r.top.Get("summary"))
	r.exceptions(r.top.Get("exceptions"))
	r.tests(r.top.Get("tests"))
	r.top.Done()
	r.finish()
	return r.rule, append(ofDoc(d.Problems(), r.rule.ID), c.params.problems()...)
}

// params replaces the uses of the rule's parameters by their values: those of the site, or the defaults.
func (r *reader) params(root *doc.Node) {
	n := r.top.Get("params")
	id := r.top.Get("id").String()
	var overrides *doc.Node
	if root.Kind == doc.Map {
		overrides = r.compiler.params.of(id)
	}
	if n == nil && overrides == nil {
		return
	}
	p := doc.ReadParams(n, overrides)
	p.Fill(root, "id", "params", "title", "description", "summary", "references", "false_positives", "why", "triage", "expected",
		"tests")
	for _, name := range p.Unused() {
		n.Warn("the parameter %s is not used: write $%s for a value, or params.%s in a condition", name, name, name)
	}
	n.Each(func(name, _ *doc.Node) { r.rule.Params = append(r.rule.Params, name.String()) })
}

// head reads the keys that describe the rule.
func (r *reader) head() {
	f, rule := r.top, r.rule
	rule.ID = r.id(f.Need("id"))
	rule.Version = defaultVersion
	if n := f.Get("version"); n != nil {
		rule.Version = int(n.Int(1, 1<<31-1))
	}
	title := f.Need("title")
	rule.Title = title.Filled()
	if len(rule.Title) > maxTitle || strings.ContainsAny(rule.Title, "\n\r") {
		title.Fail("is longer than one line of %d bytes: shorten it, and move the rest to description", maxTitle)
	}
	rule.Description = strings.TrimSpace(f.Get("description").Filled())
	rule.Severity = schema.Severity(f.Need("severity").Enum(severities()...))
	rule.Confidence = defaultConfidence
	if n := f.Get("confidence"); n != nil {
		rule.Confidence = int(n.Int(0, 100))
	}
	rule.Stage = StageStable
	if n := f.Get("status"); n != nil {
		rule.Stage = Stage(n.Enum(string(StageDraft), string(StageBlock), string(StageShadow), string(StageStable), string(StageDisabled)))
	}
	datasets := f.Get("datasets")
	r.datasets(datasets)
	r.over(f.Get("over"), datasets)
	rule.Tags = r.tags(f.Get("tags"))
	rule.References = f.Get("references").Strings()
	rule.FalsePositives = f.Get("false_positives").Strings()
	rule.Why = strings.TrimSpace(f.Get("why").Filled())
	rule.Triage = f.Get("triage").Strings()
	rule.Expected = f.Get("expected").Filled()
}

// severities returns the values of `severity`, from the lowest to the highest.
func severities() []string {
	var names []string
	for _, s := range schema.Severities() {
		names = append(names, string(s))
	}
	return names
}

func (r *reader) id(n *doc.Node) string {
	id := n.Filled()
	bad := strings.IndexFunc(id, func(c rune) bool { return c != '.' && c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') })
	switch {
	case id == "":
		return ""
	case bad >= 0:
		n.Fail("%q may hold only a-z, 0-9, dot and dash, because ids are used in tables, metrics and URLs: choose another", doc.Short(id))
		return ""
	case strings.HasPrefix(id, builtinPrefix):
		n.Fail("%q begins with %s, as the ids of built-in rules do: choose another", doc.Short(id), builtinPrefix)
		return ""
	case len(id) > maxID:
		n.Fail("is longer than %d bytes: shorten it", maxID)
		return ""
	}
	return id
}

// group reads how triggers are grouped into findings. It runs after kind, because it needs the key.
func (r *reader) group() {
	rule := r.rule
	n := r.top.Get("group")
	f := n.Fields()
	rule.GroupFor = defaultGroupFor
	if d := f.Get("for"); d != nil {
		rule.GroupFor = d.Duration(0, MaxSpan)
	}
	by := f.Get("by")
	f.Done()
	if rule.Kind == KindNone {
		key := FieldOperands(schema.AIAgentUID)
		if by != nil {
			key, _ = r.operandList(by, MaxBy)
		}
		rule.Key, rule.KeyOptional = key, true
		for i := range rule.Roles {
			rule.Roles[i].Key = key
		}
	}
	if by == nil || rule.Kind == KindNone {
		rule.GroupBy = firstIndexes(len(rule.Key))
		return
	}
	rule.GroupBy = r.subset(by, groupNames(by))
}

// groupNames returns the names in `group.by`, a list or a single name.
func groupNames(n *doc.Node) (names []string) {
	if n.Kind != doc.List {
		return []string{n.Filled()}
	}
	for _, v := range n.Items() {
		names = append(names, v.Filled())
	}
	return names
}

// response reads the responses that a finding requests.
func (r *reader) response() {
	n := r.top.Get("respond")
	for _, item := range n.Items() {
		f := item.Fields()
		notify, contain := f.Get("notify"), f.Get("contain")
		f.Done()
		if notify == nil && contain == nil && item.Kind == doc.Map {
			item.Fail("requests nothing: write notify: [NAME] or contain: {...}")
		}
		r.rule.Notify = append(r.rule.Notify, notify.Strings()...)
		if contain == nil {
			continue
		}
		if r.rule.Contain != nil {
			contain.Fail("is set twice: a rule requests one containment; remove one of them")
			continue
		}
		r.rule.Contain = readContain(contain)
	}
}

// maxContain is the longest containment that a rule may request. A longer one is a decision for people.
const maxContain = 31 * 24 * time.Hour

// defaultPerMinute is the number of calls a minute that a throttled agent has: a person's pace, a call a second.
const defaultPerMinute = 60

func readContain(n *doc.Node) *Contain {
	f := n.Fields()
	c := &Contain{State: "deny", Mode: "monitor"}
	c.Scope = f.Need("scope").Enum("agent", "session", "credential", "tool", "route")
	c.TTL = f.Need("ttl").Duration(time.Second, maxContain)
	if s := f.Get("state"); s != nil {
		c.State = s.Enum("observe", "throttle", "hold", "deny")
	}
	if m := f.Get("mode"); m != nil {
		c.Mode = m.Enum("monitor", "enforce")
	}
	if n := f.Get("per_minute"); n != nil {
		c.PerMinute = int(n.Int(1, schema.MaxPerMinute))
		if c.State != "throttle" {
			n.Fail("is for state: throttle")
		}
	} else if c.State == "throttle" {
		c.PerMinute = defaultPerMinute
	}
	f.Done()
	return c
}

// finish sets the fields of the rule that are derived from the others, and warns about missing tests. It does nothing if
// the file has errors.
func (r *reader) finish() {
	if r.doc.Failed() {
		return
	}
	r.rule.Mentions = mentionsOf(r.rule)
	sum := sha256.Sum256([]byte(shapeText(r.rule)))
	r.rule.Shape = [16]byte(sum[:16])
	var positive, negative bool
	for _, t := range r.rule.Tests {
		positive = positive || len(t.Findings) > 0
		negative = negative || len(t.Findings) == 0
	}
	missing := ""
	switch {
	case !positive && !negative:
		missing = "no test: add one that fires and one that does not"
	case !positive:
		missing = "no test that fires: add one with findings"
	case !negative:
		missing = "no test that stays quiet: add one with findings: []"
	default:
		return
	}
	key := r.top.Name("tests")
	if key == nil {
		key = r.top.Name("id")
	}
	key.Warn("the rule has %s", missing)
}
