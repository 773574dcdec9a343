package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
)

// TestRulesNew checks that there is a template for each kind and for rules over others, and that each of them loads without
// a warning, is of its kind, explains its keys, and passes a test that fires and one that does not.
func TestRulesNew(t *testing.T) {
	want := []rules.Kind{
		rules.KindNone, rules.KindThreshold, rules.KindDistinct, rules.KindNewValue, rules.KindSequence, rules.KindAbsence,
		rules.KindBaseline, rules.KindRarity, rules.KindFlow, rules.KindProvenance, "over",
	}
	slices.Sort(want)
	if got := templateKinds(); !slices.Equal(got, texts(want)) {
		t.Fatalf("got templates %q, want %q", got, want)
	}
	for _, kind := range templateKinds() {
		t.Run(kind, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), kind+".yaml")
			mustAidr(t, "rules", "new", kind, file)
			paths := []string{file}
			if kind == "over" {
				paths = []string{"library", file}
			}
			if o := aidr(t, append([]string{"rules", "check"}, paths...)...); o.code != exitOK || o.stderr != "" {
				t.Errorf("rules check: exit code %d\n%s", o.code, o.stderr)
			}
			if o := aidr(t, append([]string{"rules", "test", "--verbose"}, paths...)...); o.code != exitOK || strings.Count(o.stdout, file) < 2 {
				t.Errorf("rules test: exit code %d, want two tests of the template to pass\n%s%s", o.code, o.stdout, o.stderr)
			}
			text := mustAidr(t, "rules", "new", kind)
			if !strings.HasPrefix(text, "# ") || !strings.Contains(text, "findings: []") || !strings.Contains(text, "findings: [{") {
				t.Errorf("it lacks a comment at the beginning, or a test that fires or one that does not:\n%s", text)
			}
			if kind != "none" && !strings.Contains(text, "\n"+kind+":") {
				t.Errorf("it lacks the clause %s:\n%s", kind, text)
			}
		})
	}
}

func texts(kinds []rules.Kind) (out []string) {
	for _, k := range kinds {
		out = append(out, string(k))
	}
	return out
}

// TestRulesNewRefuses checks that an existing file is kept without --force, and that an unknown kind is a usage error that
// names the kinds.
func TestRulesNewRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "r.yaml")
	mustAidr(t, "rules", "new", "flow", file)
	if o := aidr(t, "rules", "new", "rarity", file); o.code != exitFailed || !strings.Contains(o.stderr, "--force") {
		t.Errorf("got %+v, want a refusal that names --force", o)
	}
	mustAidr(t, "rules", "new", "--force", "rarity", file)
	if o := aidr(t, "rules", "new", "../templates/flow"); o.code != exitUsage || !strings.Contains(o.stderr, "absence, baseline") {
		t.Errorf("got %+v, want a usage error that names the kinds", o)
	}
}
