package decision

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/scan"
)

// maxFlat is the largest body in bytes that readFlat reads: a question without arguments is smaller. What it reads stays in memory
// as long as a text of it.
const maxFlat = 16 << 10

// readFlat reads a body of the usual shape: an object of the known keys whose values are texts without escapes. It reports
// whether the body has that shape; any other, also one that is no question, is left to encoding/json, which takes four times as
// long. The texts of the question are parts of body.
func readFlat(body string, q *schema.Question) (ok bool) {
	if len(body) > maxFlat {
		return false
	}
	root, err := scan.Valid(body)
	if err != nil || root.Kind != scan.Object {
		return false
	}
	var unescaped scan.Arena // of keys
	scan.Members(body, root, &unescaped, func(key string, v scan.Span) bool {
		ok = v.Kind == scan.String && !v.Escaped() && set(q, key, body[v.Start+1:v.End-1])
		return ok
	})
	return ok
}

// set sets the field of a question that has a name in JSON.
func set(q *schema.Question, name, value string) bool {
	switch name {
	case "agent":
		q.Agent = value
	case "session":
		q.Session = value
	case "credential":
		q.Credential = value
	case "tool":
		q.Tool = value
	case "route":
		q.Route = value
	case "mcp_server":
		q.Server = value
	case "tenant":
		q.Tenant = value
	case "arguments_sha256":
		q.Arguments = value
	default:
		return false
	}
	return true
}
