package content

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// valueCases lists texts and their values, in the form key=value. The first ones are the rows of the table of Values.
var valueCases = []struct {
	name, text string
	want       []string
}{
	{"scalar of JSON", `{"to": "Mark Smith"}`, []string{"to=mark smith"}},
	{"values in a scalar", `{"body": "see www.a.com/x"}`, []string{"body=see www.a.com/x", "body=www.a.com/x", "body=www.a.com"}},
	{"JSON in a text of JSON", `{"a": "{\"b\": \"core-7\"}"}`, []string{"a=core-7"}},
	{"address of mail", "write to Bob@B.com.", []string{"=bob@b.com"}},
	{"address of the web", "(https://a.com/x?y=1)", []string{"=https://a.com/x?y=1", "=a.com"}},
	{"host, address of IP", "from evil.example, 10.1.2.3", []string{"=evil.example", "=10.1.2.3"}},
	{"path, repository", "cat ~/.ssh/id_rsa acme/web", []string{"=~/.ssh/id_rsa", "=acme/web"}},
	{"number", "pay $1,200.00 now", []string{"=1200"}},
	{"identifier", "order PX-99, user_7, #abc12", []string{"=px-99", "=user_7", "=abc12"}},
	{"quoted words", "named 'Blue Harbor'", []string{"=blue harbor"}},
	{"rest of a line", "- subject: Lunch today\n  to: x", []string{"=lunch today"}},

	{"not values", `{"a": true, "b": null, "c": "2024-05-01", "d": "12:30:00", "e": 2025, "f": 999, "g": "abc", "h": "` +
		strings.Repeat("long ", 30) + `"}`, nil},
	{"not values in text", "It is true that Mark's well-known friend came on 2024-05-01 at 12:30, in 2025, with 999 others, e.g. me.", nil},
	{"numbers of JSON", `{"n": 1200, "x": 1234.50, "m": -98765}`, []string{"n=1200", "x=1234.5", "m=-98765"}},
	{"number alone on a line", "pay: 1,200", []string{"=1200"}},
	{"nested keys", `{"a": {"b": ["val-1", {"c": "val-2"}]}, "d": "val-3"}`, []string{"a=val-1", "a=val-2", "d=val-3"}},
	{"list", `["val-1", {"k": "val-2"}]`, []string{"=val-1", "=val-2"}},
	{"JSON lines", "{\"a\": \"val-1\"}\n{\"b\": \"val-2\"}", []string{"a=val-1", "b=val-2"}},
	{"cut JSON", `{"a": "val-1", "b": ["val-2", "val-`, []string{"a=val-1", "b=val-2", "b=val-"}},
	{"no JSON after all", `{"a": "val-1", oops, see val-2`, []string{"a=val-1", "=val-2"}},
	{"brackets of prose", "[Note] see val-1", []string{"=val-1"}},
	{"Python", `[{'a': 'b12x', "k": None}] https://x.y`, []string{"=b12x", "=https://x.y"}},
	{"JSON in running text", `Result: {"id": "Mark Smith"}`, []string{"=mark smith"}},
	{"each once", "val-1 VAL-1 'val-1' val-2", []string{"=val-1", "=val-2"}},
	{"credentials of an address", "https://u:p@host.example:8443/x", []string{"=https://u:p@host.example:8443/x", "=host.example"}},
	{"port", "curl host.example:8080/x", []string{"=host.example:8080/x", "=host.example"}},
	{"name=value", "id=user_7&x=val-1; mailto:Bob@b.com", []string{"=user_7&x", "=val-1", "=bob@b.com"}},
	{"address after a name", "url=https://a.com/x&b", []string{"=https://a.com/x&b", "=a.com"}},
	{"IPv6, path of Windows", `2001:db8::7f C:\new\temp \\host\share`, []string{"=2001:db8::7f", `=c:\new\temp`, `=host\share`}},
	{"escape sequences", `{"a": "x\u0040y.com\nval-1 \"val 2\""}`, []string{`a=x@y.com val-1 "val 2"`, "a=x@y.com", "a=val-1", "a=val 2"}},
	{"escaped twice", `"Hi,\n\nwrite to bob@b.com\n"`, []string{"=hi,  write to bob@b.com", "=bob@b.com"}},
	{"disguised", "bo\u200bb@\u0435vil.\uff43om", []string{"=bob@evil.com"}},
	{"apostrophes", "the '90s were 'so great' it's", []string{"=90s were 'so great", "=so great"}},
	{"long key", "key " + strings.Repeat("ab1", 50), []string{"=" + strings.Repeat("ab1", 40)}},
	{"empty", "", nil},
}

// keysAndValues returns values in the form key=value.
func keysAndValues(list []Value) (all []string) {
	for _, v := range list {
		all = append(all, string(v.Key)+"="+string(v.Text))
	}
	return all
}

func TestValues(t *testing.T) {
	var v Values
	for _, c := range valueCases {
		if got := keysAndValues(v.Of(c.text)); !slices.Equal(got, c.want) {
			t.Errorf("%s: %s\n got %q\nwant %q", c.name, c.text, got, c.want)
		}
	}
}

