package sigma

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
)

// maxTests is the largest number of comparisons in the selections of a rule. A condition with more is longer than the rule
// language allows.
const maxTests = 5000

// rule is one document: a rule, or a correlation of rules.
type rule struct {
	at   *doc.Node
	file string

	title, id, name         string // as in the document
	description, author     string
	level, status, license  string
	references, falseAlarms []string
	tags                    []string
	outID                   string // the id of the translated rule
	source                  *source
	condition               *node
	correlation             *correlation
	block                   bool // the rule only feeds correlations

	problems []doc.Problem // why it cannot be translated
}

// reader reads the documents of one file.
type reader struct {
	doc *doc.Doc
}

// read returns the rule of a document. If it cannot be translated, its problems say why.
func (r *reader) read(n *doc.Node) *rule {
	out := &rule{at: n, file: r.doc.Name}
	if n.Kind != doc.Map {
		n.Fail("is %s, not a Sigma rule: write a mapping with title, logsource and detection", n.Kind)
		out.problems = r.doc.Take()
		return out
	}
	f := n.Fields()
	out.head(f)
	switch detection, correlated := f.Get("detection"), f.Get("correlation"); {
	case f.Name("filter") != nil:
		f.Name("filter").Fail("filters that change other rules are not translated: write the condition into exceptions of the translated rules")
	case correlated != nil && detection != nil:
		f.Name("correlation").Fail("a document is a rule or a correlation, not both: move the correlation to a document of its own")
	case correlated != nil:
		out.correlation = readCorrelation(correlated)
	case detection != nil:
		r.detection(out, f, detection)
	case f.Name("action") != nil:
		f.Name("action").Fail("collections with action are the old syntax of Sigma 1, which Sigma 2 removed: write each rule out")
	default:
		n.Fail("is not a Sigma rule: it has neither detection nor correlation; leave the file out, or name the folder of the rules")
	}
	out.problems = append(out.problems, r.doc.Take()...)
	return out
}

// head reads the metadata of a rule. Keys without an equivalent in the rule language are left out.
func (o *rule) head(f *doc.Fields) {
	text := func(key string) string { return plainText(f.Get(key)) }
	o.title, o.id, o.name, o.description = text("title"), strings.ToLower(text("id")), text("name"), text("description")
	o.author, o.license = text("author"), text("license")
	o.references, o.falseAlarms, o.tags = texts(f.Get("references")), texts(f.Get("falsepositives")), texts(f.Get("tags"))
	if o.title == "" {
		o.at.Fail("%q is missing: every Sigma rule has a title", "title")
	}
	if t := f.Get("taxonomy"); t != nil && plainText(t) != "sigma" {
		t.Fail("fields of the taxonomy %s are not known: write the rule with those of the taxonomy sigma", doc.Short(plainText(t)))
	}
	o.level = "medium"
	if l := f.Get("level"); l != nil {
		o.level = l.Enum("informational", "low", "medium", "high", "critical")
	}
	if s := f.Get("status"); s != nil {
		o.status = s.Enum("stable", "test", "experimental", "deprecated", "unsupported")
	}
	o.outID = "sigma." + slug(o.title) + "-" + o.shortID()
}

// shortID returns the part of the rule's id that makes the new id unique: the beginning of the UUID, else of a hash of the
// name or the title.
func (o *rule) shortID() string {
	const length = 8
	hexOnly := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'f' {
			return r
		}
		return -1
	}, o.id)
	if len(o.id) == 36 && len(hexOnly) == 32 {
		return hexOnly[:length]
	}
	sum := sha256.Sum256([]byte(o.id + "\x00" + o.name + "\x00" + o.title))
	return hex.EncodeToString(sum[:])[:length]
}

// slug returns a text as a part of an id: small letters and digits, with dashes between words, and at most 60 bytes.
func slug(s string) string {
	const longest = 60
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() == longest {
			break
		}
	}
	if out := strings.Trim(b.String(), "-"); out != "" {
		return out
	}
	return "rule"
}

