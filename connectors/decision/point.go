package decision

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/aidr-engine/aidr/schema"
)

// Point is an enforcement point: one gateway that asks, and how its requests name the principal of a call.
type Point struct {
	Name string
	// Token authenticates the point; "" if a client certificate does.
	Token  string
	Tenant string // of all its questions; "" means that a question names it

	// Agent is the attested origin of the agent's uid for the interfaces that see a whole request: "header:NAME",
	// "claim:NAME" of a token that Envoy has verified, or "peer", the identity in the caller's certificate; "" if only the
	// credential identifies an agent.
	Agent string
	// The headers that hold the other parts of a question, each "" or a name. That of the credential is hashed; a scheme such as
	// Bearer is left out.
	Credential, Session, Tool, Server string
	// Unknown is the answer if the table may lack containments: schema.VerdictAllow, the default, or schema.VerdictDeny.
	Unknown schema.Verdict

	token    [sha256.Size]byte
	answered map[schema.Verdict]prometheus.Counter // by verdict
}

// The origins of an agent's uid.
const (
	fromHeader = "header:"
	fromClaim  = "claim:"
	fromPeer   = "peer"
)

// pointForm is the form of the names of points, which go into metrics and receipts.
var pointForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// minToken is the length of the shortest token in bytes: 128 bits in base64.
const minToken = 22

// check completes the point and returns what is wrong with it. Errors do not quote the token.
func (p *Point) check() error {
	if !pointForm.MatchString(p.Name) {
		return fmt.Errorf("point %q: want a name of lower-case letters, digits, '.', '_' and '-'", p.Name)
	}
	var wrong []error
	if p.Token != "" && len(p.Token) < minToken {
		wrong = append(wrong, fmt.Errorf("token: shorter than %d bytes: make one with `aidr webhook secret` or openssl rand -base64 32", minToken))
	}
	name, isHeader := strings.CutPrefix(p.Agent, fromHeader)
	claim, isClaim := strings.CutPrefix(p.Agent, fromClaim)
	switch {
	case p.Agent == "", p.Agent == fromPeer, isHeader && headerForm.MatchString(name), isClaim && claim != "":
	default:
		wrong = append(wrong, fmt.Errorf("agent: %q is not header:NAME, claim:NAME or peer", p.Agent))
	}
	for _, h := range []string{p.Credential, p.Session, p.Tool, p.Server} {
		if h != "" && !headerForm.MatchString(h) {
			wrong = append(wrong, fmt.Errorf("%q is not the name of a header", h))
		}
	}
	switch p.Unknown {
	case "":
		p.Unknown = schema.VerdictAllow
	case schema.VerdictAllow, schema.VerdictDeny:
	default:
		wrong = append(wrong, fmt.Errorf("unknown: %q is not allow or deny", p.Unknown))
	}
	p.token = sha256.Sum256([]byte(p.Token))
	if err := errors.Join(wrong...); err != nil {
		return fmt.Errorf("point %s: %w", p.Name, err)
	}
	return nil
}

var headerForm = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// pointOf returns the point that a request from an address comes from, or nil. It compares all tokens, in a time that does not depend on
// them.
func (s *Server) pointOf(token string, names []string, address string) (found *Point) {
	hash := sha256.Sum256([]byte(token))
	for i := range s.points {
		p := &s.points[i]
		switch {
		case p.Token != "" && subtle.ConstantTimeCompare(hash[:], p.token[:]) == 1:
			found = p
		case p.Token == "" && found == nil && slices.Contains(names, p.Name):
			found = p
		}
	}
	if found == nil && token == "" && len(names) == 0 && s.open != nil && isLoopback(address) {
		return s.open
	}
	return found
}

// tokenOf returns the token that a request carries.
func tokenOf(h http.Header) string {
	if t, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer "); ok {
		return t
	}
	return h.Get("X-Api-Key")
}

// certificates returns the common names of the verified client certificates of a request.
func certificates(r *http.Request) (names []string) {
	if r.TLS == nil {
		return nil
	}
	for _, chain := range r.TLS.VerifiedChains {
		names = append(names, chain[0].Subject.CommonName)
	}
	return names
}

// isLoopback reports whether an address is of this machine.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || host == "localhost"
}
