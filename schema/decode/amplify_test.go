package decode

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/schema"
)

// The tests of this file hold the cost of decoding to a line: if the input doubles, the cost at most doubles, whichever
// part of the input it is that grows. They take real records of each format apart, and let each part of them grow, alone
// and together with each other part, because work that is repeated for each of one part on each of another shows only
// if both grow.

// treeNode is a JSON value, with its members in the order of the text.
type treeNode struct {
	scalar string      // the value as it is written, unless it is an object or array
	open   byte        // '{', '[' or 0
	keys   []string    // of an object
	below  []*treeNode // members or elements
	path   string
}

// parseTree parses a JSON text.
func parseTree(t testing.TB, text string) *treeNode {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var read func(path string) *treeNode
	read = func(path string) *treeNode {
		token, err := dec.Token()
		if err != nil {
			t.Fatalf("parse %.100s: %v", text, err)
		}
		delim, ok := token.(json.Delim)
		if !ok {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(token); err != nil {
				t.Fatal(err)
			}
			return &treeNode{scalar: strings.TrimSpace(b.String()), path: path}
		}
		n := &treeNode{open: byte(delim), path: path}
		for dec.More() {
			key := fmt.Sprint(len(n.below))
			if n.open == '{' {
				token, err := dec.Token()
				if err != nil {
					t.Fatal(err)
				}
				key = token.(string)
				n.keys = append(n.keys, key)
			}
			n.below = append(n.below, read(path+"."+key))
		}
		if _, err := dec.Token(); err != nil {
			t.Fatal(err)
		}
		return n
	}
	return read("")
}

// growth is a way in which a node of a record grows.
type growth struct {
	kind string
	node *treeNode
}

func (g growth) String() string { return g.kind + " at " + g.node.path }

// The kinds of growth.
const (
	growElements = "elements"     // the elements of an array are repeated
	growEmpty    = "empties"      // an array gets empty objects
	growKeys     = "keys"         // an object gets unknown keys
	growTwice    = "keys twice"   // the last member of an object is repeated
	growEscaped  = "escaped keys" // an object gets unknown keys with escapes
	growText     = "text"         // a text gets longer
	growEscapes  = "escapes"      // a text gets escape sequences
	growQuoted   = "quoted text"  // a text gets JSON
)

// growths returns all ways in which the parts of a record can grow.
func growths(root *treeNode) (list []growth) {
	var walk func(n *treeNode)
	walk = func(n *treeNode) {
		switch {
		case n.open == '[':
			if len(n.below) > 0 {
				list = append(list, growth{growElements, n})
			}
			list = append(list, growth{growEmpty, n})
		case n.open == '{':
			list = append(list, growth{growKeys, n}, growth{growEscaped, n})
			if len(n.below) > 0 {
				list = append(list, growth{growTwice, n})
			}
		case strings.HasPrefix(n.scalar, `"`):
			list = append(list, growth{growText, n}, growth{growEscapes, n}, growth{growQuoted, n})
		}
		for _, b := range n.below {
			walk(b)
		}
	}
	walk(root)
	return list
}

