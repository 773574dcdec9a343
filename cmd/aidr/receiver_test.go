package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/aidr-engine/aidr/schema"
)

// delivery is the decoded body of a webhook.
type delivery struct {
	Type string
	Data struct {
		schema.Finding
		Cut json.RawMessage
	}
}

// receiver is a third-party endpoint: it verifies signatures with the public library, rejects wrong ones, and keeps every
// body.
type receiver struct {
	url, secret string
	answers     atomic.Int32 // status code with which deliveries are rejected; 0: they are accepted
	arrived     func(d *delivery, at time.Time)

	mu      sync.Mutex
	bodies  map[string][]byte // by webhook-id
	last    map[schema.ID]*delivery
	refused int
	faults  []string
}

func startReceiver(t testing.TB) *receiver {
	t.Helper()
	key := make([]byte, 32)
	rand.Read(key)
	r := &receiver{secret: "whsec_" + base64.StdEncoding.EncodeToString(key), bodies: map[string][]byte{}, last: map[schema.ID]*delivery{}}
	verifier, err := standardwebhooks.NewWebhook(r.secret)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the sender was killed during the request
		}
		if code := int(r.answers.Load()); code != 0 {
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
			w.WriteHeader(code)
			return
		}
		if err := verifier.Verify(body, req.Header); err != nil {
			r.fault("%s: %v", req.Header.Get("webhook-id"), err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.take(req.Header.Get("webhook-id"), body)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL + "/hook"
	return r
}

func (r *receiver) fault(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// take keeps a body. Bodies with the same id must be equal, and the revisions of a finding must come in order.
func (r *receiver) take(id string, body []byte) {
	now := time.Now()
	d := &delivery{}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(d); err != nil {
		r.fault("%s: %v: %s", id, err, body)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before, known := r.bodies[id]
	if known && !bytes.Equal(before, body) {
		r.faults = append(r.faults, fmt.Sprintf("%s came with two bodies:\n%s\n%s", id, before, body))
	}
	r.bodies[id] = body
	last := r.last[d.Data.ID]
	if !known && last != nil && last.Data.Revision >= d.Data.Revision {
		r.faults = append(r.faults, fmt.Sprintf("%s: revision %d came for the first time after %d", d.Data.ID, d.Data.Revision, last.Data.Revision))
	}
	if last == nil || last.Data.Revision < d.Data.Revision {
		r.last[d.Data.ID] = d
	}
	if r.arrived != nil && !known {
		r.arrived(d, now)
	}
}

// check fails the test if a delivery was wrong.
func (r *receiver) check(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.faults {
		t.Error("receiver: " + f)
	}
}

// findings returns the last body of each finding that is not withdrawn: whole ones, and ones reduced to fit the size limit.
func (r *receiver) findings() (whole, reduced map[schema.ID]*schema.Finding) {
	r.mu.Lock()
	defer r.mu.Unlock()
	whole, reduced = map[schema.ID]*schema.Finding{}, map[schema.ID]*schema.Finding{}
	for id, d := range r.last {
		switch {
		case d.Data.Status == schema.StatusWithdrawn:
		case d.Data.Cut != nil:
			reduced[id] = &d.Data.Finding
		default:
			whole[id] = &d.Data.Finding
		}
	}
	return whole, reduced
}
