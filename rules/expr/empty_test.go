package expr

import (
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/rules/predicate"
)

// A condition that requires an element of an empty list never holds, and names the list. All other conditions may hold.
func TestEmptyLists(t *testing.T) {
	site := testSite()
	lists := map[string]predicate.List{"none": texts{}, "nobody": texts{}}
	for name, l := range site.Lists {
		lists[name] = l
	}
	site.Lists = lists
	env, err := NewEnv(site)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		`url.domain in lists.none`:                                                         "none",
		`event.class == "tool" && url.domain.lowerAscii() in lists.none`:                   "none",
		`url(gen_ai.tool.call.arguments.url).host in lists.none`:                           "none",
		`url.domain in lists.none || user.id in lists.nobody`:                              "nobody none",
		`(url.domain in lists.none || false) && event.class == "tool"`:                     "none",
		`raw.urls.exists(u, u in lists.none)`:                                              "none",
		`raw.urls.exists(u, event.class == "tool" && url(u).host in lists.none)`:           "none",
		`raw.urls.exists_one(u, u in lists.none)`:                                          "none",
		`event.class == "tool" ? url.domain in lists.none : user.id in lists.none`:         "none",
		`!!(url.domain in lists.none)`:                                                     "none",
		`!(!(url.domain in lists.none) || event.class == "tool")`:                          "none",
		`url.domain in lists.none && user.id in lists.nobody`:                              "nobody none",
		`!(url.domain in lists.none)`:                                                      "",
		`event.class == "tool" && !(url.domain in lists.none)`:                             "",
		`url.domain in lists.none || event.class == "tool"`:                                "",
		`url.domain in lists.paste_sites`:                                                  "",
		`url.domain in lists.none || url.domain in lists.paste_sites`:                      "",
		`raw.urls.all(u, u in lists.none)`:                                                 "",
		`(url.domain in lists.none) == false`:                                              "",
		`event.class == "tool" ? url.domain in lists.none : user.id == "x"`:                "",
		`size(lists.none) == 0`:                                                            "",
		`!(url.domain in lists.none && event.class == "tool") && event.action == "delete"`: "",
	} {
		c, issues := env.Compile(text)
		if issues != nil {
			t.Errorf("%s: %+v", text, issues)
			continue
		}
		if got := strings.Join(c.EmptyLists(), " "); got != want {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}
