package doc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aidr-engine/aidr/rules/doc"
)

// texts returns the problems as users see them, one per line.
func texts(d *doc.Doc) string {
	var b strings.Builder
	for _, p := range d.Problems() {
		fmt.Fprintln(&b, p)
	}
	return b.String()
}

// person is a small reader, such as the packages that import doc have.
func person(src string) (d *doc.Doc, out string) {
	d, root := doc.Parse("f.yaml", []byte(src))
	f := root.Fields()
	name := f.Need("name").Filled()
	age := f.Get("age").Int(0, 150)
	share := f.Get("share").Float()
	wait := f.Get("wait").Duration(0, 24*time.Hour)
	color := f.Get("color").Enum("red", "green")
	tags := f.Get("tags").Strings()
	on := f.Get("on").Bool()
	day := f.Get("day").Date()
	sub := f.Get("sub").Fields()
	x := sub.Get("x").Int(1, 9)
	sub.Done()
	f.Done()
	return d, fmt.Sprintf("%s|%d|%g|%v|%s|%s|%t|%s|%d", name, age, share, wait, color, strings.Join(tags, ","), on,
		day.Format(time.DateOnly), x)
}

func TestReads(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		d, got := person(src)
		if s := texts(d); s != "" {
			t.Errorf("%q: unexpected problems\n%s", src, s)
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", src, got, want)
		}
	}
	f("name: Ann\n", "Ann|0|0|0s|||false|0001-01-01|0")
	f("name: Ann\nage: 30\nshare: 0.5\nwait: 1h30m\ncolor: red\ntags: [a, 'b c']\non: true\nday: 2027-03-31\nsub: {x: 3}\n",
		"Ann|30|0.5|1h30m0s|red|a,b c|true|2027-03-31|3")
	f("\ufeffname: \"A\\u00e4\"\r\nage: 0x10\r\nwait: 0\r\n", "A\u00e4|16|0|0s|||false|0001-01-01|0")
	f("---\nname: |\n  two\n  lines\nsub:\n  x: 1\n", "two\nlines\n|0|0|0s|||false|0001-01-01|1")
}

// TestAllProblemsAtOnce compares whole messages, because users read them.
func TestAllProblemsAtOnce(t *testing.T) {
	f := func(src, want string) {
		t.Helper()
		d, _ := person(src)
		if got := strings.TrimSpace(texts(d)); got != strings.TrimSpace(want) {
			t.Errorf("%q:\ngot\n%s\nwant\n%s", src, got, want)
		}
	}
	f("age: many\nshare: .nan\nwait: 5 minutes\ncolor: gren\ntags: a\non: yes\nday: 31.3.2027\nsub: 1\nextra: 1\nage: 3\n", `
f.yaml:1:1: "name" is missing
f.yaml:1:6: age: is text, not a whole number
f.yaml:2:8: share: .nan is too large or not a number: write a finite number
f.yaml:3:7: wait: "5 minutes" is not a duration: write whole numbers with units d, h, m, s, ms, as in 90s, 5m, 12h, 30d
f.yaml:4:8: color: "gren" is not one of red, green: did you mean green?
f.yaml:5:7: tags: is text, not a list: write [a, b], or one a line after a dash
f.yaml:6:5: on: is text, not true or false
f.yaml:7:6: day: "31.3.2027" is not a date: write it as 2027-03-31
f.yaml:8:6: sub: is a whole number, not a mapping: write key: value
f.yaml:9:1: extra: unknown key; known are age, color, day, name, on, share, sub, tags, wait
f.yaml:10:1: age: the key is set twice, first in line 1: keep one
`)
	f("name: 1\nage: \"3\"\nwait: 25h\ncolor: 3\ntags: [1, ' ']\nsub: {x: 99999999999999999999, y: 1, 3: 4}\n", `
f.yaml:1:7: name: is a whole number, not text: put it into quotes
f.yaml:2:6: age: is text, not a whole number: leave the quotes out
f.yaml:3:7: wait: 25h is outside 0s to 1d
f.yaml:4:8: color: is a whole number, not text: put it into quotes
f.yaml:5:8: tags[0]: is a whole number, not text: put it into quotes
f.yaml:5:11: tags[1]: is blank: write something or leave the key out
f.yaml:6:10: sub.x: is text, not a whole number
f.yaml:6:32: sub.y: unknown key; known are x
f.yaml:6:38: sub.3: unknown key; known are x
`)
	f("name: a\nage: 200\nshare:\nwait: 10\ntags: ~\nnmae: b\n", `
f.yaml:2:6: age: 200 is outside 0 to 150
f.yaml:3:7: share: has no value: write a number, or leave the key out
f.yaml:4:7: wait: is a whole number, not a duration: write it with its unit, as in 90s, 5m, 12h, 30d
f.yaml:5:7: tags: has no value: write a list, or leave the key out
f.yaml:6:1: nmae: unknown key: did you mean name?; known are age, color, day, name, on, share, sub, tags, wait
`)
	f("- a\n", "f.yaml:1:1: is a list, not a mapping: write key: value")
	f("name: a\nsub:\n  x: [1,\n", "f.yaml:3:6: not valid YAML: sequence end token ']' not found")
	f("name: \"abc\n", "f.yaml:1:7: not valid YAML: could not find end character of double-quoted text")
	f("name: &a b\nage: *a\n", "f.yaml:1:7: anchors, aliases and merge keys are not supported: write the value out")
	f("name: !!str b\n", "f.yaml:1:7: tags are not supported: put text into quotes, write numbers and true/false without")
	f("a: 1\n---\nb: 2\n", "f.yaml:3:1: second document: a file holds one; move this one to a file of its own")
	f("name: a\xff\n", "f.yaml:1:8: byte 0xff is not valid UTF-8: save the file as UTF-8")
	f("name: a\nage: \x00\n", `f.yaml:2:6: control character 0x00: write it as "\x00" in double quotes`)
	f("", "f.yaml:1:1: the file is empty")
	f("# nothing\n", "f.yaml:1:1: the file is empty")
	f("a: "+strings.Repeat("[", 100), "f.yaml:1:36: nested deeper than 32")
	f(strings.Repeat("- ", 100), "f.yaml:1:65: nested deeper than 32")
	f("? a\n: b\n", "f.yaml:1:1: complex keys are not supported: write `key: value`")
	f("<<: {a: 1}\n", "f.yaml:1:1: anchors, aliases and merge keys are not supported: write the value out")
}

