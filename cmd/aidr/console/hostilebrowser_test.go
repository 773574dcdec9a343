package console_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/aidr-engine/aidr/cmd/aidr/console"
	"github.com/aidr-engine/aidr/connectors/conntest"
)

// TestHostilePages opens every page in a browser with texts of the corpus in every field and parameter: no script of a text runs, no
// request leaves the console, the Content-Security-Policy has nothing to refuse, and the layout holds.
func TestHostilePages(t *testing.T) {
	b := chromium(t)
	rounds := 1
	if conntest.Required("browser") {
		rounds = 6
	}
	link, base, pages := console.Hostile(t)
	b.run(t, chromedp.Navigate(link))
	b.wait(t, "the queue", `document.querySelector("main h1, main section") !== null`)
	for range rounds {
		for _, address := range pages() {
			path, _, _ := strings.Cut(address, "?")
			b.run(t, chromedp.Navigate(base+address))
			got := evaluate[string](t, b, `[window.pwned === undefined ? "" : "a script ran", location.origin + location.pathname,
				document.querySelectorAll("main").length, document.querySelectorAll("script").length,
				document.documentElement.scrollWidth > innerWidth + 1 ? "wider than the window: " + document.documentElement.scrollWidth : ""].join("|")`)
			parts := strings.Split(got, "|")
			if parts[0] != "" || parts[1] != base+path || parts[2] != "1" || parts[3] != "3" {
				t.Errorf("%s: got %s", path, got)
			}
			if parts[4] != "" {
				t.Errorf("%s: %s", path, parts[4])
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.requests {
		if !strings.HasPrefix(u, base+"/") && !strings.HasPrefix(u, "about:") && !strings.HasPrefix(u, "chrome:") {
			t.Errorf("a request went to %s", u)
		}
	}
	for _, e := range b.errors {
		if !strings.Contains(e, "Failed to load resource") { // a page that is refused, as its parameters are no filters
			t.Errorf("error of a page: %s", e)
		}
	}
}
