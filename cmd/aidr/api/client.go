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

// MaxLine is the maximum length of a line that a client reads, in bytes. A finding is far shorter.
const MaxLine = 16 << 20

// Client queries the control API of one state directory. The running process answers or, if no process runs, a handler in
// this process that has the store open.
type Client struct {
	http  *http.Client
	store *store.Store // nil if another process answers
}

// Dial returns a Client for the state directory. If no process answers, the requests are served with the functions of
// stopped.
func Dial(dir string, stopped Runtime) (*Client, error) {
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
	return &Client{store: s, http: &http.Client{Transport: inProcess{ofOwner(Handler(s, stopped))}}}, nil
}

// openStopped opens the store of a state directory for which no process answers. It does not create a store.
func openStopped(dir string) (*store.Store, error) {
	const advice = "name the state directory with --state, or the configuration that names it with --config"
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("state directory %q: %w: %s", dir, err, advice)
	}
	if _, err := os.Stat(filepath.Join(dir, "store")); err != nil {
		return nil, fmt.Errorf("directory %q is not a state directory of aidr, or aidr has not run on it yet: %s", dir, advice)
	}
	s, err := store.Open(dir, store.Options{})
	if errors.Is(err, store.ErrLocked) {
		return nil, fmt.Errorf("%w, but its control socket does not answer: it is starting or stopping, try again soon", err)
	}
	return s, err
}

// Loss returns the loss of checkpoints that was found when the store was opened, or nil. The status of a running process
// reports its own.
func (c *Client) Loss() error {
	if c.store != nil {
		if loss := c.store.Loss(); loss != nil {
			return loss
		}
	}
	return nil
}

// Running reports whether another process answers.
func (c *Client) Running() bool { return c.store == nil }

// Close closes the client's connections, or its store.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	if c.store != nil {
		return c.store.Close()
	}
	return nil
}

// Do sends a request and decodes the response into out, which may be nil.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, out any) error {
	return c.Send(ctx, method, path, query, nil, out)
}

// Send is Do with a body.
func (c *Client) Send(ctx context.Context, method, path string, query url.Values, send []byte, out any) error {
	body, err := c.open(ctx, method, path, query, send)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(body).Decode(out)
}

// Lines sends a GET request and calls yield with each line of the response, until yield returns false. A line is valid only
// during the call.
func (c *Client) Lines(ctx context.Context, path string, query url.Values, yield func(line []byte) bool) error {
	body, err := c.open(ctx, http.MethodGet, path, query, nil)
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
		return nil // the caller cancelled, as an interrupted `findings tail` does
	}
	if errors.Is(s.Err(), io.ErrUnexpectedEOF) {
		return errors.New("the running aidr has ended")
	}
	return s.Err()
}

func (c *Client) open(ctx context.Context, method, path string, query url.Values, send []byte) (io.ReadCloser, error) {
	u := url.URL{Scheme: "http", Host: "aidr", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(send))
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("query the running aidr: %w", err)
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
