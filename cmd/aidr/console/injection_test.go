package console

import (
	"encoding/csv"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// structure is what a page consists of, without its texts: elements with the names of their attributes.
type structure struct {
	elements []string
	targets  []string // values of attributes that name an address
	texts    []string // texts, and values of attributes that people see or hear
}

// addressAttributes are the attributes whose values a browser follows or loads.
var addressAttributes = []string{"href", "src", "action", "formaction", "hx-get", "hx-post", "data", "srcdoc", "poster", "xlink:href", "background", "ping", "srcset"}

// structureOf parses a page as browsers do. Boxes of hidden characters are left out: their number depends on the text.
func structureOf(t *testing.T, page string) (s structure) {
	t.Helper()
	tree, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			var names []string
			hidden := false
			for _, a := range n.Attr {
				names = append(names, a.Namespace+a.Key)
				hidden = hidden || a.Key == "class" && a.Val == "hid"
				switch {
				case slices.Contains(addressAttributes, a.Key):
					s.targets = append(s.targets, a.Val)
				case a.Key != "value": // what a form sends is the text as it is
					s.texts = append(s.texts, a.Val)
				}
			}
			if !hidden {
				slices.Sort(names)
				s.elements = append(s.elements, n.Data+" "+strings.Join(names, " "))
			}
		}
		switch n.Type {
		case html.CommentNode:
			s.elements = append(s.elements, "comment")
		case html.TextNode:
			if n.Parent.Data == "textarea" { // what a form sends
				return
			}
			s.texts = append(s.texts, n.Data)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(tree)
	return s
}

// TestInjection puts each text of the corpus into every field of every view: the page has exactly the elements and attributes that it
// has with a harmless text, and every address in it is one of the console.
func TestInjection(t *testing.T) {
	text := ""
	c, cookie := newFake(t, func() string { return text })
	fetch := func(address string) string { return ask(c, "GET", address, cookie).Body.String() }
	all := corpus()
	if testing.Short() {
		for i := range all { // one of each form
			if i%8 == 0 {
				all[i/8] = all[i]
			}
		}
		all = all[:corpusSize/8]
	}
	text = "harmless"
	harmless := map[int]structure{}
	for i, address := range c.addresses(text) {
		harmless[i] = structureOf(t, fetch(address))
		if len(harmless[i].elements) < 20 {
			t.Errorf("%s: only %d elements", address, len(harmless[i].elements))
		}
	}
	for _, text = range all {
		if t.Failed() {
			return // the first text that does harm is enough
		}
		for i, address := range c.addresses(text) {
			page := fetch(address)
			got, want := structureOf(t, page), harmless[i]
			path, _, _ := strings.Cut(address, "?")
			if !slices.Equal(got.elements, want.elements) {
				t.Errorf("%s with %.80q: %s", path, text, firstDifference(got.elements, want.elements))
			}
			for _, to := range got.targets {
				if !strings.HasPrefix(to, "/") && !strings.HasPrefix(to, "#") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\t\r\n") {
					t.Errorf("%s with %.80q: the address %.120q", path, text, to)
				}
			}
			for _, shown := range got.texts {
				if i := strings.IndexFunc(shown, func(r rune) bool { return r != '\u202f' && hidden(r) != "" }); i >= 0 { // that space is the console's
					t.Errorf("%s with %.80q: the hidden character in %.80q", path, text, shown[max(0, i-20):])
				}
			}
		}
	}
}

func firstDifference(got, want []string) string {
	for i := range got {
		if i >= len(want) || got[i] != want[i] {
			return "element " + got[i] + " is not in the template there"
		}
	}
	return "elements are missing"
}

// TestCSV checks that no cell of a CSV begins a formula, or has hidden characters.
func TestCSV(t *testing.T) {
	text := ""
	c, cookie := newFake(t, func() string { return text })
	for _, text = range append(corpus(), "=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "|x", "%x") {
		for _, list := range []string{"agents", "credentials", "tools"} {
			w := ask(c, "GET", "/"+list+".csv", cookie)
			if got := w.Header().Get("Content-Type"); got != "text/csv; charset=utf-8" {
				t.Errorf("%s: content type %q", list, got)
			}
			rows, err := csv.NewReader(w.Body).ReadAll()
			if err != nil || len(rows) != 3 {
				t.Fatalf("%s with %q: %d rows: %v", list, text, len(rows), err)
			}
			for _, cell := range slices.Concat(rows...) {
				if strings.ContainsRune("=+-@|%\t\r", []rune(strings.TrimLeft(cell+"x", " \n"))[0]) {
					t.Errorf("%s with %q: the cell %q", list, text, cell)
				}
			}
		}
	}
}
