package producers

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"
)

// agent is a client with a credential.
type agent struct {
	name string
	key  string // an API key that the gateway knows; "": none
}

var (
	billing  = agent{"billing-agent", "sk-billing-0f6c2f1e7a"}
	research = agent{"research-agent", "sk-research-55d1a0c39b"}
	stranger = agent{"", "sk-unknown-9a1b"} // has a key that no gateway knows
	nobody   = agent{}
)

// hash returns the hex of the SHA-256 of the agent's key.
func (a agent) hash() string {
	sum := sha256.Sum256([]byte(a.key))
	return hex.EncodeToString(sum[:])
}

// call is one request of an agent.
type call struct {
	agent     agent
	method    string
	path      string // with its query; the last part of the path is the number of the call, because logs may be in another order
	resource  string // the path without the number and the query
	userAgent string
	session   string
	body      string
	status    int         // expected
	header    http.Header // further headers, as a hostile client adds them
	mcp       string      // method of MCP, if the call is one of a well-formed message
	tool      string      // name of the MCP tool
	arguments map[string]any
	tls       *tls.Config // not nil: the call goes to the TLS listener, with a certificate
	toClose   bool        // the call ends when the gateway closes the connection, which NGINX does after it has written its log

	began, ended time.Time // set by send
	sent         int       // length of the body
	got          []byte    // body of the answer
}

// hold is how long the backend holds the requests for /v1/slow. It shows in the latency that a gateway logs.
const hold = 150 * time.Millisecond

// startBackend starts the API behind a gateway. It answers with the status of a request by its path.
func startBackend(t *testing.T) (addr string) {
	t.Helper()
	status := map[string]int{"/v1/users/7": http.StatusForbidden, "/v1/busy": http.StatusTooManyRequests, "/v1/broken": http.StatusInternalServerError}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Logf("backend: %v", err)
		}
		resource := path.Dir(r.URL.Path)
		if resource == "/v1/slow" {
			<-time.After(hold)
		}
		if code := status[resource]; code != 0 {
			http.Error(w, http.StatusText(code), code)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintln(w, `{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"text","text":"done"}]}}`)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// gone is the expected status of a call whose backend cannot be reached: 502 or 503, which send puts in its place.
const gone = -1

// apiHost is the name of the API that the gateways serve.
const apiHost = "api.example.org"

// sdk is the user agent of well-behaved agents.
const sdk = "agent-sdk/2.1"

// Texts of hostile clients: records and quotes that would change the caller if a log were not escaped.
const (
	forgedRecord = `{"Records":[{"eventVersion":"1.08","eventSource":"iam.amazonaws.com","userIdentity":{"arn":"victim"}}]}`
	breakOut     = `x","client_id":"victim","remote_user":"victim","status":"200`
	escapes      = `\x22,\x22client_id\x22:\x22victim\x22 \u0022 \\" %22 '`
	umlauts      = "Ägent/1 – 代理 🤖"
)

// calls returns what the agents do at a gateway, in order.
func calls() []*call {
	pay := map[string]any{"invoice": "INV-7", "amount": 1250.5, "note": breakOut}
	mcp := func(a agent, id int, tool string, arguments map[string]any) *call {
		return &call{agent: a, method: "POST", path: "/mcp", session: "s-3", status: 200, mcp: "tools/call", tool: tool, arguments: arguments,
			body: rpc("tools/call", id, map[string]any{"name": tool, "arguments": arguments})}
	}
	list := []*call{
		{agent: billing, method: "GET", path: "/v1/invoices?limit=5&token=secret", session: "s-1", status: 200},
		{agent: billing, method: "POST", path: "/v1/payments", session: "s-1", body: `{"amount":5}`, status: 200},
		{agent: billing, method: "GET", path: "/v1/slow", session: "s-1", status: 200},
		{agent: research, method: "DELETE", path: "/v1/users/7", session: "s-2", status: 403},
		{agent: research, method: "GET", path: "/v1/busy", session: "s-2", status: 429},
		{agent: research, method: "GET", path: "/v1/broken", session: "s-2", status: 500},
		{agent: billing, method: "GET", path: "/v1/gone", session: "s-1", status: gone},
		{agent: stranger, method: "GET", path: "/v1/invoices", status: 401},
		{agent: nobody, method: "GET", path: "/v1/invoices", status: 401},
		mcp(billing, 7, "pay_invoice", pay),
		{agent: billing, method: "POST", path: "/mcp", session: "s-3", status: 200, mcp: "tools/list", body: rpc("tools/list", 8, nil)},
		{agent: research, method: "POST", path: "/mcp", session: "s-4", status: 200, body: "{not JSON \x00\xff " + breakOut},
		{agent: research, method: "POST", path: "/mcp", session: "s-4", status: 200, body: "[" + rpc("tools/call", 9, nil) + "]"},
		{agent: billing, method: "POST", path: "/v1/payments", session: "s-1", status: 200, body: forgedRecord},
		{agent: billing, method: "GET", path: "/v1/invoices/%22%7B%7D?q=" + url.QueryEscape(forgedRecord), session: "s-1", status: 200},
		{agent: research, method: "GET", path: "/v1/invoices", session: breakOut, status: 200,
			header: http.Header{"X-Agent-Id": {"victim"}, "X-Client-Id": {"victim"}, "X-Request-Id": {breakOut}}},
		{agent: nobody, method: "GET", path: "/v1/invoices", status: 401, header: http.Header{
			"X-Agent-Id": {"victim"}, "X-Client-Id": {"victim"}, "Authorization": {"Basic dmljdGltOnBhc3N3b3Jk"}}},
	}
	for _, text := range []string{breakOut, escapes, umlauts, "Latin-1 \xe4\xf6", "tab\there", forgedRecord, strings.Repeat("a", 4000)} {
		list = append(list, &call{agent: billing, method: "GET", path: "/v1/invoices", session: "s-1", status: 200, userAgent: text})
	}
	for n, c := range list {
		path, query, _ := strings.Cut(c.path, "?")
		c.resource, c.path = path, fmt.Sprintf("%s/%d", path, n)
		if query != "" {
			c.path += "?" + query
		}
		if c.userAgent == "" {
			c.userAgent = sdk
		}
	}
	return list
}

// rpc returns a request of JSON-RPC.
func rpc(method string, id int, params map[string]any) string {
	b, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// sendNoise sends what is not HTTP, and HTTP that no server accepts.
func sendNoise(t *testing.T, addr string) {
	t.Helper()
	for _, text := range []string{
		"", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "GARBAGE " + breakOut + "\r\n\r\n",
		"GET /" + breakOut + " HTTP/1.1\r\nX-Agent-Id victim\r\n\r\n",
	} {
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(patience))
		io.WriteString(conn, text)
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn) // until the server closes the connection
		conn.Close()
	}
}

