package console

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/aidr-engine/aidr/connectors/clickhouse"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
)

func TestMain(m *testing.M) { os.Exit(host.Test(m.Run)) }

// TestQueriesRun runs the SQL that each page names on the real engine, with harmless values and with those of attackers.
func TestQueriesRun(t *testing.T) {
	s, err := clickhouse.New(clickhouse.Config{DSN: host.ForTest(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	text := ""
	c, cookie := newFake(t, func() string { return text })
	for _, text = range []string{"a", `it's \ "x"; DROP TABLE findings --`} {
		queries := 0
		for _, address := range c.addresses(text) {
			path, _, _ := strings.Cut(address, "?")
			for _, q := range queriesOf(t, ask(c, "GET", address, cookie).Body.String()) {
				queries++
				// The engine's database has a name of its own; Ask is in it.
				if _, err := s.Ask(t.Context(), strings.ReplaceAll(q, "aidr.", ""), nil); err != nil {
					t.Errorf("%s with %q: %v\n%s", path, text, err, q)
				}
			}
		}
		if queries < 10 {
			t.Errorf("the pages name %d queries only", queries)
		}
	}
}

// queriesOf returns the statements that a page names.
func queriesOf(t *testing.T, page string) (out []string) {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	for n := range tree.Descendants() {
		if n.Type != html.ElementNode || n.Data != "h3" || n.FirstChild == nil || n.FirstChild.Data != "The same in ClickHouse" {
			continue
		}
		var b strings.Builder
		for d := range n.NextSibling.Descendants() {
			if d.Type == html.TextNode {
				b.WriteString(d.Data)
			}
		}
		for q := range strings.SplitSeq(b.String(), ";\n") {
			out = append(out, q)
		}
	}
	return out
}
