package cases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
)

// updated runs the tests of a rule file, updates the file, and returns the text below `tests:`. Unless tests were refused,
// the updated file must pass.
func updated(t *testing.T, tests string) (text string, refused []error) {
	t.Helper()
	src := rule + tests
	out, refused := Update("r.yaml", []byte(src), run(t, src))
	for _, r := range run(t, string(out)) {
		if r.Diff != "" && len(refused) == 0 {
			t.Errorf("the updated test %q fails: %s\n%s", r.Test, r.Diff, out)
		}
	}
	text, ok := strings.CutPrefix(string(out), rule)
	if !ok {
		t.Errorf("the text before the tests was changed:\n%s", out)
	}
	return text, refused
}

// two is a list of events that gives one finding, with key a and count 2.
const two = `[{repeat: 2, every: 1s, set: {event.action: x, ai_agent.uid: a}}]`

// both is a list of events that gives a finding with key a and count 2, and one with key b and count 3.
const both = `[{repeat: 2, every: 1s, set: {event.action: x, ai_agent.uid: a}}, {repeat: 3, every: 1s, set: {event.action: x, ai_agent.uid: b}}]`

// TestUpdate checks that the expected values become the actual ones, and that the rest of the file stays byte for byte.
func TestUpdate(t *testing.T) {
	f := func(name, tests, want string) {
		t.Helper()
		got, refused := updated(t, tests)
		if len(refused) > 0 || got != want {
			t.Errorf("%s: got (refused: %v)\n%s\nwant\n%s", name, refused, got, want)
		}
	}
	head := "  - name: n  # why\n    events: " + two + "\n"
	f("a test that passes", head+"    findings: [ {count:   2} ] # x\n", head+"    findings: [ {count:   2} ] # x\n")
	f("a value", head+"    findings: [{by: {ai_agent.uid: a}, count: 3}] # x\n", head+"    findings: [{by: {ai_agent.uid: a}, count: 2}] # x\n")
	f("values of several kinds", head+"    findings: [{by: {ai_agent.uid: 'b'}, count: 3, severity: \"high\", tenant: x, first_seen: 2026-01-01}]\n",
		head+"    findings: [{by: {ai_agent.uid: a}, count: 2, severity: low, tenant: \"\", first_seen: \"2026-01-01T00:00:00Z\"}]\n")
	f("a list", head+"    findings: [{tags: [a, 'b]']}]\n", head+"    findings: [{tags: \"\"}]\n")
	f("none was expected", head+"    findings: [] # nothing\n# end", head+"    findings: [{by: {ai_agent.uid: a}, count: 2}] # nothing\n# end")
	f("more were expected", head+"    findings: [{count: 2}, {count: 4}]\n", head+"    findings: [{count: 2}]\n")
	f("all in braces", "  - {name: n, events: "+two+", findings: [{count: 9}]}\n", "  - {name: n, events: "+two+", findings: [{count: 2}]}\n")

	quiet := "  - name: n\n    events: [{set: {event.action: x, ai_agent.uid: a}}]\n"
	f("nothing is found", quiet+"    findings: [{count: 4}] # x\n", quiet+"    findings: [] # x\n")
	f("nothing is found, in lines", quiet+"    findings:   # all\n      - count: 4\n        by: {ai_agent.uid: a}\n      - count: 5\n\n# end\n",
		quiet+"    findings: []   # all\n\n# end\n")

	many := "  - name: n\n    events: " + both + "\n"
	next := "  - name: m\n    events: " + two + "\n    findings: [{}]\n"
	f("lines", many+"    findings:\n      # a\n      - by: {ai_agent.uid: a} # key\n        count: 7   # many\n      # b\n      - count: 3\n"+next,
		many+"    findings:\n      # a\n      - by: {ai_agent.uid: a} # key\n        count: 2   # many\n      # b\n      - count: 3\n"+next)
	f("a line too few", many+"    findings:\n    - by:\n        ai_agent.uid: b\n      count: 3",
		many+"    findings:\n    - by:\n        ai_agent.uid: b\n      count: 3\n    - {by: {ai_agent.uid: a}, count: 2}")
	f("a line too many", many+"    findings:\n      - count: 2\n      - count: 4 # removed\n        severity: low\n      # stays\n      - count: 3\n",
		many+"    findings:\n      - count: 2\n      # stays\n      - count: 3\n")
	f("brackets over lines", many+"    findings: [\n      {count: 2}, # it's one\n      {count: 8}, # other\n    ]\n",
		many+"    findings: [\n      {count: 2}, # it's one\n      {count: 3}, # other\n    ]\n")
	f("brackets over lines, one too few", many+"    findings: [\n      {count: 2}, # it's one\n    ]\n",
		many+"    findings: [\n      {count: 2}, {by: {ai_agent.uid: b}, count: 3}, # it's one\n    ]\n")
	f("the key decides", many+"    findings: [{by: {ai_agent.uid: b}, count: 8}, {by: {ai_agent.uid: a}, count: 9}]\n",
		many+"    findings: [{by: {ai_agent.uid: b}, count: 3}, {by: {ai_agent.uid: a}, count: 2}]\n")
	f("line ends of Windows", strings.ReplaceAll(many+"    findings:\n      - count: 2\n      - count: 4\n", "\n", "\r\n"),
		strings.ReplaceAll(many+"    findings:\n      - count: 2\n      - count: 3\n", "\n", "\r\n"))
}

