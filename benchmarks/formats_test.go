//go:build unix

package benchmarks

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fastjson"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
	"github.com/aidr-engine/aidr/schema/scan"
)

// formatCorpus holds records of one format, which are decoded one after another.
type formatCorpus struct {
	corpus
	format  string     // of the decoder: auto, or the name of a format that a source must name
	reads   [][]string // all paths that the reader of the format looks up
	theirs  [][]string // reads, shortened at the first key that a record lacks, because no parser looks further
	lookups [][]lookup // for each record, the paths of the event's values, also in lists and in JSON inside strings
}

// lookup describes how another parser finds a field: a path from an object, and then the lookups in every element of the
// list at that path, or in the JSON inside the string at that path.
type lookup struct {
	path  []string
	each  []lookup
	inner []lookup
}

// selectors are the keys that determine the meaning of a list element: the name of an attribute, the role of a message,
// the type of a part. A parser has to look up the selector of every element that has one.
var selectors = []string{"key", "role", "type"}

// merge adds the lookups that are missing.
func merge(list, more []lookup) []lookup {
	for _, l := range more {
		i := slices.IndexFunc(list, func(have lookup) bool { return slices.Equal(have.path, l.path) })
		if i < 0 {
			list = append(list, l)
			continue
		}
		list[i].each, list[i].inner = merge(list[i].each, l.each), merge(list[i].inner, l.inner)
	}
	return list
}

// formatWanted returns the fields that a typical set of rules uses.
func formatWanted() (w schema.Wanted) {
	for _, f := range []schema.Field{
		schema.SessionID, schema.AIAgentName, schema.UserName, schema.CredentialUID, schema.SourceIP, schema.UserAgentOriginal,
		schema.ResourceID, schema.Disposition, schema.ErrorType, schema.URLPath, schema.HTTPResponseStatusCode,
		schema.HTTPResponseBytes, schema.GenAIRequestModel, schema.GenAIUsageInputTokens, schema.GenAIToolName,
		schema.GenAIToolCallArguments, schema.MessageContextPromptText,
	} {
		w.Fields.Add(f)
	}
	return w
}

