package config

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/aidr-engine/aidr/schema/content"
)

// The values of the tag `secret` of a field.
const (
	secretAll  = "all"  // the whole value
	secretURL  = "url"  // the user, password and query of an address
	secretHost = "host" // everything but the scheme and host of an address: endpoints of chats have their secret in the path
)

const (
	// removed replaces secrets.
	removed = "[removed]"
	// maxRedactedNodes bounds the nodes of a redacted file, because aliases in YAML may multiply.
	maxRedactedNodes = 100_000
	// leastSecret is the length from which a secret is looked for in other texts, in bytes. Shorter ones are found in every text.
	leastSecret = 4
)

// onlyReference matches a text that is one ${...} and nothing else: it names a secret and holds none.
var onlyReference = regexp.MustCompile(`^\$\{[^}]*\}$`)

// Redacted returns a configuration file without its secrets and comments. A key that the configuration does not have loses its value,
// because it may be a secret under a misspelled name; in every other text credentials of known forms are replaced.
func Redacted(src []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(src, &root); err != nil {
		return nil, errors.New("the file is not YAML") // the error may quote the file
	}
	r := redactor{left: maxRedactedNodes}
	out := r.node(&root, reflect.TypeFor[Config](), "")
	if r.left < 0 {
		return nil, fmt.Errorf("the file has more than %d values", maxRedactedNodes)
	}
	return yaml.Marshal(out)
}

type redactor struct{ left int }

// node returns a redacted copy of a value. typ is the type of its field, nil if unknown.
func (r *redactor) node(n *yaml.Node, typ reflect.Type, secret string) *yaml.Node {
	if r.left--; r.left < 0 {
		return text(removed)
	}
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Style: n.Style &^ yaml.TaggedStyle}
	switch n.Kind {
	case yaml.AliasNode:
		return r.node(n.Alias, typ, secret)
	case yaml.ScalarNode:
		return scalar(n, typ, secret)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			to, s, known := fieldOf(typ, name, secret)
			value := text(removed)
			if known {
				value = r.node(n.Content[i+1], to, s)
			}
			out.Content = append(out.Content, text(content.Redact(name)), value)
		}
	default: // a document or a list
		if typ != nil && typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		for _, item := range n.Content {
			out.Content = append(out.Content, r.node(item, typ, secret))
		}
	}
	return out
}

func text(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }

// fieldOf returns the type and the tag `secret` of a key. Mappings with free keys, and types of other packages, have none.
func fieldOf(typ reflect.Type, name, secret string) (to reflect.Type, s string, known bool) {
	switch {
	case typ == nil:
		return nil, secret, true
	case typ.Kind() == reflect.Map:
		return typ.Elem(), secret, true
	case typ.Kind() == reflect.Slice: // one item in place of a list of it
		return fieldOf(typ.Elem(), name, secret)
	case typ.Kind() != reflect.Struct || typ.PkgPath() != reflect.TypeFor[Config]().PkgPath() || !hasKeys(typ):
		return nil, secret, true
	}
	for i := range typ.NumField() {
		f := typ.Field(i)
		tag, ok := f.Tag.Lookup("key")
		key, _, _ := strings.Cut(tag, ",")
		switch {
		case !ok:
		case key == "[]":
			return fieldOf(f.Type.Elem(), name, secret)
		case key == name:
			to := f.Type
			if to.Kind() == reflect.Struct && to.NumField() == 0 {
				to = nil
			}
			return to, f.Tag.Get("secret"), true
		}
	}
	return nil, "", false
}

func hasKeys(typ reflect.Type) bool {
	for i := range typ.NumField() {
		if _, ok := typ.Field(i).Tag.Lookup("key"); ok {
			return true
		}
	}
	return false
}

// scalar returns a redacted scalar.
func scalar(n *yaml.Node, typ reflect.Type, secret string) *yaml.Node {
	plain := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.Tag, Value: content.Redact(n.Value), Style: n.Style &^ yaml.TaggedStyle}
	switch {
	case onlyReference.MatchString(n.Value):
		return plain
	case secret == secretAll && n.Tag != "!!null":
		return text(removed)
	case secret == secretURL || secret == secretHost:
		return text(content.Redact(addressOnly(n.Value, secret)))
	case n.Tag == "!!str" && typ != nil && typ.Kind() == reflect.Struct && hasKeys(typ):
		return text(removed) // a text in place of a section
	}
	return plain
}

// addressOnly returns an address without what may be secret.
func addressOnly(address, secret string) string {
	u, err := url.Parse(reference.ReplaceAllString(address, "variable")) // ${...} is no part of an address
	if err != nil || u.Host == "" || u.Opaque != "" {
		return removed
	}
	kept := url.URL{Scheme: u.Scheme, Host: u.Host}
	if secret == secretURL {
		kept.Path = u.Path
	}
	out := kept.String()
	if secret == secretHost && strings.Trim(u.Path, "/") != "" {
		out += "/" + removed
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		out += " " + removed
	}
	return out
}

// Secrets returns the secrets of a configuration, as they may occur in other texts, the longest first.
func Secrets(c *Config) (out []string) {
	add := func(s string) {
		if len(s) >= leastSecret {
			out = append(out, s)
		}
	}
	var walk func(v reflect.Value, secret string)
	walk = func(v reflect.Value, secret string) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem(), secret)
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i), secret)
			}
		case reflect.Map:
			for it := v.MapRange(); it.Next(); {
				walk(it.Value(), secret)
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() {
					walk(v.Field(i), f.Tag.Get("secret"))
				}
			}
		case reflect.String:
			secretParts(v.String(), secret, add)
		}
	}
	walk(reflect.ValueOf(c), "")
	slices.SortFunc(out, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}

// secretParts passes the secret parts of a value to add.
func secretParts(value, secret string, add func(string)) {
	switch secret {
	case secretAll:
		add(value)
		add(strings.TrimPrefix(value, "whsec_"))
		add(url.QueryEscape(value))
	case secretURL, secretHost:
		u, err := url.Parse(value)
		if err != nil {
			add(value)
			return
		}
		if u.User != nil {
			password, _ := u.User.Password()
			add(password)
			_, escaped, _ := strings.Cut(u.User.String(), ":")
			add(escaped)
		}
		for _, values := range u.Query() {
			for _, v := range values {
				if secret == secretHost || len(v) > 2*leastSecret { // settings of a DSN are short
					add(v)
				}
			}
		}
		if secret == secretHost {
			add(u.RequestURI())
			add(u.Path)
		}
	}
}

// WithoutSecrets returns a text in which the secrets of Secrets and credentials of known forms are replaced.
func WithoutSecrets(b []byte, secrets []string) []byte {
	for _, s := range secrets {
		b = bytes.ReplaceAll(b, []byte(s), []byte(removed))
	}
	return []byte(content.Redact(string(b)))
}
