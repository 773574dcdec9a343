package site

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/rules/predicate"
)

//go:embed capabilities.yaml
var shippedCapabilities []byte

// shippedName is the name of the shipped file in reasons and problems.
const shippedName = "capabilities.yaml (shipped)"

// Limits of a file of capabilities.
const (
	// MaxCapabilities is the greatest number of entries of a file. All are tried in turn for a name that was not seen before.
	MaxCapabilities = 2_000
	// MaxCapabilityWords is the greatest number of words of one kind.
	MaxCapabilityWords = 5_000
)

// Capabilities says which tools, MCP servers, hosts, routes and cloud actions bring untrusted input, read private data, send
// data out, change or destroy: `cap.NAME` in conditions. It has the entries of the site's file, if there is one, before the
// shipped ones. Everything else is judged by the words of its name and the shape of its arguments.
//
//	capabilities:
//	  - {tools: [lookup_order, "crm_*"], labels: [private], why: reads our customers}
//	  - {servers: [partner-portal], labels: [untrusted, egress]}
//	  - {hosts: ["*.partner.example"], routes: ["POST /v1/*"], labels: [egress, change]}
//	  - {actions: ["sqs:SendMessage"], labels: [egress]}
//	words:
//	  sends: [fax]
//
// The first entry that matches decides. An entry matches if one glob of each key that it has matches. With `shape: true`, the
// shape of the arguments adds labels. Look-ups do not allocate, except for a tool's name that is not cached.
type Capabilities struct {
	entries []capability
	words   [numWordKinds]map[string]bool
}

// capability is one entry.
type capability struct {
	tools, servers, hosts, routes, actions *globs // nil: any
	labels                                 predicate.Labels
	shape                                  bool
	why                                    string
	file                                   string
	line                                   int
}

// The kinds of words.
const (
	wordReads = iota
	wordActs
	wordSends
	wordDeletes
	wordPrivate
	numWordKinds
)

var wordKinds = [numWordKinds]string{"reads", "acts", "sends", "deletes", "private"}

// ShippedCapabilities returns the capabilities without any of a site.
func ShippedCapabilities() *Capabilities {
	c, problems := ParseCapabilities("", nil)
	if c == nil {
		panic("the shipped capabilities are wrong: " + problems[0].String()) // a test reads them
	}
	return c
}

// ParseCapabilities reads the file of a site, whose name problems show, and adds the shipped entries. An empty name is no file.
// The result is nil if any problem is not a warning.
func ParseCapabilities(name string, src []byte) (*Capabilities, []doc.Problem) {
	c := &Capabilities{}
	for i := range c.words {
		c.words[i] = map[string]bool{}
	}
	var problems []doc.Problem
	if name != "" {
		d, root := doc.ParseSize(name, src, doc.MaxListSize)
		c.read(root, name)
		problems = d.Problems()
		if d.Failed() {
			return nil, problems
		}
	}
	d, root := doc.ParseSize(shippedName, shippedCapabilities, doc.MaxListSize)
	c.read(root, shippedName)
	if d.Failed() {
		return nil, append(problems, d.Problems()...)
	}
	return c, problems
}

func (c *Capabilities) read(root *doc.Node, file string) {
	f := root.Fields()
	entries := f.Get("capabilities")
	words := f.Get("words")
	f.Done()
	items := entries.Items()
	if len(items) > MaxCapabilities {
		entries.Fail("has %d entries, the limit is %d: use globs", len(items), MaxCapabilities)
		items = nil
	}
	for _, n := range items {
		if e, ok := readCapability(n); ok {
			e.file, e.line = file, n.Line
			c.entries = append(c.entries, e)
		}
	}
	if words == nil {
		return
	}
	w := words.Fields()
	for kind, name := range wordKinds {
		list := w.Get(name)
		values := list.Strings()
		if len(values) > MaxCapabilityWords {
			list.Fail("has %d words, the limit is %d: remove some", len(values), MaxCapabilityWords)
		}
		for _, v := range values {
			if v != strings.ToLower(v) || strings.ContainsAny(v, "_-. *?") || v == "" {
				list.Fail("%q is not one word in small letters, and names are compared by their words: split it, or write an entry with a glob", doc.Short(v))
			}
			c.words[kind][v] = true
		}
	}
	w.Done()
}

