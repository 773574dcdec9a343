package sigma_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/aidr-engine/aidr/cmd/aidr/maps"
	"github.com/aidr-engine/aidr/rules"
	"github.com/aidr-engine/aidr/rules/sigma"
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/decode"
)

var seed = flag.Uint64("seed", 1, "seed of the generated rules and records")

// product is a log of the generated rules: its fields, with the paths of the record, and a record to begin with.
type product struct {
	logsource string
	format    string
	base      string
	fields    []genField
	keywords  []string
}

type genField struct {
	name  string
	path  string // in the record; "" is the name
	kind  string // text, number, bool, address or list, of mappings
	plain bool   // the field is one of the normalised event, which is never empty
}

func (p *product) paths(field string) []string {
	for _, f := range p.fields {
		if f.name == field && f.path != "" {
			return []string{f.path}
		}
	}
	return []string{field}
}

var products = []product{
	{
		logsource: "{product: aws, service: cloudtrail}", format: "aws_cloudtrail",
		base: `{"eventVersion":"1.08","eventTime":"2026-01-01T10:05:00Z","eventID":"e1","userIdentity":{"type":"IAMUser","arn":"arn:aws:iam::1:user/a"}}`,
		fields: []genField{
			{name: "eventSource", kind: "text", plain: true}, {name: "eventName", kind: "text"}, {name: "errorCode", kind: "text", plain: true},
			{name: "userAgent", kind: "text", plain: true}, {name: "awsRegion", kind: "text", plain: true}, {name: "sourceIPAddress", kind: "address"},
			{name: "requestParameters.policyDocument", kind: "text"}, {name: "requestParameters.maxResults", kind: "number"},
			{name: "requestParameters.publiclyAccessible", kind: "bool"}, {name: "userIdentity.userName", kind: "text"},
			{name: "requestParameters.containerDefinitions.command", kind: "list"}, {name: "responseElements.namespace", kind: "text"},
		},
		keywords: []string{"eventSource", "eventName", "userIdentity", "userAgent", "sourceIPAddress", "errorCode", "errorMessage", "requestParameters",
			"responseElements", "additionalEventData", "serviceEventDetails", "resources", "eventType", "awsRegion"},
	},
	{
		logsource: "{product: okta, service: okta}", format: "okta_system",
		base: `{"uuid":"u1","published":"2026-01-01T10:05:00Z","actor":{"id":"a","type":"User"},"outcome":{"result":"SUCCESS"}}`,
		fields: []genField{
			{name: "eventType", kind: "text", plain: true}, {name: "displayMessage", kind: "text"}, {name: "outcome.reason", kind: "text"},
			{name: "target.displayName", kind: "list"}, {name: "securityContext.isProxy", kind: "bool"}, {name: "client.ipAddress", kind: "address"},
			{name: "debugContext.debugData.requestUri", kind: "text"}, {name: "securityContext.asNumber", kind: "number"},
		},
		keywords: []string{"eventType", "displayMessage", "legacyEventType", "actor", "client", "target", "outcome", "debugContext", "authenticationContext",
			"securityContext", "request", "transaction"},
	},
	{
		logsource: "{product: github, service: audit}", format: "github_audit",
		base: `{"_document_id":"d","@timestamp":1767261900000,"actor":"octo"}`,
		fields: []genField{
			{name: "action", kind: "text", plain: true}, {name: "repo", kind: "text"}, {name: "visibility", kind: "text"}, {name: "org_id", kind: "number"},
			{name: "public_repo", kind: "bool"}, {name: "data.old_name", kind: "text"},
		},
		keywords: []string{"action", "actor", "org", "repo", "user", "team", "data", "name", "event", "visibility", "permission", "user_agent", "business", "config"},
	},
	{
		logsource: "{category: application, product: kubernetes, service: audit}", format: "kubernetes_audit",
		base: `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"k","stage":"ResponseComplete","requestReceivedTimestamp":"2026-01-01T10:05:00Z"}`,
		fields: []genField{
			{name: "verb", kind: "text"}, {name: "objectRef.resource", kind: "text"}, {name: "objectRef.namespace", kind: "text"},
			{name: "apiGroup", path: "objectRef.apiGroup", kind: "text"}, {name: "responseStatus.code", kind: "number"},
			{name: "requestObject.spec.hostNetwork", kind: "bool"}, {name: "requestObject.spec.containers.image", kind: "list"}, {name: "userAgent", kind: "text"},
		},
		keywords: []string{"verb", "requestURI", "user", "impersonatedUser", "sourceIPs", "userAgent", "objectRef", "responseStatus", "requestObject",
			"responseObject", "annotations"},
	},
	{
		logsource: "{product: gcp, service: gcp.audit}", format: "gcp_audit",
		base: `{"insertId":"i","logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","timestamp":"2026-01-01T10:05:00Z","resource":{"type":"x"},"protoPayload":{"@type":"type.googleapis.com/google.cloud.audit.AuditLog"}}`,
		fields: []genField{
			{name: "gcp.audit.method_name", path: "protoPayload.methodName", kind: "text", plain: true},
			{name: "data.protoPayload.serviceName", path: "protoPayload.serviceName", kind: "text", plain: true},
			{name: "data.protoPayload.resourceName", path: "protoPayload.resourceName", kind: "text"},
			{name: "protoPayload.authorizationInfo.permission", kind: "list"}, {name: "protoPayload.request.disabled", kind: "bool"},
			{name: "protoPayload.request.size", kind: "number"}, {name: "protoPayload.requestMetadata.callerIp", kind: "address"},
		},
		keywords: []string{"protoPayload.methodName", "protoPayload.serviceName", "protoPayload.resourceName", "protoPayload.authenticationInfo",
			"protoPayload.authorizationInfo", "protoPayload.request", "protoPayload.response", "protoPayload.requestMetadata", "protoPayload.serviceData",
			"protoPayload.metadata", "protoPayload.status", "resource", "logName", "labels"},
	},
	{
		logsource: "{product: m365, service: audit}", format: "m365_audit",
		base: `{"CreationTime":"2026-01-01T10:05:00","Id":"m","RecordType":2,"UserId":"u@x.org"}`,
		fields: []genField{
			{name: "Operation", kind: "text", plain: true}, {name: "Workload", kind: "text", plain: true}, {name: "ObjectId", kind: "text"},
			{name: "ResultCode", kind: "number"}, {name: "ExternalAccess", kind: "bool"}, {name: "Parameters.Value", kind: "list"},
		},
		keywords: []string{"Operation", "Workload", "ObjectId", "UserId", "Parameters", "ExtendedProperties", "ModifiedProperties", "OperationProperties",
			"AppAccessContext", "ClientIP", "UserAgent", "Item", "Folder", "AffectedItems", "ResultStatus", "Target", "Actor", "SourceFileName"},
	},
	{
		logsource: "{product: azure, service: activitylogs}", format: "azure_diagnostics",
		base: `{"time":"2026-01-01T10:05:00Z","category":"Administrative","resourceId":"/SUBSCRIPTIONS/S/X","tenantId":"t","resultType":"Success"}`,
		fields: []genField{
			{name: "operationName", kind: "text", plain: true}, {name: "properties.statusCode", kind: "text"}, {name: "properties.count", kind: "number"},
			{name: "properties.isComplianceCheck", kind: "bool"}, {name: "properties.eventCategory", kind: "text"},
		},
		keywords: []string{"operationName", "resourceId", "category", "properties", "identity", "resultType", "resultDescription"},
	},
	{
		logsource: "{category: webserver}", format: "nginx_json",
		base: `{"time_iso8601":"2026-01-01T10:05:00Z","remote_addr":"203.0.113.9","request_time":0.1,"body_bytes_sent":7}`,
		fields: []genField{
			{name: "cs-method", path: "request_method", kind: "text", plain: true}, {name: "sc-status", path: "status", kind: "status", plain: true},
			{name: "cs-user-agent", path: "http_user_agent", kind: "text", plain: true}, {name: "cs-uri-query", path: "request_uri", kind: "target", plain: true},
			{name: "c-uri", path: "request_uri", kind: "target", plain: true}, {name: "cs-referer", path: "http_referer", kind: "text"},
		},
		keywords: []string{"http_user_agent", "http_referer", "request_uri"},
	},
}

