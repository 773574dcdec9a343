package contain

import (
	"net/url"
	"path"
	"strings"
)

// route is a route of a target, as it is compared with the route of a question.
type route struct {
	method string // upper case; "": any
	path   string // without the final "*"
	prefix bool   // the route of the target ends with "*"
}

func parseRoute(text string) route {
	method, p := splitRoute(text)
	r := route{method: strings.ToUpper(method)}
	r.path, r.prefix = strings.CutSuffix(p, "*")
	if !r.prefix {
		r.path = cleanPath(r.path)
	}
	return r
}

// splitRoute splits a route into its method, which may be absent, and its path.
func splitRoute(text string) (method, p string) {
	if method, p, ok := strings.Cut(text, " "); ok && !strings.Contains(method, "/") {
		return method, strings.TrimLeft(p, " ")
	}
	return "", text
}

// matches reports whether a call to a route, as requested, is one of this route. Paths that a server would take for the same
// one are the same: those with an escaped letter, a doubled slash, a dot segment, a query or a final slash. A question without
// a method matches every method.
func (r *route) matches(asked string) bool {
	method, p := splitRoute(asked)
	if r.method != "" && method != "" && !strings.EqualFold(r.method, method) {
		return false
	}
	p = cleanPath(p)
	if r.prefix {
		return strings.HasPrefix(p, r.path) || p+"/" == r.path
	}
	return p == r.path
}

// cleanPath returns the usual form of a path. It allocates nothing if the path has it already.
func cleanPath(p string) string {
	if i := strings.IndexAny(p, "?#"); i >= 0 {
		p = p[:i]
	}
	if strings.Contains(p, "%") {
		if u, err := url.PathUnescape(p); err == nil {
			p = u
		}
	}
	if p == "" || p[0] != '/' {
		return p // a template or a name, not a path
	}
	return path.Clean(p)
}