// plainText returns a scalar as text, on one line without control characters, "" for nothing and for other values.
func plainText(n *doc.Node) string {
	if n == nil {
		return ""
	}
	var s string
	switch n.Kind {
	case doc.Text:
		s = n.String()
	case doc.Int, doc.Float:
		s = n.Number()
	default:
		return ""
	}
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// texts returns the texts of a list, or the one of a scalar, without blank ones and repetitions.
func texts(n *doc.Node) (out []string) {
	if n == nil {
		return nil
	}
	items := []*doc.Node{n}
	if n.Kind == doc.List {
		items = n.Items()
	}
	for _, x := range items {
		if t := plainText(x); t != "" && !slices.Contains(out, t) {
			out = append(out, t)
		}
	}
	return out
}

// detection reads the selections and the condition.
func (r *reader) detection(out *rule, f *doc.Fields, n *doc.Node) {
	logsource := f.Get("logsource")
	if logsource == nil {
		out.at.Fail("%q is missing: it names the log that the rule reads", "logsource")
		return
	}
	out.source = sourceOf(logsource, logsource.Fields())
	if out.source == nil {
		return
	}
	selections := map[string]*doc.Node{}
	var names []string
	var condition *doc.Node
	n.Each(func(name, value *doc.Node) {
		switch key := name.String(); key {
		case "condition":
			condition = value
		case "timeframe":
			name.Fail("timeframe belongs to aggregations in a condition, the old syntax of Sigma 1: write a correlation with timespan")
		default:
			names = append(names, key)
			selections[key] = value
		}
	})
	if condition == nil {
		n.Fail("%q is missing: it combines the selections", "condition")
		return
	}
	made := map[string]*node{}
	tests := 0
	of := func(name string) *node {
		if x, ok := made[name]; ok {
			return x
		}
		x := r.selection(out.source, selections[name])
		if tests += x.size(); tests > maxTests {
			selections[name].Fail("the selections have more than %d comparisons: split the rule", maxTests)
			x = nil
		}
		made[name] = x
		return x
	}
	conditions := []*doc.Node{condition}
	if condition.Kind == doc.List {
		conditions = condition.Items()
	}
	var kids []*node
	for _, c := range conditions {
		if c.Kind != doc.Text {
			c.Fail("is %s, not a condition: write the names of selections with and, or and not", c.Kind)
			continue
		}
		if k := parseCondition(c, names, of); k != nil {
			kids = append(kids, k)
		}
	}
	out.condition = or(kids)
}

// size returns the number of tests of a condition; 0 for nil.
func (n *node) size() int {
	if n == nil {
		return 0
	}
	if n.op == opTest {
		return 1
	}
	sum := 0
	for _, k := range n.kids {
		sum += k.size()
	}
	return sum
}

// selection returns the condition of a selection: a mapping of which all keys have to match, a list of such mappings or of
// texts of which one has to, or a text. It returns nil after recording problems.
func (r *reader) selection(s *source, n *doc.Node) *node {
	switch n.Kind {
	case doc.Map:
		var kids []*node
		ok := true
		n.Each(func(key, value *doc.Node) {
			k := r.item(s, key, value)
			if ok = ok && k != nil; k != nil {
				kids = append(kids, k)
			}
		})
		if !ok {
			return nil
		}
		if len(kids) == 0 {
			n.Fail("is empty: write a field and its value")
			return nil
		}
		return and(kids)
	case doc.List:
		var kids []*node
		for _, x := range n.Items() {
			if x.Kind == doc.List {
				x.Fail("is a list within a list: write its values into the outer one")
				return nil
			}
			k := r.selection(s, x)
			if k == nil {
				return nil
			}
			kids = append(kids, k)
		}
		if len(kids) == 0 {
			n.Fail("is an empty list: write texts or fields with values")
			return nil
		}
		return or(kids)
	case doc.Null:
		n.Fail("has no value: write a field and its value")
		return nil
	}
	it := &item{at: n, source: s}
	if !it.read(n) {
		return nil
	}
	return it.keyword()
}

// outTags returns the tags of the translated rule: known ones, and the others below x.
func (o *rule) outTags(known map[string]string) (out []string) {
	for _, t := range o.tags {
		t = strings.ToLower(t)
		name, isAttack := strings.CutPrefix(t, "attack.")
		tag := "x." + strings.Map(tagRune, t)
		if isAttack {
			if id, ok := known[strings.ReplaceAll(name, "_", "-")]; ok {
				tag = id
			}
		}
		if !slices.Contains(out, tag) {
			out = append(out, tag)
		}
	}
	if o.id != "" {
		out = append(out, "x.sigma."+strings.Map(tagRune, o.id))
	}
	return out
}

func tagRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
		return r
	}
	return '-'
}

// attackTags returns the tags of ATT&CK by what Sigma writes after attack.: the id of a technique, or the title of a tactic.
func attackTags() map[string]string {
	m := map[string]string{}
	for _, t := range rules.Tags() {
		id, ok := strings.CutPrefix(t.ID, "attack.")
		if !ok {
			continue
		}
		m[id] = t.ID
		if strings.HasPrefix(id, "ta") {
			m[slug(t.Title)] = t.ID
		}
	}
	return m
}