// render returns the record in which the nodes grow by n. A node inside an array that grows does so in its first element.
func render(root *treeNode, n int, grow ...growth) string {
	var b strings.Builder
	var write func(v *treeNode, first bool)
	write = func(v *treeNode, first bool) {
		kinds := map[string]bool{}
		for _, g := range grow {
			if g.node == v && first {
				kinds[g.kind] = true
			}
		}
		switch v.open {
		case 0:
			text := v.scalar
			if len(kinds) > 0 {
				text = text[:len(text)-1]
				switch {
				case kinds[growText]:
					text += strings.Repeat("abcdefgh", n)
				case kinds[growEscapes]:
					text += strings.Repeat(`\n\u00e9`, n)
				case kinds[growQuoted]:
					text = `"[` + strings.Repeat(`{\"a\":[]},`, n) + "1]"
				}
				text += `"`
			}
			b.WriteString(text)
			return
		case '{':
			b.WriteByte('{')
			for i, member := range v.below {
				if i > 0 {
					b.WriteByte(',')
				}
				fmt.Fprintf(&b, "%q:", v.keys[i])
				write(member, first)
			}
			for i := range n {
				switch {
				case kinds[growKeys]:
					fmt.Fprintf(&b, `,"k%d":1`, i)
				case kinds[growEscaped]:
					fmt.Fprintf(&b, `,"\u006b%d":1`, i)
				case kinds[growTwice]:
					fmt.Fprintf(&b, `,%q:`, v.keys[len(v.keys)-1])
					write(v.below[len(v.below)-1], false)
				}
			}
			b.WriteByte('}')
		case '[':
			b.WriteByte('[')
			for i, elem := range v.below {
				if i > 0 {
					b.WriteByte(',')
				}
				write(elem, first && i == 0)
			}
			for i := range n {
				switch {
				case kinds[growElements]:
					b.WriteByte(',')
					write(v.below[i%len(v.below)], false)
				case kinds[growEmpty]:
					if i > 0 || len(v.below) > 0 {
						b.WriteByte(',')
					}
					b.WriteString("{}")
				}
			}
			b.WriteByte(']')
		}
	}
	write(root, true)
	return strings.ReplaceAll(b.String(), "{,", "{")
}

// scaling is a family of records, one of each size.
type scaling struct {
	name string
	of   func(n int) string
}

// scalings returns families of records in which parts of a record grow: each kind of growth alone, everywhere in the
// record, and the growth of each array together with each of them.
func scalings(t testing.TB) (list []scaling) {
	records := plain(t)
	for _, name := range slices.Sorted(maps.Keys(records)) {
		root := parseTree(t, records[name])
		ways := growths(root)
		byKind := map[string][]growth{}
		for _, g := range ways {
			byKind[g.kind] = append(byKind[g.kind], g)
		}
		for _, kind := range []string{growElements, growEmpty, growKeys, growTwice, growEscaped, growText, growEscapes, growQuoted} {
			if len(byKind[kind]) == 0 {
				continue
			}
			list = append(list, scaling{name + ": " + kind, func(n int) string { return render(root, n, byKind[kind]...) }})
			if kind == growTwice || kind == growText {
				continue
			}
			for _, g := range byKind[growEmpty] {
				if kind == growEmpty || kind == growElements {
					continue
				}
				grow := append(slices.Clone(byKind[kind]), g)
				list = append(list, scaling{fmt.Sprintf("%s: %s, %v", name, kind, g), func(n int) string { return render(root, n, grow...) }})
			}
			for _, g := range byKind[growElements] {
				grow := append(slices.Clone(byKind[kind]), g)
				list = append(list, scaling{fmt.Sprintf("%s: %s, %v", name, kind, g), func(n int) string { return render(root, n, grow...) }})
			}
		}
	}
	return list
}

// maxGrowth is the largest factor by which the cost may grow if the input doubles: 2, and 15 % for the inexactness of
// measurements.
const maxGrowth = 2.3

// discard is a handler that takes everything.
func discard() *Handler {
	return &Handler{Event: func(*schema.Event) {}, Dead: func(Dead) {}, FieldError: func(string, string) {}}
}

// work returns the work of decoding a record: the bytes that were read and written, and the values that were visited.
func (d *Decoder) work(record string) int {
	before := d.elem.Index.Work() + d.elem.Arena.Work()
	d.Decode(record, Meta{Time: 1}, discard())
	return d.elem.Index.Work() + d.elem.Arena.Work() - before
}

