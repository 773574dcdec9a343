package demo

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/connectors/clickhouse/host"
	"github.com/aidr-engine/aidr/connectors/webhook"
)

// maxDelivery is the maximum size of a delivery, in bytes. Standard Webhooks recommends less than 20 KB.
const maxDelivery = 64 << 10

// DeliveryCounts counts the deliveries at the receiver.
type DeliveryCounts struct {
	Received int `json:"received"`
	Verified int `json:"verified"`
	Rejected int `json:"rejected"` // the signature was wrong
	Repeated int `json:"repeated"` // verified deliveries with an id that was received before
}

// receiver is an endpoint on loopback that verifies signatures, as a SOAR does. It calls onDelivery with the type of each
// verified delivery.
type receiver struct {
	url, secret string
	server      *api.Server
	verifier    *webhook.Verifier
	onDelivery  func(kind string)

	mu   sync.Mutex
	got  DeliveryCounts
	seen map[string]bool
}

func startReceiver(onDelivery func(kind string)) (*receiver, error) {
	key := make([]byte, 32)
	rand.Read(key)
	r := &receiver{secret: "whsec_" + base64.StdEncoding.EncodeToString(key), onDelivery: onDelivery, seen: map[string]bool{}}
	var err error
	if r.verifier, err = webhook.NewVerifier(r.secret); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the receiver of webhooks: %w", err)
	}
	r.url = "http://" + l.Addr().String() + "/hook"
	r.server = api.NewServer(r, api.ServerOptions{Log: slog.New(slog.DiscardHandler), WriteTime: time.Minute})
	go r.server.Serve(l, "receiver")
	return r, nil
}

func (r *receiver) close() error { return r.server.Close() }

func (r *receiver) counts() DeliveryCounts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxDelivery))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	err = r.verifier.Verify(req.Header, body, time.Now())
	r.mu.Lock()
	r.got.Received++
	if err != nil {
		r.got.Rejected++
	} else {
		r.got.Verified++
		id := req.Header.Get(webhook.HeaderID)
		if r.seen[id] {
			r.got.Repeated++
		}
		r.seen[id] = true
	}
	r.mu.Unlock()
	if err != nil {
		http.Error(w, "bad signature", http.StatusUnauthorized)
		return
	}
	var m struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(body, &m) == nil {
		r.onDelivery(m.Type)
	}
}

// countFindings counts the findings in ClickHouse over HTTP, as a user with curl would.
func countFindings(e *host.Engine) (int, error) {
	u := url.URL{Scheme: "http", Host: e.HTTPAddr, RawQuery: url.Values{"query": {"SELECT count() FROM aidr.v_findings"}}.Encode()}
	req, err := http.NewRequest(http.MethodGet, u.String(), nil)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(host.DefaultUser, e.Password)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, fmt.Errorf("query ClickHouse: %w", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxDelivery))
	if err != nil {
		return 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return 0, errors.New("query ClickHouse: " + strings.TrimSpace(string(b)))
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}
