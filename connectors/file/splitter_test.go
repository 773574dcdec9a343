package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/aidr-engine/aidr/connectors"
)

// gather is a Reader that stores its batches.
type gather struct {
	batches []*connectors.Batch
}

func (g *gather) Assigned(connectors.Partition) (int64, bool) { return 0, false }
func (g *gather) Read(_ context.Context, b *connectors.Batch) error {
	g.batches = append(g.batches, b)
	return nil
}
func (g *gather) Revoked(context.Context, connectors.Partition) error { return nil }
func (g *gather) Standby(string, string)                              {}

// record is one record in a comparable form.
type record struct {
	text     string
	offset   int64
	tooLarge bool
}

// records returns the records of all batches, and fails the test if a batch breaks the contract.
func (g *gather) records(t interface {
	Helper()
	Fatalf(string, ...any)
}) []record {
	t.Helper()
	var all []record
	next := int64(0)
	for i, b := range g.batches {
		for _, r := range b.Records {
			if r.Start < 0 || r.Start > r.End || r.End > len(b.Raw) {
				t.Fatalf("batch %d: record at %d..%d of %d bytes", i, r.Start, r.End, len(b.Raw))
			}
			if r.Offset < next {
				t.Fatalf("batch %d: offset %d is before position %d", i, r.Offset, next)
			}
			next = r.Offset + 1
			all = append(all, record{b.Raw[r.Start:r.End], r.Offset, r.TooLarge})
		}
		if n := len(b.Records); n > 0 && b.Next <= b.Records[n-1].Offset {
			t.Fatalf("batch %d: next %d is not after offset %d", i, b.Next, b.Records[n-1].Offset)
		}
		if b.Final != (i == len(g.batches)-1) {
			t.Fatalf("batch %d of %d: final %t", i, len(g.batches), b.Final)
		}
	}
	return all
}

// split splits the text of r, from position from on, with small caps.
func split(t testing.TB, r io.Reader, from int64) []record {
	t.Helper()
	g := new(gather)
	s := newSplitter(t.Context(), r, batcher{to: g, from: from})
	s.maxLine, s.maxElem, s.maxHead = 1000, 100, 20
	if err := s.run(); err != nil {
		t.Fatalf("run: %v", err)
	}
	return g.records(t)
}

func texts(rs []record) []string {
	out := make([]string, 0, len(rs))
	for _, r := range rs {
		text := r.text
		if r.tooLarge {
			text = fmt.Sprintf("TOO LARGE %.10s", text)
		}
		out = append(out, text)
	}
	return out
}

