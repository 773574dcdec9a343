package rules_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema/decode"
)

func loadOne(t *testing.T, o rules.Options, datasets string) (*rules.Rule, string) {
	t.Helper()
	set, problems := rules.Load(o, write(t, map[string]string{
		"a.yaml": "id: a\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\ndatasets: " + datasets + "\n",
	}))
	var causes []string
	for _, p := range problems {
		if p.Key == "datasets" || strings.HasPrefix(p.Key, "datasets[") {
			causes = append(causes, p.Cause)
		}
	}
	if set == nil {
		return nil, strings.Join(causes, "; ")
	}
	return set.All[0], strings.Join(causes, "; ")
}

func TestFamilies(t *testing.T) {
	site := map[string][]string{"llm": {"a.llm", "b.both"}, "gateway": {"b.both", "c.gateway"}, "audit": nil}
	for _, c := range []struct {
		written string
		want    []string // nil: an error
		first   string
		problem string
	}{
		{`["@llm"]`, []string{"a.llm", "b.both"}, "a.llm", ""},
		{`["@gateway", "@llm"]`, []string{"a.llm", "b.both", "c.gateway"}, "b.both", ""},
		{`[z.mine, "@llm", a.llm]`, []string{"a.llm", "b.both", "z.mine"}, "z.mine", ""},
		{`[c.gatewey]`, []string{"c.gatewey"}, "c.gatewey", `unknown dataset "c.gatewey": did you mean c.gateway?`},
		{`["@lm"]`, nil, "", `there is no family "@lm": did you mean @llm?`},
		{`["@everything"]`, nil, "", `there is no family "@everything": use one of @audit, @gateway, @llm`},
		{`["@audit"]`, nil, "", `the family @audit has no datasets here: name the datasets`},
		{`["@llm", "@llm"]`, nil, "", `"@llm" is listed twice: remove one`},
	} {
		r, problem := loadOne(t, rules.Options{Families: site}, c.written)
		if problem != c.problem {
			t.Errorf("%s: got the problem %q, want %q", c.written, problem, c.problem)
		}
		if (r == nil) != (c.want == nil) {
			t.Fatalf("%s: got rule %v", c.written, r)
		}
		if r != nil && (!slices.Equal(r.Datasets, c.want) || r.TestDataset != c.first) {
			t.Errorf("%s: got %q and first %q, want %q and %q", c.written, r.Datasets, r.TestDataset, c.want, c.first)
		}
	}
}

// Without a table the families are those of the built-in formats.
func TestFamiliesOfTheBuiltInFormats(t *testing.T) {
	for family, want := range decode.Families() {
		r, problem := loadOne(t, rules.Options{}, `["@`+family+`"]`)
		if r == nil || !slices.Equal(r.Datasets, want) || !slices.Equal(r.DatasetsAsWritten, []string{"@" + family}) {
			t.Errorf("%s: got %+v, %s, want %q", family, r, problem, want)
		}
	}
}

// A rule whose family no source carries is idle, and the reason names the family.
func TestIdleFamily(t *testing.T) {
	set, _ := rules.Load(rules.Options{}, write(t, map[string]string{
		"a.yaml": "id: a\ntitle: T\nseverity: low\nwhen: event.class == \"tool\"\ndatasets: [\"@llm\"]\n",
	}))
	for carried, want := range map[string]string{"litellm": "", "aws.cloudtrail": "no source carries @llm"} {
		a := set.RuleActivities(func(dataset string) bool { return dataset == carried })[0]
		if a.Reason != want || (want == "") != (a.Activity == rules.Active) {
			t.Errorf("%s: got %s: %s, want %q", carried, a.Activity, a.Reason, want)
		}
	}
}