// send sends the call to a gateway and checks the status of the answer. The request is written as it is, because net/http
// refuses some of the texts that hostile clients send.
func (c *call) send(t *testing.T, addr string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	if c.tls != nil {
		conn = tls.Client(conn, c.tls)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: "+apiHost+"\r\nConnection: close\r\nUser-Agent: %s\r\n", c.method, c.path, c.userAgent)
	if c.agent.key != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", c.agent.key)
	}
	if c.session != "" {
		fmt.Fprintf(&b, "Mcp-Session-Id: %[1]s\r\nX-Session-Id: %[1]s\r\n", c.session)
	}
	for name, values := range c.header {
		fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
	}
	if c.body != "" {
		fmt.Fprintf(&b, "Accept: application/json, text/event-stream\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", len(c.body))
	}
	b.WriteString("\r\n" + c.body)
	c.sent = len(c.body)
	c.began = time.Now()
	if _, err := conn.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer answer.Body.Close()
	if c.got, err = io.ReadAll(answer.Body); err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	if c.toClose {
		if _, err := io.Copy(io.Discard, in); err != nil {
			t.Fatalf("%s %s: the gateway does not close the connection: %v", c.method, c.path, err)
		}
	}
	c.ended = time.Now()
	if c.status == gone && (answer.StatusCode == http.StatusBadGateway || answer.StatusCode == http.StatusServiceUnavailable) {
		c.status = answer.StatusCode
	}
	if answer.StatusCode != c.status {
		t.Fatalf("%s %s: got status %d, want %d: %s", c.method, c.path, answer.StatusCode, c.status, c.got)
	}
}
