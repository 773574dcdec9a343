package cases

import (
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/library"
)

// mutation is a change of a rule file that its tests should notice.
type mutation struct {
	what string
	text string // the changed file
}

// window finds the durations of a rule: those of its clauses and parameters.
var window = regexp.MustCompile(`\b(within|learn|silent|for): *([0-9]+)(ms|s|m|h|d)\b`)

// mutations returns the changes of a rule: each operand of the conditions' && is left out, and each window is halved.
func mutations(r *rules.Rule, text string) (out []mutation) {
	head, _, _ := strings.Cut(text, "\ntests:")
	tests := text[len(head):]
	seen := map[string]bool{}
	for _, role := range r.Roles {
		if role.Cond == nil {
			continue
		}
		for _, term := range role.Cond.Conjuncts() {
			if term == "true" || seen[term] || !strings.Contains(head, term) || isKey(term, head) {
				continue
			}
			seen[term] = true
			out = append(out, mutation{"without " + term, strings.Replace(head, term, "(true)", 1) + tests})
		}
	}
	for _, at := range window.FindAllStringSubmatchIndex(head, -1) {
		line := head[strings.LastIndexByte(head[:at[0]], '\n')+1 : at[0]]
		if strings.HasPrefix(line, "group:") || strings.Contains(line, "contain:") {
			continue // how long a finding grows is no part of the condition
		}
		value := head[at[4]:at[5]] + head[at[6]:at[7]]
		d, err := time.ParseDuration(strings.Replace(value, "d", "h", 1))
		if err != nil || d == 0 {
			continue
		}
		if strings.HasSuffix(value, "d") {
			d *= 24
		}
		half := fmt.Sprintf("%dms", d.Milliseconds()/2)
		out = append(out, mutation{"half of " + head[at[0]:at[1]], head[:at[4]] + half + head[at[7]:] + tests})
	}
	return out
}

// isKey reports whether a term is has(field) for a field of the rule's key or values: without it, the rule means the same.
func isKey(term, head string) bool {
	name, ok := strings.CutPrefix(strings.TrimSuffix(term, ")"), "has(")
	if !ok {
		return false
	}
	return regexp.MustCompile(`\b(by|of): *(\[[^\]\n]*|sum\(|distinct\()?[^\n]*` + regexp.QuoteMeta(name) + `\b`).MatchString(strings.ReplaceAll(head, term, "true"))
}

// shipped returns the text of a file of the library.
func shipped(file string) string {
	b, err := fs.ReadFile(library.FS, strings.TrimPrefix(file, "rules/library/"))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// overlay returns the files of the library that a rule needs: its own with another text, those of the rules that feed it, and lists.
func overlay(set *rules.Set, r *rules.Rule, text string) fstest.MapFS {
	files := fstest.MapFS{}
	lists, _ := fs.ReadDir(library.FS, "lists")
	for _, e := range lists {
		files["lists/"+e.Name()] = &fstest.MapFile{Data: []byte(shipped("lists/" + e.Name()))}
	}
	for _, o := range set.Only(r).Rules {
		files[strings.TrimPrefix(o.File, "rules/library/")] = &fstest.MapFile{Data: []byte(shipped(o.File))}
	}
	files[strings.TrimPrefix(r.File, "rules/library/")] = &fstest.MapFile{Data: []byte(text)}
	return files
}

// killed reports whether a test of the rule fails, or the rule no longer loads, with another text of its file.
func killed(library *rules.Set, r *rules.Rule, text string) bool {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, overlay(library, r, text), "rules/library")
	if set == nil {
		return true
	}
	at := slices.IndexFunc(set.Rules, func(o *rules.Rule) bool { return o.ID == r.ID })
	if at < 0 {
		return true
	}
	failed := false
	err := RunOf(context.Background(), set, set.Rules[at:at+1], func(r Result) { failed = failed || r.Diff != "" })
	return failed || err != nil
}

// TestMutationsOfTheLibrary checks that the tests of the shipped rules notice nearly every change of a condition or window. In
// short form it looks at every eighth rule.
func TestMutationsOfTheLibrary(t *testing.T) {
	set, _ := rules.LoadFS(rules.Options{Drafts: true}, library.FS, "rules/library")
	if set == nil {
		t.Fatal("the library does not load")
	}
	total, missed := 0, []string(nil)
	for n, r := range set.Rules {
		if testing.Short() && n%8 != 0 {
			continue
		}
		for _, m := range mutations(r, shipped(r.File)) {
			total++
			if !killed(set, r, m.text) {
				missed = append(missed, r.ID+": "+m.what)
			}
		}
	}
	for _, m := range missed {
		t.Logf("no test notices %s", strings.ReplaceAll(m, "\n", " "))
	}
	t.Logf("%d of %d changes are noticed", total-len(missed), total)
	if share := float64(total-len(missed)) / float64(total); share < leastNoticed {
		t.Errorf("%.1f %% of %d changes are noticed, want %.0f %%", 100*share, total, 100*leastNoticed)
	}
}

// leastNoticed is the least share of changes that the tests of the library must notice.
const leastNoticed = 0.95
