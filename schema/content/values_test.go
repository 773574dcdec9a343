package content

import (
	"slices"
	"strings"
	"testing"
)

// valueCases lists texts and their values, in the form key=value.
var valueCases = []struct {
	name, text string
	want       []string
}{
	{"scalar of JSON", `{"to": "Mark Smith"}`, []string{"to=mark smith"}},
	{"values in a scalar", `{"body": "see www.a.com/x now"}`, []string{"body=see www.a.com/x now", "body=www.a.com/x", "body=www.a.com"}},
	{"JSON in a text of JSON", `{"a": "{\"b\": \"core-7\"}"}`, []string{"a=core-7"}},
	{"address of mail", "write to Bob@B.com.", []string{"=bob@b.com"}},
	{"address of the web", "(https://a.com/x?y=1)", []string{"=https://a.com/x?y=1", "=a.com"}},
	{"hosts", "from evil.example, 10.1.2.3", []string{"=evil.example", "=10.1.2.3"}},
	{"paths", "cat ~/.ssh/id_rsa acme/web", []string{"=~/.ssh/id_rsa", "=acme/web"}},
	{"amount", "pay $1,200.00 now", []string{"=1200"}},
	{"amount on a line of its own", "pay: 1,200", []string{"=1200"}},
	{"identifiers", "order PX-99, user_7, #abc12", []string{"=px-99", "=user_7", "=abc12"}},
	{"quoted words", "named 'Red Scalar' it's", []string{"=red scalar"}},
	{"line of YAML", "- subject: Lunch today\n  to: x", []string{"=lunch today"}},
	{"Python", `[{'a': 'b12x', "k": None}] https://x.y`, []string{"=b12x", "=https://x.y"}},
}

func TestValues(t *testing.T) {
	var v Values
	for _, c := range valueCases {
		var got []string
		for _, value := range v.Of(c.text) {
			got = append(got, string(value.Key)+"="+string(value.Text))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %s:\n got %s\nwant %s", c.name, c.text, strings.Join(got, ", "), strings.Join(c.want, ", "))
		}
	}
}
