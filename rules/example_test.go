package rules_test

import (
	"fmt"
	"testing/fstest"

	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/schema"
)

// Load rules and find those that an event matches.
func Example() {
	files := fstest.MapFS{
		"lists/paste_sites.yaml": {Data: []byte("values: [pastebin.com, paste.ee]\n")},
		"paste-site.yaml": {Data: []byte(`
id: egress.paste-site
title: A paste site is called
severity: medium
when: url.domain in lists.paste_sites && !(event.outcome == "failure")
`)},
		"upload-then-delete.yaml": {Data: []byte(`
id: audit.upload-then-delete
title: A file is uploaded and deleted
severity: low
sequence:
  within: 10m
  by: [ai_agent.uid]
  steps:
    - {id: upload, when: event.action == "upload"}
    - {id: delete, when: event.action == "delete"}
`)},
	}
	set, problems := rules.LoadFS(rules.Options{}, files, "rules")
	if set == nil {
		fmt.Println(problems)
		return
	}

	var e schema.Event
	e.SetText(schema.EventAction, "upload")
	e.SetText(schema.URLDomain, "paste.ee")
	scratch := set.NewScratch() // one for each goroutine
	for _, hit := range set.Match(&e, scratch, nil) {
		rule := set.Rules[hit.Rule]
		fmt.Printf("%s (%s), roles %b\n", rule.ID, rule.Kind, hit.Roles)
	}
	// Output:
	// audit.upload-then-delete (sequence), roles 1
	// egress.paste-site (none), roles 1
}

// All problems of all files are reported at once, each with its position.
func ExampleLoadFS_problems() {
	files := fstest.MapFS{"bad.yaml": {Data: []byte(`
id: example.bad
title: Many failures
severity: hihg
when: event.outcom == "failure"
threshold: {count: 5, by: [ai_agent.uid]}
`)}}
	set, problems := rules.LoadFS(rules.Options{}, files, "rules")
	fmt.Println("loaded:", set != nil)
	for _, p := range problems {
		fmt.Println(p)
	}
	// Output:
	// loaded: false
	// rules/bad.yaml:4:11: rule "example.bad": severity: "hihg" is not one of info, low, medium, high, critical: did you mean high?
	// rules/bad.yaml:5:12: rule "example.bad": when: there is no field event.outcom: did you mean event.outcome?
	// rules/bad.yaml:6:12: rule "example.bad": threshold: "within" is missing
}
