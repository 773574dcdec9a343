package cases

import (
	"fmt"
	"reflect"

	"github.com/aidr-engine/aidr/rules/doc"
)

// Update returns the text of a rule file in which its tests expect what they found. Of an expectation that nothing
// matches, the values that it gives become those of a finding that it was not given by chance: one of its key, else the
// next that is left. Expectations too many go, findings too many come with their key and count. Everything else of the
// file, comments too, stays as it is.
//
// results are those of tests of the file; refused says why the expectations of some stay as they are.
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
		return nil, fmt.Errorf("is not in the file any more: run the tests again")
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

// findingsOf returns what a test of the file expects.
func findingsOf(root *doc.Node, test string) (n *doc.Node) {
	for _, item := range root.Fields().Get("tests").Items() {
		f := item.Fields()
		if name := f.Get("name"); name != nil && name.String() == test {
			n = f.Get("findings")
		}
	}
	return n
}

// expectations returns what stands in the list, as tests are compared with it.
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

// change edits the list so that it expects what was found.
func change(e *doc.Editor, n *doc.Node, found []map[string]any) {
	want := expectations(n)
	taken, missing := assignAll(want, found)
	drop := make([]bool, len(want))
	for _, i := range missing {
		j := spare(want[i], found, taken)
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

// spare returns a finding that no expectation has: one of the expected key, else the first; -1 where none is left.
func spare(want map[string]any, found []map[string]any, taken []int) int {
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

// jsonName is what a finding calls a key of an expectation.
func jsonName(key string) string {
	if key == "by" {
		return "key"
	}
	return key
}

// adapt makes a value of an expectation that of the finding: of a mapping, the keys that are given.
func adapt(e *doc.Editor, n *doc.Node, got any) {
	if contains(n.Any(), got) {
		return
	}
	if members, ok := got.(map[string]any); ok && n.Kind == doc.Map {
		n.Each(func(name, value *doc.Node) { adapt(e, value, members[name.String()]) })
		return
	}
	if got == nil {
		got = "" // a test that expects nothing of a key writes this
	}
	e.Set(n, doc.Flow(got))
}

// expectation is what a test expects of a finding that it did not: its key, and on how much it stands.
func expectation(f map[string]any) string {
	text := fmt.Sprintf("count: %s", doc.Flow(f["count"]))
	if key, ok := f["key"].(map[string]any); ok && len(key) > 0 {
		text = "by: " + doc.Flow(key) + ", " + text
	}
	return "{" + text + "}"
}

// verify reads the new text: the test must pass with it, and nothing else may be changed.
func verify(file string, text []byte, old *doc.Node, r Result) error {
	d, root := doc.Parse(file, text)
	n := findingsOf(root, r.Test)
	if d.Failed() || n == nil || Diff(expectations(n), r.Found) != "" {
		return fmt.Errorf("its findings are written in a way that can not be changed in place: change them by hand")
	}
	want, got := withoutFindings(old, r.Test), withoutFindings(root, r.Test)
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("more than its findings would change: change them by hand")
	}
	return nil
}

// withoutFindings returns a file's content, but for what one test expects.
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
