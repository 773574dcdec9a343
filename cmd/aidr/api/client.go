package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/aidr-engine/aidr/engine/store"
)

// MaxLine is the longest line of an answer that a client reads, in bytes: a finding is far below it.
const MaxLine = 16 << 20

// Client asks the control API of one state directory: the running process, or where none runs the store itself.
type Client struct {
	http  *http.Client
	store *store.Store // opened by us: no process runs
}

// Dial finds out who answers for the state directory.
func Dial(dir string) (*Client, error) {
	path, err := SocketPath(dir)
	if err != nil {
		return nil, err
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return &Client{http: &http.Client{Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "unix", path)
			},
		}}}, nil
	}
	s, err := openStopped(dir)
	if err != nil {
		return nil, err
	}
	return &Client{store: s, http: &http.Client{Transport: inProcess{Handler(s, Runtime{})}}}, nil
}

// openStopped opens the store of a directory that no process answers for. It makes none where there is none.
func openStopped(dir string) (*store.Store, error) {
	const advice = "name the state directory with --state, or the configuration that names it with --config"
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("state directory %q: %w: %s", dir, err, advice)
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		return nil, fmt.Errorf("directory %q is no state directory of aidr, or nothing has run on it yet: %s", dir, advice)
	}
	s, err := store.Open(dir, store.Options{})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w: it has the store and its control socket does not answer: it is starting or stopping, ask again soon", err)
	}
	return s, err
}

// Running says whether a process answers.
func (c *Client) Running() bool { return c.store == nil }

// Close ends the client.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	if c.store != nil {
		return c.store.Close()
	}
	return nil
}

// inProcess answers requests with a handler of this process. Answers are gathered whole, which suits all of them but
// tail, and tail needs a process.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &answer{header: http.Header{}, code: http.StatusOK}
	h.ServeHTTP(w, r)
	return &http.Response{
		Status: http.StatusText(w.code), StatusCode: w.code, Header: w.header, Request: r, Body: io.NopCloser(&w.body),
	}, nil
}

// answer is a http.ResponseWriter into memory.
type answer struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(code int)        { a.code = code }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// Do asks and decodes the answer into out, which may be nil.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, out any) error {
	body, err := c.open(ctx, method, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(body).Decode(out)
}

// Lines asks and calls yield with each line of the answer, until it returns false.
func (c *Client) Lines(ctx context.Context, path string, query url.Values, yield func(line []byte) bool) error {
	body, err := c.open(ctx, http.MethodGet, path, query)
	if err != nil {
		return err
	}
	defer body.Close()
	s := bufio.NewScanner(body)
	s.Buffer(nil, MaxLine)
	for s.Scan() {
		var f failure
		if json.Unmarshal(s.Bytes(), &f) == nil && f.Error != "" {
			return errors.New(f.Error)
		}
		if !yield(s.Bytes()) {
			return nil
		}
	}
	if ctx.Err() != nil {
		return nil // asked to stop
	}
	if errors.Is(s.Err(), io.ErrUnexpectedEOF) {
		return errors.New("the running aidr has ended")
	}
	return s.Err()
}

func (c *Client) open(ctx context.Context, method, path string, query url.Values) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "aidr", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("ask the running aidr: %w", err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var f failure
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("the running aidr answered %s", resp.Status)
	}
	return nil, errors.New(f.Error)
}
