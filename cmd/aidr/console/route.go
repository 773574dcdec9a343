package console

import (
	"compress/gzip"
	"net/http"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
)

// routes returns all routes of the console.
func (c *Console) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	read := access.Read
	return []route{
		{method: get, path: "/static/{file}", public: true, serve: (*request).asset},
		{method: get, path: "/open", public: true, serve: (*request).openLink},
		{method: get, path: "/login", public: true, serve: (*request).loginPage},
		{method: post, path: "/login", public: true, serve: (*request).loginToken},
		{method: post, path: "/logout", serve: (*request).logout},
		{method: post, path: "/settings", serve: (*request).saveSettings},
		{method: get, path: "/live", scope: read, stream: true, serve: (*request).live},
		{method: get, path: "/{$}", scope: read, serve: (*request).queue},
		{method: get, path: "/findings", scope: read, serve: (*request).findings},
		{method: get, path: "/findings/{id}", scope: read, serve: (*request).finding},
		{method: post, path: "/findings/{id}/triage", scope: access.Triage, serve: (*request).changeTriage},
		{method: get, path: "/agents", scope: read, serve: (*request).agents},
		{method: get, path: "/agents.csv", scope: read, serve: (*request).entitiesCSV},
		{method: get, path: "/agent", scope: read, serve: (*request).agent},
		{method: get, path: "/credentials", scope: read, serve: (*request).credentials},
		{method: get, path: "/credentials.csv", scope: read, serve: (*request).entitiesCSV},
		{method: get, path: "/tools", scope: read, serve: (*request).tools},
		{method: get, path: "/tools.csv", scope: read, serve: (*request).entitiesCSV},
		{method: get, path: "/contained", scope: read, serve: (*request).contained},
		{method: get, path: "/contain", scope: read, serve: (*request).containForm},
		{method: post, path: "/contain", scope: access.Contain, serve: (*request).contain},
		{method: get, path: "/responses", scope: read, serve: (*request).responses},
		{method: get, path: "/responses/{id}", scope: read, serve: (*request).response},
		{method: post, path: "/responses/{id}/release", scope: access.Contain, serve: (*request).release},
		{method: post, path: "/approvals/{id}", scope: access.Approve, serve: (*request).approve},
		{method: get, path: "/story", scope: read, serve: (*request).story},
		{method: get, path: "/pipeline", scope: read, serve: (*request).pipeline},
		{method: post, path: "/dead/{seq}/replay", scope: access.Admin, serve: (*request).replayDead},
		{method: post, path: "/findings/{id}/raw", scope: access.Triage, serve: (*request).raw},
		{method: get, path: "/quiet", scope: read, serve: (*request).quietForm},
		{method: post, path: "/quiet", scope: access.Triage, serve: (*request).makeQuiet},
		{method: get, path: "/try", scope: read, serve: (*request).tryForm},
		{method: post, path: "/try", scope: access.Rules, serve: (*request).tryRule},
		{method: get, path: "/flows", scope: read, serve: (*request).flows},
		{method: get, path: "/tail", scope: access.Triage, serve: (*request).tail},
		{method: get, path: "/coverage", scope: read, serve: (*request).coverage},
		{method: get, path: "/report", scope: read, serve: (*request).report},
		{method: get, path: "/search", scope: read, serve: (*request).search},
	}
}

// mux returns the handler of all routes.
func (c *Console) mux() http.Handler {
	m := http.NewServeMux()
	for _, rt := range c.routes() {
		m.HandleFunc(rt.method+" "+rt.path, c.guarded(rt))
	}
	return m
}

// compressed sends a body, with gzip if the client takes it. Pages hold no secrets that a length could betray: the secret of a
// session is in a cookie, and forms carry none.
func compressed(w http.ResponseWriter, r *http.Request, code int, body []byte) error {
	w.Header().Add("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || len(body) < 1000 {
		w.WriteHeader(code)
		_, err := w.Write(body)
		return ignored(err)
	}
	w.Header().Set("Content-Encoding", "gzip")
	w.WriteHeader(code)
	z := gzip.NewWriter(w)
	_, err := z.Write(body)
	if err == nil {
		err = z.Close()
	}
	return ignored(err)
}

// ignored returns nil: a response that cannot be sent has a client that went away.
func ignored(error) error { return nil }