// formatCorpora returns one corpus for each plain record file in testdata and for the first test of each shipped map.
func formatCorpora(tb testing.TB) (list []*formatCorpus, set *maps.Set) {
	tb.Helper()
	set, problems := maps.Load()
	if set == nil {
		tb.Fatalf("load the shipped maps: %v", problems)
	}
	files, err := filepath.Glob(filepath.Join("..", "testdata", "cases", "decode", "plain", "*.json"))
	if err != nil || len(files) == 0 {
		tb.Fatalf("no plain records: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, newFormatCorpus(tb, strings.TrimSuffix(filepath.Base(file), ".json"), compacted(tb, string(text)), set))
	}
	for _, f := range set.Files {
		for _, test := range f.Tests {
			if len(test.Events) > 0 && len(test.Faults) == 0 {
				list = append(list, newFormatCorpus(tb, "map_"+f.Map.Name, test.Record, set))
				break
			}
		}
	}
	return list, set
}

func newFormatCorpus(tb testing.TB, name, record string, set *maps.Set) *formatCorpus {
	c := &formatCorpus{corpus: corpus{name: name}, format: decode.Auto}
	c.add(record)
	if name == "aidr" {
		c.format = name // which a source must name
	}
	c.reads = decode.Reads(formatOf(tb, c.format, record, set), set.Maps()...)
	c.theirs = thereOf(tb, record, c.reads)
	if name == "openai_audit" { // has a single object, at the key named by its type, and another parser would look only there
		c.theirs = slices.DeleteFunc(c.theirs, func(path []string) bool { return !fastjson.Exists([]byte(record), path[0]) })
	}
	lookups := slices.DeleteFunc(lookupsOf(tb, c.format, record, set), func(l lookup) bool {
		return l.inner == nil && l.each == nil && slices.ContainsFunc(c.reads, func(path []string) bool { return slices.Equal(path, l.path) })
	})
	if v := fastjson.MustParse(record); v.Exists("Records", "0") { // the reader looks up paths inside each element
		each := make([]lookup, 0, len(c.reads))
		for _, path := range thereOf(tb, v.Get("Records", "0").String(), c.reads) {
			each = append(each, lookup{path: path})
		}
		c.theirs, lookups = nil, merge(lookups, []lookup{{path: []string{"Records"}, each: each}})
	}
	c.lookups = append(c.lookups, lookups)
	return c
}

// thereOf returns the distinct paths, each shortened after the first key that the record lacks.
func thereOf(tb testing.TB, record string, paths [][]string) (list [][]string) {
	tb.Helper()
	v, err := fastjson.Parse(record)
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths {
		n := 1
		for n < len(path) && v.Exists(path[:n]...) {
			n++
		}
		list = append(list, path[:n])
	}
	slices.SortFunc(list, slices.Compare[[]string])
	return slices.CompactFunc(list, slices.Equal[[]string])
}

// formatOf returns the format of a record that a source with format as reads: the format of its dataset that decodes it.
func formatOf(tb testing.TB, as, record string, set *maps.Set) string {
	var dataset string
	decoded := func(format string) (n int) {
		d, err := decode.New(decode.Options{Format: format, Wanted: formatWanted(), Maps: set.Maps()})
		if err != nil {
			tb.Fatal(err)
		}
		d.Decode(record, decode.Meta{Time: 1}, &decode.Handler{Event: func(e *schema.Event) {
			dataset = strings.Clone(e.Text(schema.EventDataset))
			n++
		}})
		return n
	}
	events := decoded(as)
	of := dataset
	for _, info := range decode.Formats(set.Maps()...) {
		if (slices.Contains(info.Datasets, of) || info.Datasets == nil) && decoded(info.Name) == events && dataset == of {
			return info.Name
		}
	}
	tb.Fatalf("no format gives the events of dataset %q: %.200s", of, record)
	return ""
}

// lookupsOf returns the paths of the values that were copied to fields of the event, including times and numbers. Another
// parser would have to look up these paths for the same event.
func lookupsOf(tb testing.TB, as, record string, set *maps.Set) []lookup {
	d, err := decode.New(decode.Options{Format: as, Wanted: formatWanted(), Maps: set.Maps()})
	if err != nil {
		tb.Fatal(err)
	}
	s := seeker{texts: map[string]bool{}, numbers: map[uint64]bool{}}
	d.Decode(record, decode.Meta{Time: 1}, &decode.Handler{Event: func(e *schema.Event) {
		for f := range schema.Field(schema.NumFields) {
			switch v := e.Value(f); {
			case v.Text != "":
				s.texts[strings.Clone(v.Text)] = true
			case v.Kind != schema.KindAbsent && v.Kind != schema.KindBool:
				s.numbers[v.Num] = true
			}
		}
	}})
	v, err := scan.Valid(record)
	if err != nil {
		tb.Fatalf("%v: %s", err, record)
	}
	return s.find(record, v, false)
}

// seeker finds the paths from which fields were read.
type seeker struct {
	texts   map[string]bool
	numbers map[uint64]bool
	arena   scan.Arena
}

func (s *seeker) find(src string, v scan.Span, element bool) (list []lookup) {
	switch v.Kind {
	case scan.Object:
		if s.texts[src[v.Start:v.End]] {
			return []lookup{{}}
		}
		scan.Members(src, v, &s.arena, func(key string, member scan.Span) bool {
			key = strings.Clone(key)
			if element && slices.Contains(selectors, key) {
				list = append(list, lookup{path: []string{key}})
			}
			for _, l := range s.find(src, member, false) {
				l.path = append([]string{key}, l.path...)
				list = merge(list, []lookup{l})
			}
			return true
		})
	case scan.Array:
		var each []lookup
		scan.Each(src, v, func(elem scan.Span) bool {
			each = merge(each, s.find(src, elem, true))
			return true
		})
		if each != nil {
			return []lookup{{each: each}}
		}
	case scan.String, scan.Number:
		if s.is(src, v) {
			return []lookup{{}}
		}
		if text := scan.Text(src, v, &s.arena); v.Kind == scan.String && (strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[")) {
			if inner, err := scan.Valid(text); err == nil {
				if found := s.find(text, inner, false); found != nil {
					return []lookup{{inner: found}}
				}
			}
		}
	}
	return list
}

// is reports whether a scalar is the value of a field.
func (s *seeker) is(src string, v scan.Span) bool {
	if s.texts[scan.Text(src, v, &s.arena)] {
		return true
	}
	if n, ok := scan.Int(src, v); ok && s.numbers[uint64(n)] {
		return true
	}
	ns, ok := scan.Time(src, v)
	return ok && s.numbers[uint64(ns)]
}

// peer decodes with fastjson: it parses a record into a tree and looks up the same fields.
type peer struct {
	outer fastjson.Parser
	inner []fastjson.Parser
	found int
}

func (p *peer) read(tb testing.TB, record string, reads [][]string, list []lookup) {
	v, err := p.outer.Parse(record)
	if err != nil {
		tb.Fatal(err)
	}
	p.found++
	for _, path := range reads {
		p.found += len(v.GetStringBytes(path...))
	}
	p.get(tb, v, list, 0)
}

func (p *peer) get(tb testing.TB, v *fastjson.Value, list []lookup, level int) {
	for i := range list {
		l := &list[i]
		at := v.Get(l.path...)
		if at == nil {
			continue // the list element lacks the key
		}
		switch {
		case l.each != nil:
			for _, elem := range at.GetArray() {
				p.get(tb, elem, l.each, level)
			}
		case l.inner != nil:
			if len(p.inner) <= level {
				p.inner = append(p.inner, fastjson.Parser{})
			}
			inside, err := p.inner[level].ParseBytes(at.GetStringBytes())
			if err == nil {
				p.get(tb, inside, l.inner, level+1)
			}
		case at.Type() == fastjson.TypeString:
			p.found += len(at.GetStringBytes())
		}
	}
}

// BenchmarkFormats decodes records of each format with format auto, among all formats and maps. For comparison it parses
// the same records and looks up the same fields with fastjson, which checks neither UTF-8 nor duplicate keys, does not
// detect formats, and makes no events. fastjson looks up each path of the format's reader, also inside a body such as
// request or response, but nothing inside a missing object; in lists it looks up the selectors and the values that became
// fields. The sub-benchmark ratio runs the two in turns and reports how many times faster aidr is in CPU time, which other
// load distorts least. scan-ratio does the same for equal work on both sides: parsing, and looking up the paths of the
// format's reader among those of all formats. Run it with -cpu 1.
func BenchmarkFormats(b *testing.B) {
	list, set := formatCorpora(b)
	for _, c := range list {
		b.Run("format="+c.name+"/aidr", func(b *testing.B) { c.bench(b, c.aidr(b, set)) })
		b.Run("format="+c.name+"/fastjson", func(b *testing.B) { c.bench(b, c.fastjson(b, c.lookups)) })
		b.Run("format="+c.name+"/ratio", func(b *testing.B) { c.ratio(b, c.aidr(b, set), c.fastjson(b, c.lookups)) })
		b.Run("format="+c.name+"/scan-ratio", func(b *testing.B) {
			c.ratio(b, c.scan(b, set), c.fastjson(b, make([][]lookup, len(c.records))))
		})
	}
}

// aidr returns a function that decodes the records once.
func (c *formatCorpus) aidr(tb testing.TB, set *maps.Set) func() (events int) {
	d, err := decode.New(decode.Options{Format: c.format, Wanted: formatWanted(), Maps: set.Maps()})
	if err != nil {
		tb.Fatal(err)
	}
	events := 0
	h := &decode.Handler{
		Event: func(*schema.Event) { events++ },
		Dead:  func(d decode.Dead) { tb.Fatalf("%s: dead letter %s: %.200s", c.name, d.Reason, d.Body) },
	}
	return func() int {
		events = 0
		for _, record := range c.records {
			d.Decode(record, decode.Meta{Time: 1}, h)
		}
		return events
	}
}

// scan returns a function that validates the records and looks up the paths of their reader, among those of all formats.
func (c *formatCorpus) scan(tb testing.TB, set *maps.Set) func() int {
	var trie scan.Trie
	for _, info := range decode.Formats(set.Maps()...) {
		for _, path := range decode.Reads(info.Name, set.Maps()...) {
			trie.Add(path...)
		}
	}
	var places []int
	for _, path := range c.reads {
		places = append(places, trie.Add(path...))
	}
	found, arena := trie.Found(nil), new(scan.Arena)
	return func() int {
		n := 1
		for _, record := range c.records {
			if _, err := found.Select(record); err != nil {
				tb.Fatal(err)
			}
			for _, place := range places {
				if v := found.Spans[place]; v.Kind == scan.String {
					n += len(scan.Text(record, v, arena))
				}
			}
		}
		return n
	}
}

func (c *formatCorpus) fastjson(tb testing.TB, lookups [][]lookup) func() int {
	p := new(peer)
	return func() int {
		for i, record := range c.records {
			p.read(tb, record, c.theirs, lookups[i])
		}
		return p.found
	}
}

func (c *formatCorpus) bench(b *testing.B, run func() int) {
	b.SetBytes(int64(c.bytes))
	b.ReportAllocs()
	start, n := cpuTime(b), 0
	for b.Loop() {
		n = run()
	}
	cpu := cpuTime(b) - start
	if n == 0 {
		b.Fatal("nothing was found")
	}
	b.ReportMetric(float64(len(c.records))*float64(b.N)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(cpu.Nanoseconds())/float64(b.N*len(c.records)), "cpu-ns/record")
}

// turn is how long one side runs before the other does: many ticks of the scheduler, but short enough that the speed of the
// machine is about the same for both.
const turn = 2 * time.Millisecond

func (c *formatCorpus) ratio(b *testing.B, ours, theirs func() int) {
	var cpu [2]time.Duration
	var runs [2]int
	for b.Loop() {
		for i, run := range [...]func() int{ours, theirs} {
			start := cpuTime(b)
			for until := time.Now().Add(turn); time.Now().Before(until); {
				for range 16 {
					run()
				}
				runs[i] += 16
			}
			cpu[i] += cpuTime(b) - start
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(cpu[1])/float64(runs[1])/(float64(cpu[0])/float64(runs[0])), "x-fastjson")
}
