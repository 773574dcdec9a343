package decision

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/aidr-engine/aidr/schema"
)

// maxQuestion is the largest body of a question in bytes; the largest part of it are the arguments of a call.
const maxQuestion = 1 << 20

// asked is a question as a gateway sends it.
type asked struct {
	schema.Question
	// Secret is the credential itself, for gateways that cannot hash. It is hashed at once.
	Secret string `json:"credential_secret"`
	// Arguments are the arguments of the call, to which an approval is bound. They are hashed at once.
	Arguments json.RawMessage `json:"arguments"`
}

// bodies are buffers for the bodies of questions and answers.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxKept is the size in bytes up to which a buffer is kept for other requests.
const maxKept = 64 << 10

// keep returns a buffer to bodies.
func keep(b *bytes.Buffer) {
	if b.Cap() <= maxKept {
		b.Reset()
		bodies.Put(b)
	}
}

// readQuestion reads a question from the body or, for a GET, from the query of a request.
func readQuestion(r *http.Request) (q schema.Question, err error) {
	if r.Method == http.MethodGet {
		return queryQuestion(r.URL.Query())
	}
	b := bodies.Get().(*bytes.Buffer)
	defer keep(b)
	_, err = b.ReadFrom(io.LimitReader(r.Body, maxQuestion+1))
	switch {
	case err != nil:
		return q, errors.New("the body cannot be read")
	case b.Len() > maxQuestion:
		return q, fmt.Errorf("the body has more than %d bytes: send arguments_sha256 in place of arguments", maxQuestion)
	case b.Len() <= maxFlat && readFlat(b.String(), &q):
		return q, nil
	}
	return decodeQuestion(b.Bytes())
}

// decodeQuestion reads a question of any shape.
func decodeQuestion(body []byte) (schema.Question, error) {
	var a asked
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return schema.Question{}, fmt.Errorf("the body is not a question: %w", err)
	}
	if d.More() {
		return schema.Question{}, errors.New("the body holds more than one question")
	}
	q := a.Question
	if a.Secret != "" {
		q.Credential = schema.CredentialHash(a.Secret)
	}
	if len(a.Arguments) > 0 {
		q.Arguments = hashArguments(a.Arguments)
	}
	return q, nil
}

// hashArguments returns the hex SHA-256 of JSON without its white space.
func hashArguments(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) == nil {
		raw = b.Bytes()
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// queryQuestion reads a question from a query. Each key may occur once.
func queryQuestion(v url.Values) (q schema.Question, err error) {
	fields := map[string]*string{
		"tenant": &q.Tenant, "agent": &q.Agent, "session": &q.Session, "credential": &q.Credential, "tool": &q.Tool,
		"mcp_server": &q.Server, "route": &q.Route, "arguments_sha256": &q.Arguments,
	}
	for name, values := range v {
		field := fields[name]
		if field == nil {
			return q, fmt.Errorf("the query has %q, which is no part of a question", schema.Truncate(name, 64))
		}
		if len(values) != 1 {
			return q, fmt.Errorf("the query has %s more than once", name)
		}
		*field = values[0]
	}
	return q, nil
}

// seen is a request of an agent as a gateway shows it.
type seen struct {
	method, path string
	header       func(name string) string
	claim        func(name string) string
	peer         string
	body         []byte // of the agent's request, if the gateway passes it on; possibly its beginning only
}

// question returns the question about a request that a point has shown.
func (p *Point) question(s *seen) schema.Question {
	q := schema.Question{Tenant: p.Tenant, Session: s.header(p.Session), Tool: s.header(p.Tool), Server: s.header(p.Server)}
	switch name, isHeader := strings.CutPrefix(p.Agent, fromHeader); {
	case isHeader:
		q.Agent = s.header(name)
	case p.Agent == fromPeer:
		q.Agent = s.peer
	default:
		if name, ok := strings.CutPrefix(p.Agent, fromClaim); ok {
			q.Agent = s.claim(name)
		}
	}
	if secret := s.header(p.Credential); secret != "" {
		q.Credential = schema.CredentialHash(withoutScheme(secret))
	}
	q.Route = route(s.method, s.path)
	if tool, arguments, ok := toolCall(s.body); ok && q.Tool == "" {
		q.Tool, q.Arguments = tool, arguments
	}
	return q
}

// withoutScheme returns the credentials of an Authorization header, as decoding takes them from a record.
func withoutScheme(v string) string {
	for _, scheme := range []string{"Bearer ", "Token ", "ApiKey "} {
		if len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
			return strings.TrimSpace(v[len(scheme):])
		}
	}
	return v
}

// route returns method and path without the query, which holds no route and may hold secrets.
func route(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	if path == "" {
		return ""
	}
	return method + " " + path
}

// toolCall returns the tool and the hash of the arguments of a call in the Model Context Protocol.
func toolCall(body []byte) (tool, arguments string, ok bool) {
	if len(body) == 0 || len(body) > maxQuestion {
		return "", "", false
	}
	var call struct {
		Method string `json:"method"`
		Params struct {
			Name      string          `json:"name"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"params"`
	}
	if json.Unmarshal(body, &call) != nil || call.Method != "tools/call" || call.Params.Name == "" {
		return "", "", false
	}
	return call.Params.Name, hashArguments(call.Params.Arguments), true
}