// TestCapsHold checks that hostile files cost little time and produce few problems.
func TestCapsHold(t *testing.T) {
	d, root := doc.Parse("f", []byte(strings.Repeat("a", doc.MaxSize+1)))
	if root != nil || !d.Failed() {
		t.Errorf("a file over the size limit was read")
	}
	var b strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	d, root = doc.Parse("f", []byte(b.String()))
	root.Fields().Done()
	ps := d.Problems()
	if len(ps) != doc.MaxProblems+1 || ps[len(ps)-1].Cause != "and 9800 more problems" {
		t.Errorf("got %d problems, the last %q", len(ps), ps[len(ps)-1].Cause)
	}
	var deep strings.Builder
	for i := range 200 {
		fmt.Fprintf(&deep, "%sa:\n", strings.Repeat(" ", i))
	}
	if d, _ = doc.Parse("f", []byte(deep.String())); !strings.Contains(texts(d), "nested deeper than 32") {
		t.Errorf("deep nesting: got %q", texts(d))
	}
	for _, hostile := range []string{"[", "{", "- ", "a: ", "{a: ", "? ", "\"\\", "!", "&a ", "|\n ", "a:\n- ", "-\n "} {
		start := time.Now()
		doc.Parse("f", []byte(strings.Repeat(hostile, doc.MaxSize/len(hostile))))
		// The limit is generous: a busy machine must stay below it, but quadratic time must exceed it.
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("1 MiB of %q took %v", hostile, took)
		}
	}
}

// TestPlacesInsideText checks that FailAt finds a position of the text in the file, in spite of quotes, escapes, folding
// and blocks.
func TestPlacesInsideText(t *testing.T) {
	f := func(src, needle string, line, col int) {
		t.Helper()
		d, root := doc.Parse("f", []byte(src))
		n := root.Fields().Get("k")
		text := n.String()
		at := strings.Index(text, needle)
		if at < 0 {
			t.Fatalf("%q is not in %q (%s)", needle, text, texts(d))
		}
		before := text[:at]
		start := strings.LastIndexByte(before, '\n') + 1
		n.FailAt(strings.Count(before, "\n")+1, len([]rune(before[start:]))+1, "here")
		n.Part(at, len(text)).Part(0, len(needle)).FailAt(1, 1, "here in a part")
		if part := d.Problems()[1]; part.Line != line || part.Col != col {
			t.Errorf("%q in %q as a part: got %d:%d, want %d:%d", needle, src, part.Line, part.Col, line, col)
		}
		p := d.Problems()[0]
		if p.Line != line || p.Col != col {
			t.Errorf("%q in %q: got %d:%d, want %d:%d\n%s", needle, src, p.Line, p.Col, line, col, p.Snippet)
		}
		first, caret, _ := strings.Cut(p.Snippet, "\n")
		if under := []rune(first)[len(caret)-1:]; !strings.HasPrefix(string(under), string([]rune(needle)[0])) {
			t.Errorf("%q in %q: the caret is under %q", needle, src, string(under))
		}
	}
	f("k: a == b\n", "b", 1, 9)
	f("k:    a ==    b && X\n", "X", 1, 20)
	f("k: 'a == ''b'' && X'\n", "X", 1, 19)
	f("k: 'a == ''b'' && X'\n", "'b", 1, 10)
	f(`k: "a == \"b\" \u0026& X"`, "X", 1, 24)
	f(`k: "a\tb\n\nc X"`, "X", 1, 15)
	f("k: \"a \\\n   b\n   X\"\n", "X", 3, 4)
	f("k: |\n  a ==\n    b &&\n\n  X\n", "b", 3, 5)
	f("k: |\n  a ==\n    b &&\n\n  X\n", "X", 5, 3)
	f("k: >-\n    a ==\n    b &&\n\n    c && X\nz: 1\n", "X", 5, 10)
	f("k: >  # why\n  a\n  b X\n", "X", 3, 5)
	f("k: a ==\n  b &&\n  X\n", "X", 3, 3)
	f("k:\n  a == X\n", "X", 2, 8)
	f("k: \"\u00e4\u00f6 X\"\n", "X", 1, 8)
	f("z: {y: 1}\nk: a[0] == X\n", "X", 2, 12)
}