func readCapability(n *doc.Node) (e capability, ok bool) {
	f := n.Fields()
	for _, k := range []struct {
		key string
		to  **globs
	}{{"tools", &e.tools}, {"servers", &e.servers}, {"hosts", &e.hosts}, {"routes", &e.routes}, {"actions", &e.actions}} {
		if v := f.Get(k.key); v != nil {
			*k.to = readGlobs(v)
		}
	}
	labels := f.Need("labels")
	for _, l := range labels.Items() {
		name := l.Enum(predicate.LabelNames()...)
		e.labels |= predicate.LabelOf(name)
	}
	if e.labels.Has(predicate.Destructive) {
		e.labels |= predicate.Change
	}
	if s := f.Get("shape"); s != nil {
		e.shape = s.Bool()
	}
	e.why = f.Get("why").Filled()
	f.Done()
	if n == nil || n.Kind != doc.Map {
		return e, false
	}
	isTool, isRequest, isAction := e.tools != nil || e.servers != nil, e.hosts != nil || e.routes != nil, e.actions != nil
	switch {
	case !isTool && !isRequest && !isAction:
		n.Fail("matches nothing: write tools, servers, hosts, routes or actions")
	case isTool && (isRequest || isAction) || isRequest && isAction:
		n.Fail("mixes tools, requests and actions, and no record is two of these: make an entry for each")
	}
	return e, true
}

// Tool returns the labels of a tool and whether the shape of its arguments may add some.
func (c *Capabilities) Tool(server, name string) (labels predicate.Labels, byShape bool) {
	labels, byShape, _ = c.tool(server, name)
	return labels, byShape
}

func (c *Capabilities) tool(server, name string) (labels predicate.Labels, byShape bool, why string) {
	words, last := splitName(name)
	whole, own := strings.Join(words, "_"), strings.Join(words[last:], "_")
	for i := range c.entries {
		e := &c.entries[i]
		if e.tools == nil && e.servers == nil {
			continue
		}
		if (e.tools == nil || e.tools.match(whole) || e.tools.match(own)) && (e.servers == nil || server != "" && e.servers.match(server)) {
			return e.labels, e.shape, e.reason()
		}
	}
	labels, why = c.byWords(words[last:], isCamel(name))
	return labels, true, why
}

// byWords returns the labels of a name by its words.
func (c *Capabilities) byWords(words []string, camel bool) (labels predicate.Labels, why string) {
	has := func(kind int, ws []string) string {
		for _, w := range ws {
			if c.words[kind][w] {
				return w
			}
		}
		return ""
	}
	if len(words) == 0 {
		return 0, "it has no name"
	}
	reads := ""
	if !c.words[wordActs][words[0]] {
		if reads = has(wordReads, words[:min(len(words), 2)]); reads == "" && camel {
			reads = has(wordReads, words)
		}
	}
	private := has(wordPrivate, words)
	if reads != "" {
		labels, why = predicate.Untrusted, "its name says that it reads ("+reads+")"
		if private != "" {
			labels, why = labels|predicate.Private, why+", of people or the organisation ("+private+")"
		}
		return labels, why
	}
	labels, why = predicate.Change, "its name does not say that it only reads"
	if w := has(wordSends, words); w != "" {
		labels, why = labels|predicate.Egress, why+", and says that it sends ("+w+")"
	}
	if w := has(wordDeletes, words); w != "" {
		labels, why = labels|predicate.Destructive, why+", and says that it deletes or stops ("+w+")"
	}
	return labels, why
}

// reason returns the position of an entry and its note.
func (e *capability) reason() string {
	at := e.file + ":" + strconv.Itoa(e.line)
	if e.why == "" {
		return "entry " + at
	}
	return e.why + " (" + at + ")"
}

// Request returns the labels of a request over HTTP: those of its entry, else those of its method.
func (c *Capabilities) Request(host, path, method string) predicate.Labels {
	if e := c.requestEntry(host, path, method); e != nil {
		return e.labels
	}
	switch method {
	case "":
		return 0
	case "GET", "HEAD", "OPTIONS":
		return predicate.Untrusted
	case "DELETE":
		return predicate.Change | predicate.Destructive
	}
	return predicate.Change
}

// requestEntry returns the entry of a request, nil if there is none.
func (c *Capabilities) requestEntry(host, path, method string) *capability {
	for i := range c.entries {
		e := &c.entries[i]
		if e.hosts == nil && e.routes == nil {
			continue
		}
		if (e.hosts == nil || host != "" && e.hosts.match(host)) && (e.routes == nil || method != "" && e.routes.match(method+" "+path)) {
			return e
		}
	}
	return nil
}

