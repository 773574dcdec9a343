package formats

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// shorten returns the shortened form of a JSON text within limit bytes.
func shorten(t testing.TB, text string, limit int) string {
	t.Helper()
	el := NewElement(Setup{Wanted: schema.Wanted{Fields: schema.AllFields()}}, new(Paths))
	v, err := el.Index.Valid(text)
	if err != nil {
		t.Fatal(err)
	}
	s := shortener{el: el}
	s.value(Node{text, v}, limit)
	return string(s.dst)
}

func TestShortenKeepsTheOtherValues(t *testing.T) {
	pad := strings.Repeat("x", 100_000)
	many := strings.TrimSuffix(strings.Repeat(`"p",`, 50_000), ",")
	cases := map[string]string{
		"before":                   `{"url":"u","pad":"` + pad + `"}`,
		"after":                    `{"pad":"` + pad + `","url":"u"}`,
		"between":                  `{"a":"` + pad + `","url":"u","b":"` + pad + `"}`,
		"beside an array":          `{"pad":[` + many + `],"url":"u","more":[` + many + `]}`,
		"beside nested padding":    `{"pad":{"a":{"b":["` + pad + `"]}},"url":"u"}`,
		"beside a long number":     `{"pad":1` + strings.Repeat("0", 100_000) + `,"url":"u"}`,
		"beside blanks":            `{"pad":[` + strings.Repeat(" ", 100_000) + `1],"url":"u"}`,
		"beside escapes":           `{"pad":"` + strings.Repeat(`\u0041\n\\`, 10_000) + `","url":"u"}`,
		"beside a key with quotes": `{"\"\u0001":"` + pad + `","url":"u"}`,
	}
	for name, text := range cases {
		for _, limit := range []int{256, 1000, 4096, 65536} {
			got := shorten(t, text, limit)
			var v map[string]any
			if err := json.Unmarshal([]byte(got), &v); err != nil {
				t.Fatalf("%s: not JSON: %v", name, err)
			}
			if len(got) > limit || v["url"] != "u" {
				t.Errorf("%s: got %d bytes of %d and url %v", name, len(got), limit, v["url"])
			}
		}
	}
	got := shorten(t, `{"pad":"head`+pad+`tail"}`, 128)
	if !strings.HasPrefix(got, `{"pad":"head`) || !strings.HasSuffix(got, `tail"}`) || !strings.Contains(got, omission) {
		t.Errorf("head and tail: got %s", got)
	}
	var list []int
	if err := json.Unmarshal([]byte(shorten(t, numbers(10_000), 1000)), &list); err != nil || list[0] != 0 || list[len(list)-1] != 9_999 {
		t.Errorf("too many values: got %v %v", list, err)
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",%d", i)
	}
	return "[" + b.String()[1:] + "]"
}

// FuzzShorten checks that the result is JSON within the limit, and that a value that fits stays as it is.
func FuzzShorten(f *testing.F) {
	for _, text := range []string{
		`{"a":"b"}`, `[1,2,{"a":[null,true]}]`, `{"a":"\ud83d\ude00\ud83d\ude00","\u0001":"\"\\"}`, `["é€😀 x"]`, numbers(100),
		`{"a":{"b":{"c":["` + strings.Repeat("y", 200) + `"]}}}`,
	} {
		f.Add(text, uint16(64))
		f.Add(text, uint16(100))
	}
	f.Fuzz(func(t *testing.T, text string, limit uint16) {
		v, err := scan.Valid(text)
		if err != nil || v.Kind != scan.Object && v.Kind != scan.Array {
			return
		}
		limit = max(limit, minShare)
		got := shorten(t, text, int(limit))
		if len(got) > int(limit) {
			t.Fatalf("%q in %d bytes: got %d: %q", text, limit, len(got), got)
		}
		if _, err := scan.Valid(got); err != nil {
			t.Fatalf("%q in %d bytes: got %q: %v", text, limit, got, err)
		}
		var before, after any
		if int(v.End-v.Start) <= int(limit) {
			if json.Unmarshal([]byte(text), &before) != nil || json.Unmarshal([]byte(got), &after) != nil || !reflect.DeepEqual(before, after) {
				t.Fatalf("%q fits into %d bytes: got %q", text, limit, got)
			}
		}
	})
}