func TestSplit(t *testing.T) {
	f := func(name, in string, want ...string) {
		t.Helper()
		whole := split(t, strings.NewReader(in), 0)
		if got := texts(whole); !slices.Equal(got, want) {
			t.Errorf("%s: %q\n got %q\nwant %q", name, in, got, want)
			return
		}
		for _, r := range whole {
			if r.tooLarge || r.text == unclosed {
				continue
			}
			if got := in[r.offset:][:len(r.text)]; got != r.text {
				t.Errorf("%s: text at offset %d is %q, want %q", name, r.offset, got, r.text)
			}
		}
		if got := split(t, iotest.OneByteReader(strings.NewReader(in)), 0); !slices.Equal(got, whole) {
			t.Errorf("%s: byte by byte\n got %q\nwant %q", name, texts(got), texts(whole))
		}
		for i, r := range whole {
			if got := split(t, strings.NewReader(in), r.offset); !slices.Equal(got, whole[i:]) {
				t.Errorf("%s: resumed at %d\n got %q\nwant %q", name, r.offset, texts(got), texts(whole[i:]))
			}
		}
	}
	big := strings.Repeat("x", 1200)
	deep := strings.Repeat("[", 90) + strings.Repeat("]", 90)

	f("nothing", "")
	f("blanks", " \n\r\n\t")
	f("lines", "{\"a\":1}\n{\"b\":2}\r\n\n  {\"c\":3}", `{"a":1}`, `{"b":2}`, `{"c":3}`)
	f("byte order mark", "\xef\xbb\xbf{\"a\":1}\n", `{"a":1}`)
	f("values on one line", `{"a":1} {"b":2}{"c":3}`+"\n{}", `{"a":1} {"b":2}{"c":3}`, `{}`)
	f("other text", "GET / 200\n\"x\"\n7", "GET / 200", `"x"`, "7")
	f("bracketed text", "[2024-01-01] GET /\n[error] {\n{}", "[2024-01-01] GET /", "[error] {", "{}")
	f("line with rubbish after it", "{\"a\":1}x\n{}", `{"a":1}x`, `{}`)
	f("line over the cap", big+"\n{}", "TOO LARGE xxxxxxxxxx", "{}")
	f("object line over the cap", `{"a":"`+big+"\"}\n{}", `TOO LARGE {"a":"xxxx`, "{}")
	f("deep line", deep+"\n{}", deep, "{}")

	f("document", "{\n \"a\": [\n  1,\n  \"}\"\n ]\n}\n{}", "{\n \"a\": [\n  1,\n  \"}\"\n ]\n}", "{}")
	f("documents joined", "{\n\"a\":1\n}{\n\"b\":2\n} {\"c\":3}\n", "{\n\"a\":1\n}", "{\n\"b\":2\n}", `{"c":3}`)
	f("documents joined by lines", "{\"a\":1}{\"b\":\n2}\n{}", "{\"a\":1}{\"b\":\n2}", "{}")
	f("document over the cap", "{\n\"a\":\""+big+"\"\n}\n{}", "TOO LARGE {\n\"a\":\"xxx", "{}")
	f("broken document over the cap", "{\n\"a\":\""+big+"\" 1 2\n}\n{}", "TOO LARGE {\n\"a\":\"xxx", "{}")
	f("document broken after the cap", "{\n\"a\":\""+big+"\",\n{}\n{}", "TOO LARGE {\n\"a\":\"xxx", "{}", "{}")
	f("document without end", "{\n \"a\": 1,\n", "{\n \"a\": 1,")
	f("broken line", "{\"a\":1,\n{\"b\":2}\n{}", `{"a":1,`, `{"b":2}`, "{}")
	f("line broken in text", "{\"a\":\"b\n{\"b\":2}\n", `{"a":"b`, `{"b":2}`)
	f("line broken after an escape", "{\"a\":\"b\\\n{\"b\":2}\n", `{"a":"b\`, `{"b":2}`)
	f("line broken in an array", "{\"a\":[1,\n{\"b\":2}\n{}\n", `{"a":[1,`, `{"b":2}`, "{}")
	f("last line broken", "{\"a\":1}\n{\"b\":", `{"a":1}`, `{"b":`)
	f("many broken lines", strings.Repeat("{\"a\":[\n", 70)+"{}", append(slices.Repeat([]string{`{"a":[`}, 70), "{}")...)

	f("array", `[{"a":1},{"b":[2]}, {}]`, `{"a":1}`, `{"b":[2]}`, "{}")
	f("pretty array", "[\n  {\n    \"a\": \"]\\\"\"\n  },\n  {},\n  3\n]\n{}", "{\n    \"a\": \"]\\\"\"\n  }", "{}", "3", "{}")
	f("array lines", "[{\"a\":1}]\n[{\"b\":2},{}]\n", `{"a":1}`, `{"b":2}`, "{}")
	f("array of other things", "[1,2]\n[]\n[[{}]]\n[\"{\"]", "[1,2]", "[]", "[[{}]]", `["{"]`)
	f("array element over the cap", `[{"a":"`+big+`"},{"b":1}]`, `TOO LARGE {"a":"xxxx`, `{"b":1}`)
	f("broken element over the cap", `[{"a":"`+big+"\" 1},\n {}\n{\"c\":2}\n", `TOO LARGE {"a":"xxxx`, `{"c":2}`)
	f("element broken after the cap", `[{"a":"`+big+"\",\n{}\n{\"c\":2}\n", `TOO LARGE {"a":"xxxx`, "{}", `{"c":2}`)
	f("deep element", `[{"a":1},`+strings.Repeat("[", 45)+strings.Repeat("]", 45)+`,{"b":2}]`,
		`{"a":1}`, strings.Repeat("[", 45)+strings.Repeat("]", 45), `{"b":2}`)
	f("deeper element", `[{"a":1},`+deep+`,{"b":2}]`, `{"a":1}`, `TOO LARGE [[[[[[[[[[`, `{"b":2}`)
	f("array without end", `[{"a":1}`, `{"a":1}`, unclosed)
	f("array without end after a comma", "[{\"a\":1},\n", `{"a":1}`, unclosed)
	f("array broken in an element", `[{"a":1},{"b":`, `{"a":1}`, `{"b":`)
	f("array broken in a number", `[{"a":1},12`, `{"a":1}`, `12`, unclosed)
	f("broken element", "[\n{\"a\":1},\n{\"b\":},\n{\"c\":3}\n]\n{}", `{"a":1}`, `{"b":},`, `{"c":3}`, "{}")
	f("array line without end", "[{\"a\":1}\n{\"b\":2}\n", `{"a":1}`, unclosed, `{"b":2}`)
	f("array with rubbish", "[{\"a\":1} x, 7]\n{\"b\":2}\n", `{"a":1}`, `x, 7]`, `{"b":2}`)
	f("array with a comma too many", "[{\"a\":1},,{}]\n{\"b\":2}\n", `{"a":1}`, `,{}]`, `{"b":2}`)

	f("records", `{"Records":[{"a":1},{"b":2}]}`, `{"a":1}`, `{"b":2}`)
	f("pretty records", "\n{\n \"Records\" : [\n {\"a\":1},\n {\"b\":2}\n ],\n \"x\": [1, {}]\n}\n{}", `{"a":1}`, `{"b":2}`, "{}")
	f("records lines", "{\"Records\":[{\"a\":1}]}\n{\"Records\":[]}\n{\"Records\":[{}]}", `{"a":1}`, `{}`)
	f("records not first", `{"x":1,"Records":[{"a":1}]}`, `{"x":1,"Records":[{"a":1}]}`)
	f("records not an array", `{"Records":{"a":1}}`, `{"Records":{"a":1}}`)
	f("records without end", `{"Records":[{"a":1}]`, `{"a":1}`, unclosed)
	f("records with a bad end", "{\"Records\":[{\"a\":1}]x\n{}", `{"a":1}`, "x", "{}")
	f("records broken in text after them", "{\"Records\":[{\"a\":1}],\"x\n{\"b\":2}\n", `{"a":1}`, unclosed, `{"b":2}`)
	f("records broken in the last text", "{\"Records\":[],\"x\n", unclosed)
	f("records line without end", "{\"Records\":[{\"a\":1}]\n{\"b\":2}\n", `{"a":1}`, unclosed, `{"b":2}`)
	f("records begun", `{"Records":[`, unclosed)
}

// For batches, records and windows of any size, every record is the text that was written, at its offset.
func TestSplitThroughManyWindows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in bytes.Buffer
		var want []record
		size := rapid.OneOf(rapid.IntRange(1, 300), rapid.IntRange(1, 9_000), rapid.IntRange(20_000, 3*readSize))
		until := rapid.IntRange(0, 3*batchBytes).Draw(t, "bytes")
		sizes := rapid.SliceOfN(size, 1, 20).Draw(t, "sizes")
		blanks := rapid.SliceOfN(rapid.SampledFrom([]string{"\n", "\n\n", "\r\n  "}), 1, 5).Draw(t, "blanks")
		for i := 0; in.Len() < until; i++ {
			text := fmt.Sprintf(`{"%d":"%s"}`, i, strings.Repeat("x", sizes[i%len(sizes)]))
			want = append(want, record{text: text, offset: int64(in.Len())})
			in.WriteString(text + blanks[i%len(blanks)])
		}
		from := 0
		if len(want) > 0 {
			from = rapid.IntRange(0, len(want)-1).Draw(t, "from")
			want = want[from:]
		}
		g := new(gather)
		b := batcher{to: g}
		if len(want) > 0 {
			b.from = want[0].offset
		}
		step := rapid.SampledFrom([]int{1_000, readSize - 1, 5 * readSize}).Draw(t, "step")
		if err := newSplitter(context.Background(), &stepReader{in.Bytes(), step}, b).run(); err != nil {
			t.Fatal(err)
		}
		got := g.records(t)
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("record %d: got %.40q at %d, want %.40q at %d", i, got[i].text, got[i].offset, want[i].text, want[i].offset)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("got %d records, want %d", len(got), len(want))
		}
		for i, b := range g.batches {
			if n := len(b.Records); n > batchRecords || n > 1 && b.Records[n-1].Start > batchBytes {
				t.Fatalf("batch %d: %d records in %d bytes", i, n, len(b.Raw))
			}
		}
	})
}

// If a stream fails, the records before the failure are read.
func TestSplitFault(t *testing.T) {
	want := errors.New("disk on fire")
	g := new(gather)
	s := newSplitter(t.Context(), io.MultiReader(strings.NewReader("{}\n{\"a"), iotest.ErrReader(want)), batcher{to: g})
	if err := s.run(); err != nil {
		t.Fatalf("run: %v", err)
	}
	if got, want := texts(g.records(t)), []string{"{}", `{"a`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := s.win.fault(); got != want {
		t.Errorf("fault %v, want %v", got, want)
	}
}

// The records do not depend on the sizes of the pieces in which the bytes arrive, nor on the record at which reading
// begins, and their offsets are in order.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("[{\"a\":1},\n{\"b\":}\n{}"), uint8(3))
	f.Add([]byte("{\"Records\":[{\"a\":\"\\\"\"}],\"x\":1}\n{\"a\":[1,\n{}"), uint8(7))
	f.Add([]byte("\xef\xbb\xbf{\n\"a\":[[[{}]]]\n}{}\n[1]"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		whole := split(t, bytes.NewReader(in), 0)
		pieces := split(t, &stepReader{in, int(step%16) + 1}, 0)
		if !slices.Equal(whole, pieces) {
			t.Fatalf("in pieces of %d\n got %q\nwant %q", step%16+1, texts(pieces), texts(whole))
		}
		if len(whole) > 0 {
			i := int(step) % len(whole)
			if got := split(t, bytes.NewReader(in), whole[i].offset); !slices.Equal(got, whole[i:]) {
				t.Fatalf("resumed at %d\n got %q\nwant %q", whole[i].offset, texts(got), texts(whole[i:]))
			}
		}
	})
}

// stepReader reads at most n bytes at a time.
type stepReader struct {
	b []byte
	n int
}

func (r *stepReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b[:min(r.n, len(r.b))])
	r.b = r.b[n:]
	return n, nil
}

// TestSplitScansBrokenTextFewTimes checks that values that break off cost little, also if thousands of them swallow each
// other, and that the lines between them are records of their own.
func TestSplitScansBrokenTextFewTimes(t *testing.T) {
	const whole = `{"b":1}`
	for _, c := range []struct{ name, head, line string }{
		{"lines", "", `{"a":` + "\n"},
		{"elements", "[", `{"a":` + "\n"},
		{"elements of arrays", "[", `{"a":[{},{},{},` + "\n"},
		{"Records", `{"Records":[`, `{"a":[` + "\n"},
		{"lines with whole lines between them", "", `{"a":[` + "\n" + whole + "\n"},
		{"lines that end in a text", "", `{"a":"` + "\n"},
	} {
		const lines = 3000
		text := c.head + strings.Repeat(c.line, lines)
		g := new(gather)
		s := newSplitter(t.Context(), strings.NewReader(text), batcher{to: g})
		if err := s.run(); err != nil {
			t.Fatal(err)
		}
		if s.scanned > 5*int64(len(text)) { // it was thousands of times the text for elements, 64 times for lines
			t.Errorf("%s: %d bytes were scanned of a text of %d, want at most 5 times as many", c.name, s.scanned, len(text))
		}
		found := 0
		for _, r := range g.records(t) {
			if r.text == whole {
				found++
			}
		}
		if want := strings.Count(text, whole+"\n"); found != want {
			t.Errorf("%s: got %d whole lines, want %d", c.name, found, want)
		}
	}
}