// words are the parts of the texts of rules and records: few, so that rules match now and then.
var words = []string{"Create", "delete", "User", "admin", "Key", "-enc", "/tmp", "a*b", "what?", `C:\x`, "iam.amazonaws.com", "curl", "été", "\u2013p", "x-y", " ", "7", "true", "(a|b)", `"q"`}

// generator makes rules and records from a seed.
type generator struct {
	*rand.Rand
	p *product
}

func (g *generator) text() string {
	n := 1 + g.IntN(3)
	var b strings.Builder
	for range n {
		b.WriteString(words[g.IntN(len(words))])
	}
	return b.String()
}

// value returns a value of a record's field, or nil for none.
func (g *generator) value(f genField) any {
	if g.IntN(5) == 0 {
		return nil
	}
	switch f.kind {
	case "number":
		return float64([]int{0, 7, 42, 443, -3, 1000000}[g.IntN(6)]) + []float64{0, 0, 0.5}[g.IntN(3)]
	case "status":
		return float64([]int{200, 404, 500}[g.IntN(3)])
	case "bool":
		return g.IntN(2) == 0
	case "address":
		return []string{"10.1.2.3", "203.0.113.9", "2001:db8::1", "iam.amazonaws.com"}[g.IntN(4)]
	case "target":
		return "/" + strings.NewReplacer(" ", "+", "?", "", "*", "", `"`, "", `\`, "", "é", "e", "\u2013", "-").Replace(g.text()) + []string{"", "?q=" + "admin", "?Key=7&User=true"}[g.IntN(3)]
	}
	if !f.plain && g.IntN(8) == 0 {
		return ""
	}
	if !f.plain && g.IntN(8) == 0 {
		return []any{7.0, true, []any{"User", "admin"}, map[string]any{"k": "Create"}}[g.IntN(4)]
	}
	if g.IntN(6) == 0 {
		return encoded(g.text(), g.IntN(4))
	}
	return strings.TrimSpace(g.text()) + "."
}

// record returns a record of the product, as JSON and as a tree.
func (g *generator) record() (string, any) {
	root := parse(g.p.base).(map[string]any)
	for _, f := range g.p.fields {
		keys := strings.Split(g.p.paths(f.name)[0], ".")
		v := g.value(f)
		if v == nil {
			continue
		}
		if f.kind == "list" {
			last := keys[len(keys)-1]
			keys = keys[:len(keys)-1]
			var items []any
			for range g.IntN(3) {
				items = append(items, map[string]any{last: g.value(genField{kind: "text"}), "other": 1.0})
			}
			v = items
		}
		m := root
		for _, k := range keys[:len(keys)-1] {
			next, ok := m[k].(map[string]any)
			if !ok {
				next = map[string]any{}
				m[k] = next
			}
			m = next
		}
		m[keys[len(keys)-1]] = v
	}
	for _, f := range g.p.fields { // a format is detected by these keys
		if f.plain && f.path == "" && root[f.name] == nil && !strings.Contains(f.name, ".") {
			delete(root, f.name)
		}
	}
	return encode(root), root
}

// ruleText is a text as a value of a rule: part of a text as records have it, with wildcards.
func (g *generator) ruleText() string {
	t := g.text()
	switch g.IntN(6) {
	case 0:
		t = strings.ToUpper(t)
	case 1:
		t = strings.ReplaceAll(strings.ReplaceAll(t, `\`, `\\`), "*", `\*`)
	case 2:
		t = words[g.IntN(len(words))]
	case 3:
		if r := []rune(t); len(r) > 2 {
			i := 1 + g.IntN(len(r)-2)
			t = string(r[:i]) + []string{"*", "?", `\?`, `\\*`}[g.IntN(4)] + string(r[i+1:])
		}
	case 4:
		t += "*"
	}
	return t
}

// item returns one key of a selection with its values, in YAML.
func (g *generator) item() string {
	f := g.p.fields[g.IntN(len(g.p.fields))]
	mods, values := "", []string{}
	n := []int{1, 1, 2, 4}[g.IntN(4)]
	texts := func(make func() string) {
		for range n {
			values = append(values, make())
		}
	}
	quoted := func() string { return single(g.ruleText()) }
	switch kind := g.IntN(17); {
	case f.kind == "number" && kind < 8:
		mods = []string{"", "|lt", "|lte", "|gt", "|gte", "|neq"}[g.IntN(6)]
		texts(func() string { return []string{"0", "7", "42.5", "443", "-3", "1000000"}[g.IntN(6)] })
	case f.kind == "status":
		mods = []string{"", "|gte", "|lt", "|startswith", "|contains"}[g.IntN(5)]
		texts(func() string { return []string{"200", "404", "'500'", "4"}[g.IntN(4)] })
		if mods == "" {
			values = append(values, "'40*'")
		}
	case f.kind == "bool" && kind < 8:
		values = []string{[]string{"true", "false", "'True'", "null"}[g.IntN(4)]}
	case f.kind == "address" && kind < 10:
		mods = "|cidr"
		texts(func() string { return []string{"10.0.0.0/8", "203.0.113.77/24", "'2001:db8::/32'"}[g.IntN(3)] })
	case kind == 0:
		mods = "|exists"
		values = []string{[]string{"true", "false"}[g.IntN(2)]}
	case kind == 1 && !f.plain:
		values = []string{"''", "null"}[g.IntN(2):]
	case kind == 2:
		mods = "|re" + []string{"", "|i", "|m", "|s", "|i|s"}[g.IntN(5)]
		texts(func() string {
			return single([]string{"^create", "user.*$", "(admin|key)", `\w+\.`, "a{1,3}", "^x?", "U[a-z]+r", ".*"}[g.IntN(8)])
		})
	case kind == 3:
		mods = "|fieldref" + []string{"", "|cased", "|startswith", "|contains", "|endswith"}[g.IntN(5)]
		o := g.p.fields[g.IntN(len(g.p.fields))]
		if f.kind == "list" || o.kind == "list" || f.kind == "target" || o.kind == "target" || f.kind == "status" || o.kind == "status" {
			mods, o.name = "|contains", "admin"
		}
		values = []string{single(o.name)}
	case kind == 4:
		mods = []string{"|base64", "|base64|contains", "|base64offset|contains", "|wide|base64offset|contains", "|utf16be|base64|endswith", "|utf16le|base64offset|contains"}[g.IntN(6)]
		texts(func() string { return single([]string{"Create", "admin", "User", "curl", "delete"}[g.IntN(5)]) })
	case kind == 5:
		mods = []string{"|windash|contains", "|contains|windash"}[g.IntN(2)]
		texts(func() string { return single([]string{"-enc", "/tmp", "x-y", "-p"}[g.IntN(4)]) })
	case kind == 6:
		mods, n = []string{"|contains|all", "|all|contains", "|startswith|all", "|all", "|cased|contains|all"}[g.IntN(5)], 2
		texts(quoted)
	case kind == 7:
		mods = []string{"|cased", "|contains|cased", "|cased|startswith", "|endswith|cased"}[g.IntN(4)]
		texts(quoted)
	case kind == 8:
		mods = []string{"|neq", "|contains|neq"}[g.IntN(2)]
		texts(quoted)
	case kind < 13:
		mods = []string{"|contains", "|startswith", "|endswith"}[g.IntN(3)]
		texts(quoted)
	default:
		texts(quoted)
		if g.IntN(4) == 0 && !f.plain {
			values = append(values, []string{"null", "''", "7", "true"}[g.IntN(4)])
		}
	}
	if strings.HasPrefix(f.kind, "target") && f.name == "cs-uri-query" && !strings.Contains(mods, "contains") && mods != "|exists" {
		mods = "|contains"
		values = []string{"'admin'", "'Key=*7'"}
	}
	if len(values) == 1 && !strings.Contains(mods, "all") {
		return single(f.name+mods) + ": " + values[0]
	}
	return single(f.name+mods) + ": [" + strings.Join(values, ", ") + "]"
}

func single(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// rule returns a rule.
func (g *generator) rule(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "title: Generated rule %d\nlogsource: %s\ndetection:\n", n, g.p.logsource)
	mapping := func(indent string, dash bool) {
		seen := map[string]bool{}
		for i := range 1 + g.IntN(3) {
			it := g.item()
			key, _, _ := strings.Cut(it, "': ")
			if seen[key] {
				continue
			}
			seen[key] = true
			lead := indent
			if dash && i == 0 {
				lead = indent[2:] + "- "
			}
			b.WriteString(lead + it + "\n")
		}
	}
	names := []string{"selection_a", "selection_b", "filter_main", "_hidden"}
	for _, name := range names {
		fmt.Fprintf(&b, "    %s:\n", name)
		switch g.IntN(6) {
		case 0:
			for range 2 {
				mapping("            ", true)
			}
		case 1:
			fmt.Fprintf(&b, "        - %s\n        - %s\n", single(words[g.IntN(8)]), single(words[g.IntN(len(words))]+"*"+words[g.IntN(8)]))
		case 2:
			fmt.Fprintf(&b, "        '|all':\n            - %s\n            - %s\n", single(words[g.IntN(5)]), single(words[g.IntN(len(words))]))
		default:
			mapping("        ", false)
		}
	}
	conditions := []string{
		"selection_a", "selection_a and not filter_main", "1 of selection_* and not 1 of filter*", "all of selection_*", "1 of them", "all of them",
		"(selection_a or _hidden) and not (filter_main and selection_b)", "not selection_a and not filter_main", "any of sel* or not _hidden",
		"not (selection_a or (selection_b and not not filter_main))",
	}
	if g.IntN(8) == 0 {
		fmt.Fprintf(&b, "    condition:\n        - %s\n        - %s\n", conditions[g.IntN(len(conditions))], conditions[g.IntN(len(conditions))])
	} else {
		fmt.Fprintf(&b, "    condition: %s\n", conditions[g.IntN(len(conditions))])
	}
	return b.String()
}

// TestImportAgreesWithReference translates generated rules of every product and modifier, and compares their verdicts on
// generated records, which go through the decoder, with those of the reference.
func TestImportAgreesWithReference(t *testing.T) {
	mapped, _ := maps.Load()
	shipped := mapped.Maps()
	const perProduct, records = 40, 150
	rulesRun, positive, refused := 0, 0, 0
	for i := range products {
		p := &products[i]
		g := &generator{rand.New(rand.NewPCG(*seed, uint64(i))), p}
		var texts []string
		var files []sigma.Source
		for n := range perProduct {
			text := g.rule(n)
			texts = append(texts, text)
			files = append(files, sigma.Source{Name: fmt.Sprintf("%d.yml", n), Text: []byte(text)})
		}
		got := sigma.Import(files)
		set, ids := load(t, got, decode.Families(shipped...))
		for _, r := range got.Refused {
			refused++
			for _, problem := range r.Problems {
				if !strings.Contains(problem.Cause, "may cost") {
					t.Errorf("refused: %s\n%s", problem, texts[number(r.From)])
				}
			}
		}
		var refs []*reference
		for _, f := range got.Files {
			ref, err := newReference(texts[number(f.From)], p.paths, p.keywords)
			if err != nil {
				t.Fatal(err)
			}
			refs = append(refs, ref)
		}
		hit := make([]int, len(refs))
		for range records {
			line, tree := g.record()
			matched := verdicts(t, set, p.format, line, shipped)
			for n, f := range got.Files {
				want := refs[n].matches(tree)
				if want {
					hit[n]++
				}
				if matched[ids[f.ID]] != want {
					t.Fatalf("seed %d: the rule\n%s\ntranslated to\n%s\nmatches: %v, want %v, the record\n%s", *seed, texts[number(f.From)], f.Text, !want, want, line)
				}
			}
		}
		for _, h := range hit {
			rulesRun++
			if h > 0 && h < records {
				positive++
			}
		}
	}
	t.Logf("%d rules on %d records each: %d match some and not others", rulesRun, records, positive)
	if rulesRun < 200 || positive < rulesRun/2 || refused > rulesRun/50 {
		t.Errorf("%d rules, %d of them with both verdicts, %d refused as too dear: want 200, half of them, a few at most", rulesRun, positive, refused)
	}
}

func number(from string) (n int) {
	fmt.Sscanf(from, "%d.yml", &n)
	return n
}

// load loads translated rules and returns their numbers by id.
func load(t *testing.T, r *sigma.Result, families map[string][]string) (*rules.Set, map[string]int) {
	t.Helper()
	dir := t.TempDir()
	writeAll(t, dir, r.Files)
	set, problems := rules.Load(rules.Options{Drafts: true, Families: families}, dir)
	if set == nil {
		t.Fatal(problems)
	}
	ids := map[string]int{}
	for n, rule := range set.Rules {
		ids[rule.ID] = n
	}
	return set, ids
}

// verdicts returns which rules match the record.
func verdicts(t *testing.T, set *rules.Set, format, line string, shipped []*decode.Map) map[int]bool {
	t.Helper()
	d, err := decode.New(decode.Options{Format: format, Wanted: set.Wanted(), Maps: shipped})
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]bool{}
	events := 0
	sc := set.NewScratch()
	h := decode.Handler{
		Event: func(e *schema.Event) {
			events++
			for _, hit := range set.Match(e, sc, nil) {
				out[hit.Rule] = true
			}
		},
		Dead: func(x decode.Dead) { t.Fatalf("the record is a dead letter (%s):\n%s", x.Reason, line) },
	}
	d.Decode(line, decode.Meta{}, &h)
	if events != 1 {
		t.Fatalf("the record has %d events:\n%s", events, line)
	}
	return out
}