// Action returns the labels of an action of an audit log, such as s3:GetObject.
func (c *Capabilities) Action(action string) predicate.Labels {
	labels, _ := c.action(action)
	return labels
}

func (c *Capabilities) action(action string) (labels predicate.Labels, why string) {
	for i := range c.entries {
		if e := &c.entries[i]; e.actions != nil && e.actions.match(action) {
			return e.labels, e.reason()
		}
	}
	verb := action[strings.LastIndexAny(action, ":./")+1:]
	for _, p := range actionVerbs {
		if strings.HasPrefix(verb, p.verb) || strings.HasPrefix(verb, p.small) {
			return p.labels, "its verb is " + p.verb
		}
	}
	return 0, "its verb is unknown"
}

// actionVerbs are the beginnings of the last part of the names of cloud actions.
var actionVerbs = func() (out []actionVerb) {
	add := func(labels predicate.Labels, verbs ...string) {
		for _, v := range verbs {
			out = append(out, actionVerb{v, strings.ToLower(v), labels})
		}
	}
	add(predicate.Change|predicate.Destructive, "Delete", "Terminate", "Remove", "Destroy", "Purge", "Deregister", "Revoke", "Disable", "Stop", "Detach", "Schedule")
	add(predicate.Change, "Create", "Put", "Update", "Modify", "Attach", "Add", "Set", "Enable", "Start", "Run", "Insert", "Write", "Patch",
		"Associate", "Register", "Import", "Restore", "Reset", "Change", "Grant", "Invite", "Publish", "Send", "Share", "Upload")
	return out
}()

type actionVerb struct {
	verb, small string
	labels      predicate.Labels
}

// Explanation is the labels of something, and why it has them.
type Explanation struct {
	Labels []string `json:"labels"`
	Why    []string `json:"why"`
}

// ExplainTool explains the labels of a call of a tool; server and arguments may be "".
func (c *Capabilities) ExplainTool(server, name, arguments string) Explanation {
	labels, byShape, why := c.tool(server, name)
	out := Explanation{Why: []string{why}}
	if byShape && arguments != "" {
		if more := c.Shape(arguments) &^ labels; more != 0 {
			labels |= more
			out.Why = append(out.Why, "the shape of its arguments adds "+strings.Join(more.Names(), ", "))
		}
	}
	out.Labels = labels.Names()
	return out
}

// ExplainRequest explains the labels of a request.
func (c *Capabilities) ExplainRequest(host, path, method string) Explanation {
	why := "its method is " + method
	if e := c.requestEntry(host, path, method); e != nil {
		why = e.reason()
	}
	return Explanation{c.Request(host, path, method).Names(), []string{why}}
}

// ExplainAction explains the labels of an action.
func (c *Capabilities) ExplainAction(action string) Explanation {
	labels, why := c.action(action)
	return Explanation{labels.Names(), []string{why}}
}

// splitName splits the name of a tool into its words in small letters. last is the index of the first word after the namespaces,
// which end in __, a point, a slash or a colon.
func splitName(name string) (words []string, last int) {
	start := 0
	flush := func(end int) {
		if end > start {
			words = append(words, strings.ToLower(name[start:end]))
		}
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '.' || c == '/' || c == ':' || c == '_' && i+1 < len(name) && name[i+1] == '_':
			flush(i)
			start, last = i+1, len(words)
		case c == '_' || c == '-' || c == ' ':
			flush(i)
			start = i + 1
		case c-'A' < 26 && i > start && (name[i-1]-'a' < 26 || name[i-1]-'0' <= 9 || i+1 < len(name) && name[i+1]-'a' < 26):
			flush(i)
			start = i
		}
	}
	flush(len(name))
	if last >= len(words) {
		last = 0
	}
	return words, last
}

// isCamel reports whether a name has a capital inside.
func isCamel(name string) bool {
	return slices.ContainsFunc([]byte(name), func(c byte) bool { return c-'A' < 26 })
}

// readGlobs reads a list of globs.
func readGlobs(v *doc.Node) *globs {
	g := &globs{}
	for _, p := range v.Strings() {
		g.add(strings.TrimSpace(p))
	}
	if len(g.patterns) > MaxPatterns {
		v.Fail("has %d globs with a wildcard inside, the limit is %d: use *suffix and prefix*, which are indexed", len(g.patterns), MaxPatterns)
	}
	return g
}