// TestUpdateRefuses checks that expectations that cannot be edited stay as they are, while other tests are updated.
func TestUpdateRefuses(t *testing.T) {
	head := "  - name: n\n    events: " + two + "\n"
	bad := head + "    findings:\n      - explanation: |\n          other\n          words\n"
	good := "  - name: m\n    events: " + two + "\n    findings: [{count: %}]\n"
	got, refused := updated(t, bad+strings.ReplaceAll(good, "%", "5"))
	reason := `test "n": tests[0].findings[0].explanation (line 10) spans several lines`
	if len(refused) != 1 || !strings.Contains(refused[0].Error(), reason) {
		t.Errorf("got %v", refused)
	}
	if want := bad + strings.ReplaceAll(good, "%", "2"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	_, refused = Update("r.yaml", []byte(rule+"  []\n"), []Result{{Test: "n"}})
	if len(refused) != 1 || !strings.Contains(refused[0].Error(), "run the tests again") {
		t.Errorf("a test that is not in the file: got %v", refused)
	}
}

// TestUpdateOfTheLibrary makes the expectations of every shipped rule wrong. Update must correct them and change nothing
// else.
func TestUpdateOfTheLibrary(t *testing.T) {
	folder := filepath.Join("..", "..", "rules", "library")
	set, problems := rules.Load(rules.Options{Drafts: true}, folder)
	if set == nil {
		t.Fatal(problems)
	}
	byFile := map[string][]Result{}
	if err := Run(t.Context(), set, func(r Result) { byFile[r.File] = append(byFile[r.File], r) }); err != nil {
		t.Fatal(err)
	}
	changed := 0
	for file, results := range byFile {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wrong := strings.NewReplacer("findings: [{", "findings: [{title: \"#\", ", "      - {by: ", "      - {title: no, by: ").Replace(string(src))
		text, refused := Update(file, []byte(wrong), results)
		if len(refused) > 0 {
			t.Errorf("%v", refused)
		}
		if wrong != string(src) && string(text) != wrong {
			changed++
		}
		right := strings.NewReplacer("title: "+doc.Flow(title(src))+", by: ", "by: ", "title: "+doc.Flow(title(src))+", ", "").Replace(string(text))
		if right != string(src) {
			t.Errorf("%s: more than the wrong expectations changed:\n%s", file, text)
		}
	}
	if changed < 20 {
		t.Errorf("%d files were changed, want at least 20", changed)
	}
}

// title returns the title of a rule.
func title(src []byte) string {
	_, root := doc.Parse("f", src)
	return root.Fields().Get("title").String()
}
