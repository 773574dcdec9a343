package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// route is one route of the console. A test walks all of them.
type route struct {
	method, path string
	scope        access.Scope // that the caller needs; "" for any
	public       bool         // no session is needed
	stream       bool         // the response lasts
	serve        func(*request) error
}

// request is one request with its session.
type request struct {
	console *Console
	w       http.ResponseWriter
	r       *http.Request
	route   route
	session *session // nil: nobody is logged in
}

// queryTime bounds the queries of one page.
const queryTime = 15 * time.Second

// ctx returns the context for queries of the control API: with the caller of the session.
func (q *request) ctx() context.Context { return access.With(q.r.Context(), q.session.who.Caller) }

// errNotOpen is the error of queries while the state directory is not open.
var errNotOpen = errors.New("this process has no state directory open: it waits for partitions, as a standby does, or it is starting or stopping")

// client returns the client of the control API.
func (q *request) client() (*api.Client, error) {
	h := q.console.opts.Control()
	if h == nil {
		return nil, errNotOpen
	}
	return api.InProcess(h), nil
}

// get sends a GET request to the control API and decodes the answer.
func (q *request) get(path string, query url.Values, out any) error {
	c, err := q.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(q.ctx(), queryTime)
	defer cancel()
	return c.Do(ctx, http.MethodGet, path, query, out)
}

// post sends an action to the control API and decodes the answer into out, which may be nil.
func (q *request) post(path string, body, out any) error {
	return q.postWithin(queryTime, path, body, out)
}

// postWithin is post with a limit of time.
func (q *request) postWithin(limit time.Duration, path string, body, out any) error {
	c, err := q.client()
	if err != nil {
		return err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(q.ctx(), limit)
	defer cancel()
	return c.Send(ctx, http.MethodPost, path, nil, text, out)
}

// list sends a GET request whose answer is lines of JSON, and returns at most limit of them, and whether there are more.
func list[T any](q *request, path string, query url.Values, limit int) (out []T, more bool, err error) {
	c, err := q.client()
	if err != nil {
		return nil, false, err
	}
	ctx, cancel := context.WithTimeout(q.ctx(), queryTime)
	defer cancel()
	var bad error
	err = c.Lines(ctx, path, query, func(line []byte) bool {
		if len(out) == limit {
			more = true
			return false
		}
		var v T
		if bad = json.Unmarshal(line, &v); bad != nil {
			return false
		}
		out = append(out, v)
		return true
	})
	return out, more, errors.Join(err, bad)
}

// value returns a parameter of the address.
func (q *request) value(name string) string { return q.r.URL.Query().Get(name) }

// badRequest is an error of the caller's.
type badRequest struct{ error }

// finish answers a request whose view failed.
func (q *request) finish(err error) {
	var bad badRequest
	switch {
	case err == nil:
	case errors.As(err, &bad):
		q.fail(http.StatusBadRequest, err)
	case errors.Is(err, errNotOpen):
		q.fail(http.StatusServiceUnavailable, err)
	case strings.Contains(err.Error(), "is not in the local store"), strings.Contains(err.Error(), "not seen in any event"), strings.Contains(err.Error(), "not found"):
		q.fail(http.StatusNotFound, err)
	default:
		q.fail(http.StatusInternalServerError, err)
	}
}

// fail sends a page with an error.
func (q *request) fail(code int, err error) {
	title := map[int]string{
		http.StatusNotFound: "Not found", http.StatusForbidden: "Not allowed", http.StatusBadRequest: "That does not work",
		http.StatusServiceUnavailable: "Not now",
	}[code]
	if title == "" {
		title = "That failed"
	}
	q.send(code, page{Name: "error", Title: title, Body: err.Error()})
}

// login sends the page of people that are not logged in.
func (q *request) login() {
	if q.r.Method != http.MethodGet || q.r.Header.Get("Accept") == "text/event-stream" {
		http.Error(q.w, "not logged in", http.StatusUnauthorized)
		return
	}
	q.send(http.StatusUnauthorized, page{Name: "login", Title: "Log in", Body: loginBody{Tokens: q.console.opts.Authenticate != nil, Next: q.r.URL.RequestURI()}})
}

// redirect sends the browser to an address of the console.
func (q *request) redirect(to string) error {
	http.Redirect(q.w, q.r, to, http.StatusSeeOther)
	return nil
}

// help describes the source of a page's content, and the command and the SQL that show the same.
type help struct {
	From    string   // the source
	Command []string // commands that show the same
	SQL     string   // a query of ClickHouse that shows the same
}

// page is what a template gets.
type page struct {
	Name  string // of the template
	Nav   string // of the entry of the navigation
	Title string
	Live  string // what the page's stream follows, "" for a page without live parts
	Help  *help
	Body  any

	// Set by send:
	Who     *Caller // nil: nobody is logged in
	Theme   string  // light, dark or "" for that of the system
	Keys    bool    // keys work
	Version string
	Path    string // of the request, with its parameters
	Now     string // what the stream of the page compares
}

// show sends a page.
func (q *request) show(p page) error { return q.send(http.StatusOK, p) }

// send renders a page in memory, so that a failure does not send half of one.
func (q *request) send(code int, p page) error {
	if q.session != nil {
		p.Who = &q.session.who
	}
	p.Theme, p.Keys = q.settings()
	p.Version, p.Path = q.console.opts.Version, q.r.URL.RequestURI()
	if p.Live == "tail" {
		p.Now = q.console.tailVersion(tailKey{q.session.who.Tenant, q.value("filter")})
	} else if p.Live != "" && p.Who != nil {
		if v, err := q.console.versions(q.r.Context(), p.Who.Tenant); err == nil {
			p.Now = v.text(p.Live)
		}
	}
	var b bytes.Buffer
	if err := pages[p.Name].ExecuteTemplate(&b, "layout", &p); err != nil {
		q.console.opts.Log.Error("console: a page cannot be rendered", "page", p.Name, "error", err)
		http.Error(q.w, "the page cannot be rendered", http.StatusInternalServerError)
		return nil
	}
	q.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	return compressed(q.w, q.r, code, b.Bytes())
}

// address returns an address of the console with parameters in pairs of name and value. Empty values are left out.
func address(path string, pairs ...any) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if text := fmt.Sprint(pairs[i+1]); text != "" {
			v.Set(fmt.Sprint(pairs[i]), text)
		}
	}
	if len(v) == 0 {
		return path
	}
	return path + "?" + v.Encode()
}
