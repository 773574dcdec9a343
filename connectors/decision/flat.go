package decision

import (
	"strings"
	"unicode/utf8"

	"github.com/aidr-engine/aidr/schema"
)

// maxFlat is the largest body in bytes that readFlat reads: a question without arguments is smaller. What it reads stays in memory
// as long as a text of it.
const maxFlat = 16 << 10

// readFlat reads a body of the usual shape: an object of the known keys whose values are texts without escapes. It reports
// whether the body has that shape; any other, also one that is no question, is left to encoding/json, which takes four times as
// long. The texts of the question are parts of body.
func readFlat(body string, q *schema.Question) (ok bool) {
	if len(body) > maxFlat || !utf8.ValidString(body) {
		return false
	}
	s := flat{rest: body}
	if !s.skip('{') {
		return false
	}
	for {
		name, ok := s.text()
		if !ok || !s.skip(':') {
			return false
		}
		value, ok := s.text()
		if !ok || !set(q, name, value) {
			return false
		}
		if s.skip(',') {
			continue
		}
		return s.skip('}') && s.end()
	}
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

// flat is the unread rest of a body.
type flat struct{ rest string }

func (s *flat) space() {
	for s.rest != "" && strings.IndexByte(" \t\r\n", s.rest[0]) >= 0 {
		s.rest = s.rest[1:]
	}
}

// skip skips a character, and white space before it.
func (s *flat) skip(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// text reads a text without escapes and control characters.
func (s *flat) text() (string, bool) {
	if !s.skip('"') {
		return "", false
	}
	for i := range len(s.rest) {
		switch c := s.rest[i]; {
		case c == '"':
			text := s.rest[:i]
			s.rest = s.rest[i+1:]
			return text, true
		case c == '\\' || c < ' ':
			return "", false
		}
	}
	return "", false
}

func (s *flat) end() bool {
	s.space()
	return s.rest == ""
}
