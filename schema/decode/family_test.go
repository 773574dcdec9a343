package decode

import (
	"slices"
	"testing"

	"github.com/aidr-engine/aidr/schema/formats"
)

// Every dataset of every format belongs to a family.
func TestEveryDatasetHasAFamily(t *testing.T) {
	table := Families()
	for _, f := range all() {
		for _, family := range f.Families {
			if !slices.Contains(formats.Families(), family) {
				t.Errorf("%s: there is no family %q", f.Name, family)
			}
		}
		for ds := range f.Apart {
			if !slices.Contains(f.Datasets, ds) {
				t.Errorf("%s has families for %q, but not that dataset", f.Name, ds)
			}
		}
		for _, ds := range f.Datasets {
			if len(f.FamiliesOf(ds)) == 0 {
				t.Errorf("%s: the dataset %q has no family", f.Name, ds)
			}
			for _, family := range f.FamiliesOf(ds) {
				if !slices.Contains(table[family], ds) {
					t.Errorf("the table of families lacks %s in %s", ds, family)
				}
			}
		}
	}
}

func TestFamilies(t *testing.T) {
	maps := []*Map{
		{Name: "a", Dataset: "site.tools", Class: formats.ClassTool},
		{Name: "b", Dataset: "site.proxy", Class: formats.ClassAPI},
		{Name: "c", Dataset: "site.doors", Class: formats.ClassAudit},
		{Name: "d", Dataset: "site.both", Class: formats.ClassAPI, Families: []string{formats.FamilyGateway, formats.FamilyLLM}},
	}
	table := Families(maps...)
	for ds, want := range map[string][]string{
		"site.tools": {"llm"}, "site.proxy": {"gateway"}, "site.doors": {"audit"}, "site.both": {"gateway", "llm"},
		"kong.http_log": {"gateway", "llm"}, "azure.apim_gateway": {"gateway", "llm"}, "azure.openai": {"llm"}, "azure.activity": {"audit"},
		"otel.http": {"gateway"}, "otel.gen_ai": {"llm"}, "litellm": {"llm"}, "aws.cloudtrail": {"audit"}, "mcp.jsonrpc": {"llm"},
	} {
		var got []string
		for _, family := range formats.Families() {
			if slices.Contains(table[family], ds) {
				got = append(got, family)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got the families %q, want %q", ds, got, want)
		}
	}
	for family, datasets := range table {
		if !slices.IsSorted(datasets) {
			t.Errorf("the datasets of %s are not sorted: %q", family, datasets)
		}
	}
}