// TestWorkIsLinear checks that the work of decoding does not grow faster than the input, whichever parts of it grow. The
// work is counted, not measured, so the test always gives the same result.
func TestWorkIsLinear(t *testing.T) {
	const steps = 100
	d, err := New(Options{Format: Auto, Wanted: everything(), Maps: accessMaps()})
	if err != nil {
		t.Fatal(err)
	}
	list := append(scalings(t), envelopes(t)...)
	t.Logf("%d scalings", len(list))
	for _, s := range list {
		small, large := s.of(steps), s.of(2*steps)
		growth := float64(d.work(large)) / float64(d.work(small)) * 2 / max(2, float64(len(large))/float64(len(small)))
		if growth > maxGrowth {
			t.Errorf("%s: the work grows by %.2f when the input of %d bytes doubles, want at most %.1f", s.name, growth, len(small), maxGrowth)
		}
	}
}

// maxTimeGrowth is the largest factor by which the time may grow. It is larger than maxGrowth, because twice the input may
// not fit in a cache in which the input does; quadratic work grows by 4.
const maxTimeGrowth = 3.0

// TestTimeIsLinear checks the time, too, for work that is not counted, such as comparing texts. It compares the least
// processor time of several runs of its thread, which other processes hardly affect, and measures again before it fails.
func TestTimeIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	const steps = 1000
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection during a run would count
	for _, s := range envelopes(t) {
		small, large := s.of(steps), s.of(2*steps)
		growth := timeGrowth(d, small, large)
		for again := 0; again < 4 && growth > maxTimeGrowth; again++ {
			runtime.GC()
			growth = min(growth, timeGrowth(d, small, large))
		}
		t.Logf("%-50s %8d B  growth %.2f", s.name, len(small), growth)
		if growth > maxTimeGrowth {
			t.Errorf("%s: the time grows by %.2f when the input of %d bytes doubles, want at most %.1f", s.name, growth, len(small), maxTimeGrowth)
		}
		runtime.GC()
	}
}

// timeGrowth returns the factor by which the processor time of decoding grows if the input doubles. Short records are
// decoded several times in a run, so that the clock and the warm-up of caches do not matter.
func timeGrowth(d *Decoder, small, large string) float64 {
	h := discard()
	repeat := 1 + 100_000/len(small)
	least := [2]time.Duration{time.Hour, time.Hour}
	for range 6 {
		for i, record := range [...]string{small, large} {
			began := threadTime()
			for range repeat {
				d.Decode(record, Meta{Time: 1}, h)
			}
			least[i] = min(least[i], max(threadTime()-began, time.Microsecond))
		}
	}
	return float64(least[1]) / float64(least[0]) * 2 / max(2, float64(len(large))/float64(len(small)))
}

