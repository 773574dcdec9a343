package maps

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/formats"
)

var (
	nameForm    = regexp.MustCompile(`^[a-z0-9][a-z0-9_]{0,62}$`)
	datasetForm = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+){0,3}$`)
)

// Parse reads the text of one map. The file is nil if a problem is more than a warning.
func Parse(name string, text []byte) (*File, []doc.Problem) {
	d, root := doc.Parse(name, text)
	if root == nil {
		return nil, d.Problems()
	}
	r := reader{file: &File{Map: &decode.Map{}, Path: name, Line: root.Line}}
	r.read(root)
	if d.Failed() {
		return nil, d.Problems()
	}
	return r.file, d.Problems()
}

// reader reads one file.
type reader struct {
	file     *File
	possible []string // the classes that events may have
}

func (r *reader) read(root *doc.Node) {
	f := root.Fields()
	m := r.file.Map
	name := f.Need("name")
	if m.Name = name.String(); name != nil && !nameForm.MatchString(m.Name) {
		name.Fail("%q is not a valid name: use up to 63 of a-z, 0-9 and '_', the first a letter or digit", doc.Short(m.Name))
	}
	r.file.About = f.Get("about").Filled()
	dataset := f.Need("dataset")
	if m.Dataset = dataset.String(); dataset != nil && !datasetForm.MatchString(m.Dataset) {
		dataset.Fail("%q is not a valid dataset: write it like nginx.access", doc.Short(m.Dataset))
	}
	r.class(f.Need("class"))
	m.Families = families(f.Get("families"))
	m.Keys = r.keys(f.Need("keys"))
	if match := f.Get("match"); match != nil {
		r.match(match)
	}
	m.Absent = f.Get("absent").Strings()
	fields := f.Need("fields")
	fields.Each(r.field)
	identity := f.Get("identity")
	if identity != nil {
		m.Identity = r.sources(identity, schema.AIAgentUID)
	}
	if chat := f.Get("chat"); chat != nil {
		r.chat(chat)
	}
	tests := f.Get("tests")
	r.tests(tests)
	f.Done()
	r.whole(root, fields)
}

// families reads the families of the dataset.
func families(n *doc.Node) (list []string) {
	for _, item := range n.Items() {
		if family := item.Enum(formats.Families()...); family != "" {
			list = append(list, family)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// whole checks conditions that involve several keys of the map.
func (r *reader) whole(root, fields *doc.Node) {
	m := r.file.Map
	if fields == nil || fields.Kind != doc.Map {
		return
	}
	for _, class := range r.possible {
		r.action(fields, class)
	}
	if !r.has(schema.Time) {
		fields.Warn("time is not mapped: events get Kafka's timestamp, and a record in a file becomes a dead letter")
	}
	if len(m.Identity) == 0 && !r.has(schema.SourceIP) {
		root.Warn("neither identity nor source.ip is mapped: no event has an agent")
	}
	if len(r.file.Tests) == 0 {
		root.Warn("has no tests: give a record and the events that it must yield")
	}
}

// action checks that events of a class have an action.
func (r *reader) action(fields *doc.Node, class string) {
	switch class {
	case formats.ClassTool:
		if !r.has(schema.EventAction) && !r.has(schema.MCPMethodName) {
			fields.Fail("an event of class tool needs an action: map event.action or mcp.method.name")
		}
	case formats.ClassAuth, formats.ClassAudit, "guardrail":
		if !r.has(schema.EventAction) {
			fields.Fail("an event of class %s needs an action: map event.action", class)
		}
	case formats.ClassAPI, "http":
		if !r.has(schema.EventAction) && !r.has(schema.HTTPRequestMethod) {
			fields.Warn("no event has an action: map http.request.method or event.action")
		}
	}
}

// class reads the class of the events: one class, or sources of it, of which the last is a constant.
func (r *reader) class(n *doc.Node) {
	m := r.file.Map
	if n == nil || n.Kind == doc.Text {
		m.Class = n.Enum(decode.Classes()...)
		r.possible = []string{m.Class}
		return
	}
	m.Classes = r.sources(n, schema.EventClass)
	for _, s := range m.Classes {
		for _, class := range s.Table {
			r.possible = append(r.possible, class)
		}
		if s.Value != "" {
			r.possible = append(r.possible, s.Value)
		}
		if s.Value == "" && s.Table == nil {
			n.Fail("the source of a class needs a table: a record must not choose its class")
		}
	}
	slices.Sort(r.possible)
	r.possible = slices.DeleteFunc(slices.Compact(r.possible), func(class string) bool { return class == "" })
	if len(m.Classes) == 0 {
		return
	}
	last := &m.Classes[len(m.Classes)-1]
	if m.Class = last.Value; last.Path != nil || last.Value == "" {
		n.Fail("the last source of a class must be a constant, as in [{path: kind, table: {login: auth}}, {value: audit}]")
	}
}

// match reads the key at the top of a record and the texts that it may have.
func (r *reader) match(n *doc.Node) {
	f := n.Fields()
	m := &decode.MapMatch{Key: f.Need("key").Filled(), Texts: f.Need("texts").Strings()}
	f.Done()
	if n.Kind == doc.Map && (len(m.Texts) == 0 || len(m.Texts) > MaxTable) {
		n.Fail("needs 1 to %d texts", MaxTable)
	}
	r.file.Match = m
}

func (r *reader) has(f schema.Field) bool {
	for i := range r.file.Map.Fields {
		if r.file.Map.Fields[i].Field == f {
			return true
		}
	}
	return false
}

// keys reads the sets of top-level keys that identify the format: one list of keys, or several.
func (r *reader) keys(n *doc.Node) [][]string {
	items := n.Items()
	if n == nil || n.Kind != doc.List {
		return nil
	}
	if len(items) == 0 || len(items) > MaxKeys {
		n.Fail("needs 1 to %d keys that every record has at its top, or lists of such keys", MaxKeys)
		return nil
	}
	if items[0].Kind != doc.List {
		return [][]string{r.keySet(n)}
	}
	var sets [][]string
	for _, item := range items {
		sets = append(sets, r.keySet(item))
	}
	return sets
}

func (r *reader) keySet(n *doc.Node) []string {
	keys := n.Strings()
	if n.Kind == doc.List && (len(keys) == 0 || len(keys) > MaxKeys) {
		n.Fail("needs 1 to %d keys that every record has at its top", MaxKeys)
	} else if len(keys) == 1 {
		n.Warn("a single key identifies a format poorly: records of other formats may have %q too", doc.Short(keys[0]))
	}
	return keys
}

// field reads one field of the map.
func (r *reader) field(name, value *doc.Node) {
	f, ok := schema.FieldByName(name.String())
	if !ok {
		if at := doc.Nearest(name.String(), fieldNames()); at != "" {
			name.Fail("there is no such field: did you mean %s?", at)
			return
		}
		name.Fail("there is no such field: schema/FIELDS.md lists them")
		return
	}
	if why := decode.Mappable(f); why != "" {
		name.Fail("cannot be mapped: %s", why)
		return
	}
	if from := r.sources(value, f); len(from) > 0 {
		r.file.Fields = append(r.file.Fields, decode.MapField{Field: f, From: from})
	}
}

func fieldNames() (names []string) {
	for f := range schema.Field(schema.NumFields) {
		names = append(names, f.String())
	}
	return names
}

// chat reads the paths of the request and response bodies of a model call.
func (r *reader) chat(n *doc.Node) {
	f := n.Fields()
	c := &decode.MapChat{Request: keyPaths(f.Get("request")), Response: keyPaths(f.Get("response")), Tools: keyPaths(f.Get("tools"))}
	f.Done()
	if r.file.Class != formats.ClassLLM {
		n.Fail("belongs to class llm")
	}
	if n.Kind == doc.Map && c.Request == nil && c.Response == nil {
		n.Fail("needs request, response or both")
	}
	r.file.Chat = c
}

// keyPaths reads a path, or a list of alternatives of which the first with a value is used.
func keyPaths(n *doc.Node) (list []decode.MapSource) {
	items := []*doc.Node{n}
	switch {
	case n == nil:
		return nil
	case n.Kind == doc.List:
		items = n.Items()
	}
	for _, item := range items {
		if p := keyPath(item); p != nil {
			list = append(list, decode.MapSource{Path: p})
		}
	}
	return list
}

// itemForm is a path into a list: the list's path, the index 0 or a key with its text, and the path in the item.
var itemForm = regexp.MustCompile(`^([^\[\]]+)\[(?:0|([^\[\]=]+)=([^\[\]]+))\](?:\.([^\[\]]+))?$`)

// itemPath reads a path that may go through a list, as in headers[name=host].value, addresses[0].ip or tags[0].
func itemPath(n *doc.Node) ([]string, *decode.MapItem) {
	parts := itemForm.FindStringSubmatch(n.Filled())
	if parts == nil {
		return keyPath(n), nil
	}
	item := &decode.MapItem{Key: parts[2], Text: parts[3]}
	if item.Path = keysOf(n, parts[4]); item.Path == nil && item.Key != "" {
		n.Fail("needs a path in the item: write %s.value", doc.Short(n.String()))
	}
	return keysOf(n, parts[1]), item
}

// keyPath reads keys separated by dots; `\.` is a dot inside a key.
func keyPath(n *doc.Node) []string { return keysOf(n, n.Filled()) }

func keysOf(n *doc.Node, text string) []string {
	if text == "" {
		return nil
	}
	var keys []string
	var key strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text) && (text[i+1] == '.' || text[i+1] == '\\'):
			i++
			key.WriteByte(text[i])
		case text[i] == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(text[i])
		}
	}
	keys = append(keys, key.String())
	for _, k := range keys {
		if k == "" || k == "$" {
			n.Fail("%q is not a path: write keys separated by dots, as in request.method, and \\. for a dot inside a key", doc.Short(text))
			return nil
		}
	}
	if len(keys) > MaxPath {
		n.Fail("has %d keys, more than %d", len(keys), MaxPath)
		return nil
	}
	return keys
}
