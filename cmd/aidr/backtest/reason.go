package backtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/doc"
)

// maxReason is the length in bytes of a value of a rule file in a reason; longer ones are cut.
const maxReason = 200

// reasons finds out how the rules of two sets differ.
type reasons struct {
	all, active [2]map[string]*rules.Rule // by side and id
	text        func(file string) ([]byte, error)
}

func newReasons(left, right *rules.Set, text func(file string) ([]byte, error)) *reasons {
	w := &reasons{text: text}
	for i, set := range []*rules.Set{left, right} {
		w.all[i], w.active[i] = byID(set.All), byID(set.Rules)
	}
	return w
}

func byID(all []*rules.Rule) map[string]*rules.Rule {
	out := make(map[string]*rules.Rule, len(all))
	for _, r := range all {
		out[r.ID] = r
	}
	return out
}

// rule returns how a rule differs between the sets; nil if it does not.
func (w *reasons) rule(id string) []string {
	l, r := w.all[0][id], w.all[1][id]
	switch {
	case l == nil && r == nil: // built in
		return nil
	case r == nil:
		return []string{"the rule is only in the left rules"}
	case l == nil:
		return []string{"the rule is only in the right rules"}
	}
	var out []string
	if a, b := w.active[0][id] != nil, w.active[1][id] != nil; a != b {
		out = append(out, fmt.Sprintf("the rule is %s on the left and %s on the right", activity(a, l), activity(b, r)))
	}
	if l.Digest == r.Digest {
		return out
	}
	if w.text == nil {
		return append(out, "the files of the rule differ")
	}
	return append(out, w.keys(l, r)...)
}

// activity describes whether a rule is active.
func activity(active bool, r *rules.Rule) string {
	switch {
	case active:
		return "active"
	case r.Stage == rules.StageStable || r.Stage == rules.StageShadow || r.Stage == rules.StageBlock:
		return "idle without a registry"
	}
	return string(r.Stage)
}

// keys returns the keys of two rule files whose values differ, with the values. Keys that only people read, and tests, change
// no finding.
func (w *reasons) keys(l, r *rules.Rule) (out []string) {
	a, b := w.values(l.File), w.values(r.File)
	names := map[string]bool{}
	for k := range a {
		names[k] = true
	}
	for k := range b {
		names[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(names)) {
		switch x, y := a[k], b[k]; {
		case x == y:
		case x == "":
			out = append(out, fmt.Sprintf("%s: %s only on the right", k, short(y)))
		case y == "":
			out = append(out, fmt.Sprintf("%s: %s only on the left", k, short(x)))
		default:
			out = append(out, fmt.Sprintf("%s: %s -> %s", k, short(x), short(y)))
		}
	}
	return out
}

// unread are the keys of a rule file that change no finding.
var unread = []string{"title", "description", "why", "triage", "references", "false_positives", "expected", "tests"}

// values returns the values of a rule file by key, as one line each. Members of a mapping have keys of their own.
func (w *reasons) values(file string) map[string]string {
	out := map[string]string{}
	text, err := w.text(file)
	if err != nil {
		return out
	}
	_, root := doc.Parse(file, text)
	if root == nil || root.Kind != doc.Map {
		return out
	}
	var walk func(prefix string, n *doc.Node)
	walk = func(prefix string, n *doc.Node) {
		if n.Kind == doc.Map {
			n.Each(func(name, value *doc.Node) { walk(prefix+"."+name.String(), value) })
			return
		}
		out[prefix] = doc.Flow(n.Any())
	}
	root.Each(func(name, value *doc.Node) {
		if !slices.Contains(unread, name.String()) {
			walk(name.String(), value)
		}
	})
	return out
}

func short(s string) string {
	if s = strings.Join(strings.Fields(s), " "); len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "") + "..."
	}
	return s
}