// envelopes returns families of records in which the number or the size of the contents of an envelope grows, and of the
// forms that records are found to be attacked with.
func envelopes(t testing.TB) (list []scaling) {
	otlp := func(attribute, scope string) func(n int) string {
		return func(n int) string {
			var attributes strings.Builder
			for i := range n {
				fmt.Fprintf(&attributes, ","+attribute, i)
			}
			return `{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}` + attributes.String() +
				`]},"scopeSpans":[` + strings.Repeat(scope+",", n) + `{}]}]}`
		}
	}
	unknown := `{"key":"r%d","value":{"stringValue":"v"}}`
	message := `{"key":"gen_ai.prompt.%d.content","value":{"stringValue":"v"}}`
	span := `{"spans":[` + otlpSpan(1, "chat", "") + `]}`
	other := `{"spans":[` + otlpSpan(1, "", "") + `]}`
	named := `{"scope":{"attributes":[{"key":"service.name","value":{"stringValue":"t"}}]},"spans":[` + otlpSpan(1, "chat", "") + `]}`
	list = append(list,
		scaling{"OTLP: attributes, empty scopes", otlp(unknown, "{}")},
		scaling{"OTLP: attributes, scopes", otlp(unknown, span)},
		scaling{"OTLP: attributes, scopes of other spans", otlp(unknown, other)},
		scaling{"OTLP: messages, scopes", otlp(message, span)},
		scaling{"OTLP: attributes, scopes with attributes", otlp(unknown, named)},
		scaling{"OTLP: the same attribute, scopes", otlp(`{"key":"user.id","value":{"stringValue":"v%d"}}`, named)},
	)
	for _, s := range slices.Clone(list) {
		list = append(list, scaling{s.name + ", protobuf", func(n int) string {
			raw, ok := asProtobuf(s.of(n))
			if !ok {
				t.Fatalf("%s is not protobuf", s.name)
			}
			return raw
		}})
	}
	// A text of the resource that each of its elements looks at.
	list = append(list, scaling{"OTLP: escapes in a resource, log records", func(n int) string {
		return `{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"` + strings.Repeat(`\n\u00e9`, n) +
			`"}}]},"scopeLogs":[{"logRecords":[` + strings.Repeat("{},", n) + `{}]}]}]}`
	}})

	line := func(text string) func(n int) string { return func(n int) string { return strings.Repeat(text, n) } }
	for name, text := range map[string]string{
		"lines": small + "\n", "values without newlines": small, "blank lines": "\n \n", "opened objects": "{\n", "opened arrays": `{"a":[` + "\n",
		"opened objects and lines": `{"a":[` + "\n" + small + "\n", "opened texts": `{"a":"` + "\n", "opened arrays of objects": `{"a":[{},` + "\n",
		"objects with a comma": "{},\n", "lines with rest": "{}x\n", "closed objects": "}\n{\n",
	} {
		list = append(list, scaling{"lines: " + name, line(text)})
	}
	// Lines that swallow the next ones, with long contents before each of these.
	list = append(list, scaling{"lines: opened arrays with long contents", func(n int) string {
		var b strings.Builder
		for range 40 {
			b.WriteString(`{"a":[` + strings.Repeat("{},", n) + "\n")
		}
		return b.String()
	}})

	cloudwatch := func(n int) string {
		return `{"messageType":"DATA_MESSAGE","logEvents":[` + strings.Repeat(`{"message":`+quote(small, false)+`},`, n) + `{"message":"x"}]}`
	}
	array := func(n int) string { return "[" + strings.Repeat(small+",", n) + small + "]" }
	pubsub := func(text string) string {
		return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(text)) + `","messageId":"1"}}`
	}
	quoted := func(text string) string { return `{"log":` + quote(text, false) + `}` }
	list = append(list,
		scaling{"array", array},
		scaling{"array of arrays", func(n int) string { return "[" + strings.Repeat("[[]],", n) + "[]]" }},
		scaling{"array of envelopes", func(n int) string { return "[" + strings.Repeat(`{"Records":[]},`, n) + "{}]" }},
		scaling{"log events", cloudwatch},
		scaling{"gzip", func(n int) string { return gzipped(t, array(n)) }},
		scaling{"base64", func(n int) string { return pubsub(array(n)) }},
		scaling{"lines of base64", func(n int) string { return strings.Repeat(pubsub(small)+"\n", n) }},
		scaling{"text in text in text", func(n int) string { return quoted(quoted(quoted(array(n)))) }},
		scaling{"a text with escapes in text in text", func(n int) string {
			return quoted(quoted(`{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","user_agent":"` + strings.Repeat(`\\\"`, n) + `"}`))
		}},
		scaling{"framed", func(n int) string { return "\x00\x00\x00\x00\x01" + array(n) }},
		scaling{"unknown keys of unknown formats", func(n int) string {
			var b strings.Builder
			for i := range n {
				fmt.Fprintf(&b, `"key%d":{},`, i)
			}
			return "[" + "{" + b.String() + `"x":1}]`
		}},
	)

	// Damaged texts, lines with prefixes, and the envelopes of clouds and buses.
	encoded := base64.StdEncoding.EncodeToString([]byte(small))
	for name, text := range map[string]string{
		"texts": "a text\n", "prefixes": "2026-05-01T10:00:00Z stdout F " + small + "\n", "prefixes of text": "May  1 10:00:00 host tag: text\n",
		"prefixes without a newline": "2026-05-01T10:00:00Z stdout F ", "numbers": "1 ", "times": "2026-05-01T10:00:00Z ",
		"NUL": "\x00", "values and NUL": small + "\x00", "cut off and NUL": `{"a":[` + "\x00", "record separators": "\x1e" + small,
		"byte order marks": "\ufeff" + small, "lists with quotes": "[{'a':1}," + small + "]\n", "lists cut off": `{"records":[{"a":1` + "\n",
		"lists of lists": `{"records":[[` + "\n", "lists of quotes": `{"records":['` + "\n", "lists of texts": `{"records":["` + "\n",
		"lines of a web server": combinedLine + "\n", "lines of a load balancer": balancerLine + "\n", "addresses": "203.0.113.9 - - [\n",
		"keys of lists": `{"a":1,"b":"c",`, "hex escapes": `{"a":"\x22"}` + "\n", "NaN": `{"a":NaN}` + "\n",
	} {
		list = append(list, scaling{"damaged: " + name, line(text)})
	}
	inside := func(head, text, tail string) func(n int) string {
		return func(n int) string { return head + strings.Repeat(text, n) + tail }
	}
	attribute := `{"key":"a","value":{"stringValue":"b"}},`
	list = append(list,
		scaling{"damaged list", inside("[", "{'a':{'b':1}},"+small+",", "{}]")},
		scaling{"damaged list of cut off elements", inside("[", `{"a":{"b":1,`+small+",", "{}]")},
		scaling{"damaged list of cut off texts", inside("[", `{"a":"b,`+small+",", "{}]")},
		scaling{"damaged element", inside("[{'a':1},", `{"a":{"b":1},`, "{}]")},
		scaling{"times in the name of a user", inside("a - b", " [10/Oct/2026:13:55:36 +0000] c", "")},
		scaling{"hex escapes in a text", inside(`{"a":"`, `\xC3`, `"}`)},
		scaling{"Latin-1 in a text", inside(`{"a":"`, "\xe4", `"}`)},
		scaling{"UTF-16", func(n int) string { return "\xff\xfe" + strings.Repeat("{\x00}\x00\n\x00", n) }},
		scaling{"Firehose", inside(`{"requestId":1,"timestamp":1,"records":[`, `{"data":"`+encoded+`"},`, "{}]}")},
		scaling{"Kafka topics", inside(`{"eventSource":"aws:kafka","records":{`, `"t":[{"value":"`+encoded+`"}],`, `"u":[]}}`)},
		scaling{"Kinesis", inside(`{"Records":[`, `{"eventSource":"aws:kinesis","kinesis":{"data":"`+encoded+`"}},`, "{}]}")},
		scaling{"a page of Graph", inside(`{"@odata.context":1,"value":[`, `{"a":{}},`, "{}]}")},
		scaling{"texts in a list", inside("[", quote(small, false)+",", "{}]")},
		scaling{"fields of a schema", inside(`{"payload":{"a":"b"},"schema":{"type":"struct","fields":[`, `{"field":"a","type":"string"},`, "{}]}}")},
		scaling{"fields of a struct", inside(`{"schema":{"fields":[{"field":"x","type":"bytes"}]},"payload":{`, `"a":"b",`, `"x":"y"}}`)},
		scaling{"attributes of a message", inside(`{"message":"`+encoded+`",`, `"logging.googleapis.com/a":"b",`, `"logging.googleapis.com/b":1}`)},
		scaling{"columns of a row", inside(`{"TimeGenerated":"2026-05-01T10:00:00Z","Type":"AuditLogs",`, `"aB":"c",`, `"x":1}`)},
		scaling{"rows", inside("[", `{"TimeGenerated":"2026-05-01T10:00:00Z","Type":"AuditLogs","A":1},`, "{}]")},
		scaling{"attributes of log records", inside(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1","attributes":[`, attribute, `{}]}]}]}]}`)},
		scaling{"log records with JSON", inside(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[`, `{"timeUnixNano":"1","body":{"stringValue":`+
			quote(small, false)+`}},`, `{}]}]}]}`)},
		scaling{"spans of Jaeger", inside(`{"traceID":"a","processes":{"p":{"serviceName":"s"}},"spans":[`, `{"tags":[{"key":"a","value":"b"}]},`, `{}]}`)},
		scaling{"processes of Jaeger", inside(`{"traceID":"a","spans":[{}],"processes":{`, `"p":{"serviceName":"s"},`, `"q":{}}}`)},
		scaling{"names of resources", inside(`{"eventVersion":"1","eventSource":"s","userIdentity":{},"eventTime":1767261600,"requestParameters":{"names":[`,
			`"a",`, `"b"]}}`)},
		scaling{"attributions of an insight", inside(`{"eventVersion":"1","eventTime":1767261600,"insightDetails":{"insightContext":{"attributions":[`,
			`{"attribute":"userAgent","insight":[{"value":"a"}]},`, `{}]}}}`)},
	)

	// Contents that grow in values that are nested as deeply as OTLP's values can be.
	nested := func(head, open, shut, tail string) func(n int) string {
		return func(n int) string {
			const depth = 14
			return head + strings.Repeat(open, depth) + "[" + strings.Repeat("{},", n) + "1]" + strings.Repeat(shut, depth) + tail
		}
	}
	list = append(list,
		scaling{"answers in answers", nested(`{"request":{"messages":[]},"timestamp":1767261600,"response":`, `{"response":`, `}`, `}`)},
		scaling{"attributes in attributes", nested(`{"resourceSpans":[{"scopeSpans":[{"spans":[`+
			`{"startTimeUnixNano":"1767261600000000000","attributes":[`+
			`{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.tool.definitions","value":`,
			`{"arrayValue":{"values":[`, `]}}`, `}]}]}]}]}`)},
	)
	list = append(list, calls(t)...)
	return list
}

// TestNestingIsLinear checks that doubling the depth of a value at most doubles the work, for large contents at its bottom.
func TestNestingIsLinear(t *testing.T) {
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	contents := "[" + strings.Repeat(`{"a":1},`, 5000) + "1]"
	otlpHead := `{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"1767261600000000000","attributes":[` +
		`{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.tool.definitions","value":`
	for _, c := range []struct{ name, head, open, shut, tail string }{
		{"answers", `{"request":{"messages":[]},"timestamp":1767261600,"response":`, `{"response":`, `}`, `}`},
		{"events", `{"request":{"messages":[]},"timestamp":1767261600,"response":[`, `{"metadata":`, `}`, `]}`},
		{"attributes", otlpHead, `{"arrayValue":{"values":[`, `]}}`, `}]}]}]}]}`},
		{"maps", otlpHead, `{"kvlistValue":{"values":[{"key":"k","value":`, `}]}}`, `}]}]}]}]}`},
		{"arrays", "", "[", "]", ""},
		{"unknown", `{"start_time":"2026-01-01T10:00:00Z","response_flags":"-","x":`, `{"x":`, `}`, `}`},
	} {
		for depth := 1; depth <= 24; depth *= 2 {
			nested := func(n int) string {
				return c.head + strings.Repeat(c.open, n) + contents + strings.Repeat(c.shut, n) + c.tail
			}
			d.Decode(nested(depth), Meta{}, &Handler{Dead: func(dead Dead) {
				if dead.Reason == ReasonMalformed {
					t.Fatalf("%s: %s", c.name, dead.Detail)
				}
			}})
			shallow, deep := d.work(nested(depth)), d.work(nested(2*depth))
			if growth := float64(deep) / float64(shallow); growth > maxGrowth {
				t.Errorf("%s: the work grows by %.2f from depth %d to %d, want at most %.1f", c.name, growth, depth, 2*depth, maxGrowth)
			}
		}
	}
}

// TestMalformedLinesAreReadFewTimes checks how often the bytes of lines that swallow each other are read.
func TestMalformedLinesAreReadFewTimes(t *testing.T) {
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	for _, contents := range []string{"", "{},", strings.Repeat("{},", 1000)} {
		for _, lines := range []int{10, 60, 600} {
			record := strings.Repeat(`{"a":[`+contents+"\n", lines)
			if times := float64(d.work(record)) / float64(len(record)); times > 5 { // it was up to 64
				t.Errorf("%d lines of %d bytes: each byte is read %.1f times, want at most 5", lines, len(contents), times)
			}
		}
	}
}

// TestEscapedKeysAreFoundByHash checks that an escaped key costs about as much as a plain one, however many keys are wanted.
func TestEscapedKeysAreFoundByHash(t *testing.T) {
	if testing.Short() {
		t.Skip("measures times")
	}
	d, err := New(Options{Format: Auto, Wanted: everything()})
	if err != nil {
		t.Fatal(err)
	}
	h := discard()
	record := func(key string) string {
		var b strings.Builder
		for i := range 5000 {
			fmt.Fprintf(&b, `"`+key+`":1,`, i)
		}
		return "{" + b.String() + `"x":1}`
	}
	plain, escaped := record("kaaaaaaa%d"), record(`\u006b%d`)
	least := [2]time.Duration{time.Hour, time.Hour}
	factor := 0.0
	for runs := 1; runs <= 40 && (runs <= 4 || factor > 10); runs++ {
		for i, record := range [...]string{plain, escaped} {
			began := time.Now()
			d.Decode(record, Meta{Time: 1}, h)
			least[i] = min(least[i], time.Since(began))
		}
		factor = float64(least[1]) / float64(least[0])
	}
	t.Logf("an escaped key takes %.1f times as long", factor)
	if factor > 10 { // it was 300 when they were compared with each wanted key
		t.Errorf("an escaped key takes %.1f times as long as a plain one, want at most 10", factor)
	}
}

// calls returns families of records in which each of many results belongs to one of many calls.
func calls(t testing.TB) (list []scaling) {
	id := strings.Repeat("same", 16)
	conversation := func(result string) func(n int) string {
		return func(n int) string {
			var calls, results strings.Builder
			for i := range n {
				fmt.Fprintf(&calls, `,{"id":"%s%d","function":{"name":"f"}}`, id, i)
				fmt.Fprintf(&results, ","+result, id, i)
			}
			return `{"id":"i","call_type":"c","metadata":{},"custom_llm_provider":"o","startTime":1767261600,"messages":[` +
				`{"role":"assistant","tool_calls":[{}` +
				calls.String() + `]}` + results.String() + `]}`
		}
	}
	return append(list,
		scaling{"results of calls", conversation(`{"role":"tool","tool_call_id":"%s%d"}`)},
		scaling{"results without calls", conversation(`{"role":"tool","tool_call_id":"%sx%d"}`)},
		scaling{"allowed tools and calls", func(n int) string {
			var audit, rpc strings.Builder
			for i := range n {
				fmt.Fprintf(&audit, `,{"primitive":"tool","primitive_name":"%s%d","action":"allow"}`, id, i)
				fmt.Fprintf(&rpc, `,{"method":"tools/call","tool_name":"%sx%d"}`, id, i)
			}
			return `{"started_at":1767261600000,"latencies":{},"request":{},"ai":{"mcp":{"audit":[{}` + audit.String() +
				`],"rpc":[{}` + rpc.String() + `]}}}`
		}},
		scaling{"pieces of calls", func(n int) string {
			var pieces strings.Builder
			for i := range n {
				fmt.Fprintf(&pieces, `,{"choices":[{"index":%d,"delta":{"tool_calls":[{"index":%d,"id":"%s%d","function":{"name":"f"}}]}}]}`,
					i%3, i, id, i)
			}
			return `{"request":{"messages":[]},"timestamp":1767261600,"response":[{"id":"x"}` + pieces.String() + `]}`
		}},
	)
}
