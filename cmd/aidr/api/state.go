package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/engine"
	"github.com/aidr-engine/aidr/engine/item"
	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// maxReason is the size in bytes of the reason for a change of State.
const maxReason = 1000

// state sends the State of one rule and key.
func (h *handler) state(w http.ResponseWriter, r *http.Request) {
	if h.rt.State == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	key, err := keyOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	v, err := h.rt.State(r.Context(), r.URL.Query().Get("rule"), key)
	if err != nil {
		refuse(w, stateFailure(err), err)
		return
	}
	reply(w, v)
}

// keyOf returns the query's key, an object of field names and texts.
func keyOf(r *http.Request) (map[string]string, error) {
	key := map[string]string{}
	if s := r.URL.Query().Get("key"); s != "" {
		if err := json.Unmarshal([]byte(s), &key); err != nil {
			return nil, fmt.Errorf("key: not an object of field names and texts: %w", err)
		}
	}
	return key, nil
}

// stateFailure returns the status code for an error of a request about State.
func stateFailure(err error) int {
	if errors.Is(err, ErrNoProcess) {
		return http.StatusServiceUnavailable
	}
	return http.StatusNotFound
}

// stateRules sends the size of the State of each rule.
func (h *handler) stateRules(w http.ResponseWriter, _ *http.Request) {
	all, err := engine.StoredState(h.store)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	enc := lines(w)
	for _, r := range all {
		if enc.Encode(r) != nil {
			return
		}
	}
}

// stateKeys sends the State of every key, or of those of one rule.
func (h *handler) stateKeys(w http.ResponseWriter, r *http.Request) {
	if h.rt.Export == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoRules)
		return
	}
	var enc *json.Encoder // the first line begins the response
	err := h.rt.Export(h.store, r.URL.Query().Get("rule"), func(l *engine.KeyLine) bool {
		if enc == nil {
			enc = lines(w)
		}
		return enc.Encode(l) == nil
	})
	switch {
	case err != nil && enc == nil:
		refuse(w, stateFailure(err), err)
	case err != nil:
		enc.Encode(failure{err.Error()})
	case enc == nil:
		lines(w)
	}
}

// clearState makes a rule forget its State of one group key.
func (h *handler) clearState(w http.ResponseWriter, r *http.Request) {
	if h.rt.ClearState == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	key, err := keyOf(r)
	reason := strings.TrimSpace(r.URL.Query().Get("reason"))
	switch {
	case err != nil:
	case reason == "":
		err = errors.New("reason: is missing: the audit needs one")
	case len(reason) > maxReason:
		err = fmt.Errorf("reason: is longer than %d bytes: shorten it", maxReason)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	entry, err := h.rt.ClearState(r.Context(), r.URL.Query().Get("rule"), key, callerOf(r.Context()).Name, reason)
	if err != nil {
		refuse(w, stateFailure(err), err)
		return
	}
	reply(w, entry)
}

// stateAudit sends the changes that findings depend on, and those of containments, the oldest first.
func (h *handler) stateAudit(w http.ResponseWriter, _ *http.Request) {
	enc := lines(w)
	err := h.store.Audit(func(a *store.AuditEntry) bool {
		shown := a.Class == "" || a.Class == schema.AuditState || a.Class == schema.AuditContainment
		return !shown || enc.Encode(a) == nil
	})
	if err != nil {
		enc.Encode(failure{err.Error()})
	}
}

// ErrNoRules is returned for a request that needs the rules, if no process runs that knows them.
var ErrNoRules = errors.New("no aidr runs on this state directory, and State can be read with its rules only: " +
	"name the configuration with --config, or start `aidr run`")

// withCaller adds to the context of a connection the caller at its other end, if the connection is a unix socket.
func withCaller(ctx context.Context, c net.Conn) context.Context {
	if l, ok := c.(*limitedConn); ok {
		c = l.Conn
	}
	if u, ok := c.(*net.UnixConn); ok {
		if uid, err := peerUID(u); err == nil {
			return access.With(ctx, access.Owner(int(uid)))
		}
		return access.With(ctx, access.Caller{Name: "socket", Scopes: access.All()}) // only its owner can open it
	}
	return ctx
}

// ofOwner returns a handler whose requests come from the user of this process, who has the state directory open.
func ofOwner(h http.Handler) http.Handler {
	who := access.Owner(os.Getuid())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(access.With(r.Context(), who)))
	})
}

// tryItems sends what items would change in the State of a rule. The body is the items in flat form.
func (h *handler) tryItems(w http.ResponseWriter, r *http.Request) {
	if h.rt.Try == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var items []item.Item
	for len(body) > 0 {
		it, rest, ok := item.Read(body)
		if !ok {
			refuse(w, http.StatusBadRequest, errors.New("the items are damaged"))
			return
		}
		items, body = append(items, it), rest
	}
	trials, err := h.rt.Try(r.Context(), h.store, r.URL.Query().Get("rule"), items)
	if err != nil {
		refuse(w, stateFailure(err), err)
		return
	}
	reply(w, trials)
}