func TestSnippetOfLongLine(t *testing.T) {
	d, root := doc.Parse("f", []byte("k: "+strings.Repeat("x", 500)+"Y\u202e\t.\n"))
	root.Fields().Get("k").FailAt(1, 501, "here")
	shown, caret, _ := strings.Cut(d.Problems()[0].Snippet, "\n")
	if len(shown) > 100 || shown[len(caret)-1] != 'Y' || !strings.HasSuffix(shown, "Y? .") {
		t.Errorf("got %q and %q", shown, caret)
	}
}

func TestDurations(t *testing.T) {
	f := func(text string, want time.Duration, ok bool) {
		t.Helper()
		got, is := doc.ParseDuration(text)
		if got != want && ok || is != ok {
			t.Errorf("%q: got %v %t, want %v %t", text, got, is, want, ok)
		}
		if back, is := doc.ParseDuration(doc.FormatDuration(got)); ok && (back != got || !is) {
			t.Errorf("%q: %q reads as %v", text, doc.FormatDuration(got), back)
		}
	}
	f("90s", 90*time.Second, true)
	f("5m", 5*time.Minute, true)
	f("12h", 12*time.Hour, true)
	f("30d", 720*time.Hour, true)
	f("500ms", 500*time.Millisecond, true)
	f("1d2h3m4s5ms", 26*time.Hour+3*time.Minute+4*time.Second+5*time.Millisecond, true)
	f("0", 0, true)
	f("0s", 0, true)
	f("36500d", doc.MaxDuration, true)
	for _, bad := range []string{"", "5", "m", "-5m", "5 m", "1.5h", "5m1h", "5m5m", "1w", "1us", "36501d", "36500d1ms",
		"999999999999999d", "99999999999999999999ms", "+1s", "5M"} {
		f(bad, 0, false)
	}
}

func TestNearest(t *testing.T) {
	f := func(word, want string) {
		t.Helper()
		if got := doc.Nearest(word, []string{"within", "by", "count", "event.action"}); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
	f("wihtin", "within")
	f("counts", "count")
	f("event.acton", "event.action")
	f("eventaction", "event.action")
	f("zzzzzz", "")
	f("x", "")
	f(strings.Repeat("w", 100_000), "")
}

// FuzzParse checks that no input causes a panic, and that every problem has a position inside the file.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"name: a\nsub: {x: 1}\n", "k: |\n  a\n", "k: 'a''b'\n", "k: \"a\\u0041\\\n b\"\n", "- - a\n", "a: [1, {b: c}]",
		"a: >+\n\n x\n", "a: \"\\U00110000\"", "\t", "a:\n\t- b", "---\n...\n---\n", "a: 0x\nb: 0o9\nc: .inf", "k: a\n\n b\n # c\n d"} {
		f.Add(s, 1, 1)
	}
	f.Fuzz(func(t *testing.T, src string, line, col int) {
		if len(src) > 4096 {
			return // TestCapsHold measures larger inputs
		}
		d, root := doc.Parse("f", []byte(src))
		visit(root, line, col)
		lines := strings.Count(src, "\n") + 1
		for _, p := range d.Problems() {
			if p.Line < 1 || p.Line > lines+1 || p.Col < 1 || p.Cause == "" {
				t.Fatalf("place %d:%d of %d lines: %s", p.Line, p.Col, lines, p.Cause)
			}
		}
	})
}

func visit(n *doc.Node, line, col int) {
	n.FailAt(line, col, "x")
	n.Any()
	n.Duration(0, time.Hour)
	n.Date()
	n.Int(1, 2)
	n.Float()
	n.Fields().Done()
	switch {
	case n == nil:
	case n.Kind == doc.Map:
		n.Each(func(name, value *doc.Node) { visit(name, line, col); visit(value, line, col) })
	case n.Kind == doc.List:
		for _, v := range n.Items() {
			visit(v, line, col)
		}
	}
}
