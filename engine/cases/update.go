package cases

import (
	"fmt"
	"reflect"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Update returns the text of a rule file, edited so that its tests expect their actual findings. If no finding matches an
// expectation, its values are replaced with those of an unassigned finding: one with the expected key, or else the first.
// Expectations for which no finding is left are removed. For each finding that is still left, an expectation with its key
// and count is added. The rest of the file, including its comments, is unchanged.
//
// results are the results of tests of the file. refused holds an error for each test whose expectations could not be edited.
func Update(file string, src []byte, results []Result) (text []byte, refused []error) {
	for _, r := range results {
		next, err := update(file, src, r)
		if err != nil {
			refused = append(refused, fmt.Errorf("%s:%d: rule %q: test %q: %w", file, r.Line, r.Rule, r.Test, err))
			continue
		}
		src = next
	}
	return src, refused
}

func update(file string, src []byte, r Result) ([]byte, error) {
	_, root := doc.Parse(file, src)
	n := findingsOf(root, r.Test)
	if n == nil {
		return nil, fmt.Errorf("it is no longer in the file: run the tests again")
	}
	e := doc.NewEditor(src)
	found := flatten(r.Found)
	change(e, n, found)
	text, err := e.Text()
	if err != nil {
		return nil, err
	}
	return text, verify(file, text, root, r)
}

// findingsOf returns the `findings` node of a test, or nil if the file does not have the test.
func findingsOf(root *doc.Node, test string) (n *doc.Node) {
	for _, item := range root.Fields().Get("tests").Items() {
		f := item.Fields()
		if name := f.Get("name"); name != nil && name.String() == test {
			n = f.Get("findings")
		}
	}
	return n
}

// expectations returns the items of a `findings` node in the form that Diff takes.
func expectations(n *doc.Node) (want []map[string]any) {
	for _, item := range n.Items() {
		w, ok := item.Any().(map[string]any)
		if !ok {
			w = map[string]any{}
		}
		want = append(want, w)
	}
	return want
}

// change edits a `findings` node so that it expects exactly the actual findings.
func change(e *doc.Editor, n *doc.Node, found []map[string]any) {
	want := expectations(n)
	taken, missing := assignAll(want, found)
	drop := make([]bool, len(want))
	for _, i := range missing {
		j := unassigned(want[i], found, taken)
		if j < 0 {
			drop[i] = true
			continue
		}
		taken[j] = i + 1
		n.Items()[i].Each(func(name, value *doc.Node) { adapt(e, value, found[j][jsonName(name.String())]) })
	}
	var add []string
	for j, f := range found {
		if taken[j] == 0 {
			add = append(add, expectation(f))
		}
	}
	e.List(n, drop, add)
}

// unassigned returns the index of a finding without an expectation: one with the expected key, or else the first. It returns
// -1 if every finding has an expectation.
func unassigned(want map[string]any, found []map[string]any, taken []int) int {
	first := -1
	for j, f := range found {
		if taken[j] != 0 {
			continue
		}
		if by, ok := want["by"]; ok && contains(by, f["key"]) {
			return j
		}
		if first < 0 {
			first = j
		}
	}
	return first
}

// jsonName returns the name that a key of an expectation has in a finding.
func jsonName(key string) string {
	if key == "by" {
		return "key"
	}
	return key
}

// adapt replaces a value of an expectation with that of the finding. Of a mapping, only the keys that it gives are replaced.
func adapt(e *doc.Editor, n *doc.Node, got any) {
	if contains(n.Any(), got) {
		return
	}
	if members, ok := got.(map[string]any); ok && n.Kind == doc.Map {
		n.Each(func(name, value *doc.Node) { adapt(e, value, members[name.String()]) })
		return
	}
	if got == nil {
		got = "" // a test expects an absent value by writing ""
	}
	e.Set(n, doc.Flow(got))
}

// expectation renders a new expectation for a finding: its key and count.
func expectation(f map[string]any) string {
	text := fmt.Sprintf("count: %s", doc.Flow(f["count"]))
	if key, ok := f["key"].(map[string]any); ok && len(key) > 0 {
		text = "by: " + doc.Flow(key) + ", " + text
	}
	return "{" + text + "}"
}

// verify parses the new text: the test must pass with it, and nothing else may have changed.
func verify(file string, text []byte, old *doc.Node, r Result) error {
	d, root := doc.Parse(file, text)
	n := findingsOf(root, r.Test)
	if d.Failed() || n == nil || Diff(expectations(n), r.Found) != "" {
		return fmt.Errorf("its findings are written in a form that cannot be edited in place: change them by hand")
	}
	want, got := withoutFindings(old, r.Test), withoutFindings(root, r.Test)
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("more than its findings would change: change them by hand")
	}
	return nil
}

// withoutFindings returns the content of a file without the expectations of one test.
func withoutFindings(root *doc.Node, test string) any {
	all, _ := root.Any().(map[string]any)
	tests, _ := all["tests"].([]any)
	for _, t := range tests {
		if t, ok := t.(map[string]any); ok && t["name"] == test {
			delete(t, "findings")
		}
	}
	return all
}