// A text has its first MaxValues values, and More reports that there are others.
func TestValuesLimit(t *testing.T) {
	var v Values
	numbered := func(n int) string {
		var s strings.Builder
		for i := range n {
			fmt.Fprintf(&s, "id_%d id_%d ", i, i)
		}
		return s.String()
	}
	if list := v.Of(numbered(MaxValues)); len(list) != MaxValues || v.More() {
		t.Errorf("%d values: got %d, more %v", MaxValues, len(list), v.More())
	}
	list := v.Of(numbered(MaxValues + 1))
	if len(list) != MaxValues || !v.More() || string(list[MaxValues-1].Text) != fmt.Sprintf("id_%d", MaxValues-1) {
		t.Errorf("%d values: got %d, more %v", MaxValues+1, len(list), v.More())
	}
	if list := v.Of("id_1"); len(list) != 1 || v.More() {
		t.Errorf("the next text: got %d, more %v", len(list), v.More())
	}
}

// Two spellings of a value have the same hash, and two values different ones.
func TestValueSum(t *testing.T) {
	var v Values
	sum := func(text string) [16]byte { return v.Of(text)[0].Sum() }
	if sum("Bob@B.com") != sum(`{"to": "bob@b.com"}`) || sum("user_1") == sum("user_2") {
		t.Error("the hash does not stand for the text")
	}
}

// hostileTexts are texts that would be slow to read if the cost were not linear.
func hostileTexts(n int) map[string]string {
	texts := map[string]string{}
	for _, s := range []string{"[", "{\"", "[[\"\",", `"`, `'`, `'a `, `"a `, "`", `\`, `\\`, `\u`, `{"a":"\\`, "a:", "a=", "a/", "a.", ":", "/", ",",
		"1,", "@", "a@", "://", "a://", "\n", "-\n", "a: b\n", " ", "\x00", "\xff", "\u200b", "\U000e0041", "\ufdfa", "é", "字", "[1]", "[1 ", "{'", "[-", "[t", "a1 ",
		"'a1 ", "12,3", `["a1`, `{"a":{"a":`, `[\"`, "('a',"} {
		texts[s] = strings.Repeat(s, n/len(s))
	}
	nested := `{"a":"b_1"}`
	for range 12 {
		quoted, _ := json.Marshal(nested)
		nested = `{"a":` + string(quoted) + `}`
	}
	texts["JSON in JSON"] = nested
	return texts
}

// The cost is linear, whatever the text.
func TestValuesOfHostileTexts(t *testing.T) {
	const size, enough = 1 << 18, 2 * time.Second // usual texts take 5 ms
	var v Values
	for name, text := range hostileTexts(size) {
		start := time.Now()
		v.Of(text)
		if d := time.Since(start); d > enough {
			t.Errorf("%q: %d bytes took %v", name, len(text), d)
		}
	}
}

func TestValuesAllocateNothing(t *testing.T) {
	var v Values
	for _, c := range valueCases {
		if n := testing.AllocsPerRun(50, func() { v.Of(c.text) }); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func FuzzValues(f *testing.F) {
	for _, c := range valueCases {
		f.Add(c.text)
	}
	for _, text := range hostileTexts(200) {
		f.Add(text)
	}
	var used Values
	f.Fuzz(func(t *testing.T, text string) {
		var fresh Values
		list := fresh.Of(text)
		if again := keysAndValues(used.Of(text)); !slices.Equal(again, keysAndValues(list)) || used.More() != fresh.More() {
			t.Fatalf("not the same again: %q, %q", again, keysAndValues(list))
		}
		if len(list) > MaxValues || fresh.More() && len(list) < MaxValues {
			t.Fatalf("%d values, more %v", len(list), fresh.More())
		}
		plain := isASCII(text) && !strings.ContainsAny(text, `\,.`)
		folded := strings.ToLower(text)
		seen := map[string]bool{}
		for _, v := range list {
			s := string(v.Text)
			if n := utf8.RuneCountInString(s); n < minValue || n > maxValue || s != strings.TrimSpace(s) || len(v.Key) > maxValueKey {
				t.Errorf("value %q of key %q", s, v.Key)
			}
			if seen[s] {
				t.Errorf("value %q twice", s)
			}
			seen[s] = true
			if plain && !strings.Contains(folded, s) {
				t.Errorf("value %q is no part of the text", s)
			}
			if !plain {
				continue
			}
			if !strings.Contains(text, string(v.Key)) {
				t.Errorf("key %q is no part of the text", v.Key)
			}
		}
	})
}

// toolResults returns results of tools from recorded sessions of agents.
func toolResults(tb testing.TB) []string {
	dir := os.Getenv("AIDR_SAMPLES")
	if dir == "" {
		dir = "../../../shared/samples"
	}
	file, err := os.Open(filepath.Join(dir, "agentdyn/dev.jsonl.gz"))
	if err != nil {
		tb.Skipf("no samples: %v (AIDR_SAMPLES names their folder)", err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		tb.Fatal(err)
	}
	var results []string
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() && len(results) < 2000 {
		var record struct {
			Messages []struct {
				Role    string
				Content any
			}
		}
		if err := json.Unmarshal(lines.Bytes(), &record); err != nil {
			tb.Fatal(err)
		}
		if last := record.Messages[len(record.Messages)-1]; last.Role == "tool" {
			if text, ok := last.Content.(string); ok {
				results = append(results, text)
			}
		}
	}
	return results
}

func BenchmarkValues(b *testing.B) {
	results := toolResults(b)
	n := 0
	for _, r := range results {
		n += len(r)
	}
	var v Values
	b.SetBytes(int64(n / len(results)))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		v.Of(results[i%len(results)])
	}
}
