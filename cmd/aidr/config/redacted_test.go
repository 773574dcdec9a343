package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// everyKey returns a file with every key of the configuration. The value of each key that may hold a secret holds canary, the others
// hold "kept", and n counts the keys with a secret.
func everyKey(typ reflect.Type, secret, canary string, n *int) *yaml.Node {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case typ.Kind() == reflect.Struct && hasKeys(typ):
		m := &yaml.Node{Kind: yaml.MappingNode}
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag, ok := f.Tag.Lookup("key")
			key, _, _ := strings.Cut(tag, ",")
			switch {
			case !ok:
			case key == "[]":
				return everyKey(f.Type, f.Tag.Get("secret"), canary, n)
			default:
				m.Content = append(m.Content, text(key), everyKey(f.Type, f.Tag.Get("secret"), canary, n))
			}
		}
		return m
	case typ.Kind() == reflect.Slice:
		item := everyKey(typ.Elem(), secret, canary, n)
		return &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{item, item}}
	case typ.Kind() == reflect.Map:
		return &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text("name"), everyKey(typ.Elem(), secret, canary, n)}}
	}
	if secret != "" {
		*n++
	}
	switch secret {
	case secretAll:
		return text(canary)
	case secretURL:
		return text("https://user:" + canary + "@kept.example.com:9000/path?password=" + canary)
	case secretHost:
		return text("https://user:" + canary + "@kept.example.com/" + canary + "/x?token=" + canary)
	}
	return text("kept")
}

// TestRedactedHasNoSecret redacts a file with every key, and files in which secrets are at wrong places.
func TestRedactedHasNoSecret(t *testing.T) {
	const canary = "tell-nobody-4711"
	n := 0
	src, err := yaml.Marshal(everyKey(reflect.TypeFor[Config](), "", canary, &n))
	if err != nil {
		t.Fatal(err)
	}
	if n < 20 || strings.Count(string(src), canary) < n {
		t.Fatalf("only %d keys with a secret in\n%s", n, src)
	}
	redacted := func(src string) string {
		t.Helper()
		out, err := Redacted([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), canary) {
			t.Errorf("a secret is left in\n%s", out)
		}
		return string(out)
	}
	out := redacted(string(src))
	for _, kept := range []string{"brokers:", "- kept", "https://kept.example.com:9000/path", "https://kept.example.com/"} {
		if !strings.Contains(out, kept) {
			t.Errorf("%q is missing in\n%s", kept, out)
		}
	}
	for _, src := range []string{
		"# tell-nobody-4711\nsources: [] # tell-nobody-4711\n",
		"passwrod: tell-nobody-4711\nsinks: {clickhouse: {dns: [tell-nobody-4711]}}\n",
		"sinks: tell-nobody-4711\nconsole: [tell-nobody-4711]\n",
		"sinks: {webhooks: {secret: tell-nobody-4711, secrets: {a: [tell-nobody-4711]}, headers: [tell-nobody-4711]}}\n",
		"sinks: {webhooks: [{token: &a tell-nobody-4711}, {secret: *a, url: *a}]}\n",
		"decisions: {points: [{token: !!binary tell-nobody-4711}]}\n",
		"control:\n  slack:\n    secret: |\n      tell-nobody-4711\n      b\n",
		"sinks: {clickhouse: {dsn: 'clickhouse://u:tell-nobody-4711@ h:9000'}}\n",
	} {
		redacted(src)
	}
	if out := redacted("sinks: {clickhouse: {dsn: \"${DSN}\"}, webhooks: [{secret: \"${file:/run/s}\", token: \"a${B}\"}]}"); !strings.Contains(out, "${DSN}") ||
		!strings.Contains(out, "${file:/run/s}") || strings.Contains(out, "a${B}") {
		t.Errorf("references: got\n%s", out)
	}
	if _, err := Redacted([]byte("a: [tell-nobody-4711")); err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("no YAML: got %v", err)
	}
	bomb := "a0: &a0 [x, x]\n"
	for i := range 30 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d]\n", i+1, i+1, i, i)
	}
	if _, err := Redacted([]byte("redact: {" + strings.ReplaceAll(strings.TrimSpace(bomb), "\n", ", ") + "}")); err == nil {
		t.Error("aliases multiply without end")
	}
}

// secretName matches the names of keys that may hold a secret.
var secretName = regexp.MustCompile(`secret|password|token|key|dsn|url|headers|extensions|template|credential|base|callbacks|runbook`)

// noSecrets are the keys with such a name that hold none.
var noSecrets = map[string]string{
	"sources[].kafka.tls.key": "a file", "sources[].kafka.registry.tls.key": "a file", "sinks.webhooks[].tls.key": "a file",
	"sinks.kafka.tls.key": "a file", "decisions.tls.key": "a file", "control.tls.key": "a file", "console.tls.key": "a file", "http.tls.key": "a file", "telemetry.tls.key": "a file",
	"decisions.points[].credential": "the name of a header",
}

// TestSecretKeysAreTagged checks that a new key with the name of a secret is tagged or named as harmless.
func TestSecretKeysAreTagged(t *testing.T) {
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			if typ.Kind() == reflect.Slice {
				path += "[]"
			}
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			tag, ok := f.Tag.Lookup("key")
			key, _, _ := strings.Cut(tag, ",")
			if !ok {
				continue
			}
			at := strings.TrimPrefix(path+"."+key, ".")
			if f.Type.PkgPath() == typ.PkgPath() || f.Type.Kind() != reflect.Struct {
				walk(f.Type, at)
			}
			isText := f.Type.Kind() == reflect.String || f.Type == reflect.TypeFor[[]string]() || f.Type.Kind() == reflect.Map || f.Type == reflect.TypeFor[struct{}]()
			if isText && secretName.MatchString(key) && f.Tag.Get("secret") == "" && noSecrets[at] == "" {
				t.Errorf("%s may hold a secret: give it the tag secret, or name it in noSecrets", at)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

// TestSecretsOf checks that secrets are found as they occur in other texts.
func TestSecretsOf(t *testing.T) {
	c := &Config{
		Sinks: Sinks{
			ClickHouse: &ClickHouse{DSN: "clickhouse://user:p%40ss-word@h:9000/aidr?secure=true"},
			Webhooks:   []Webhook{{URL: "https://hooks.example.com/services/T0/B0/abcdef?key=ghijkl", Secrets: []string{"whsec_bW5vcHFy"}, Headers: map[string]string{"Authorization": "Bearer stuvwx"}}},
		},
		Sources: []Source{{Kafka: &Kafka{SASL: &SASL{Password: "yz01234"}}}},
	}
	in := "p%40ss-word p@ss-word /services/T0/B0/abcdef ghijkl bW5vcHFy Bearer stuvwx yz01234 true aidr hooks.example.com"
	out := string(WithoutSecrets([]byte(in), Secrets(c)))
	for _, s := range []string{"p%40", "p@ss", "abcdef", "ghijkl", "bW5vcHFy", "stuvwx", "yz01234"} {
		if strings.Contains(out, s) {
			t.Errorf("%q is left in %s", s, out)
		}
	}
	if !strings.HasSuffix(out, "true aidr hooks.example.com") {
		t.Errorf("what is no secret is gone: %s", out)
	}
}
