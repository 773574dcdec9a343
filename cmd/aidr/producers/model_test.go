package producers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// startModel starts a model's API and an MCP server behind LiteLLM's proxy. The text of the last message chooses the answer: slow, busy,
// denied, broken, or by default a tool call.
func startModel(t *testing.T) (addr string) {
	t.Helper()
	mux := http.NewServeMux()
	var answers atomic.Int64
	mux.HandleFunc("/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Messages []struct{ Content any }
		}
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil || len(request.Messages) == 0 {
			http.Error(w, "no messages", http.StatusBadRequest)
			return
		}
		failed := map[any]int{"busy": http.StatusTooManyRequests, "denied": http.StatusForbidden, "broken": http.StatusInternalServerError}
		last := request.Messages[len(request.Messages)-1].Content
		if last == "slow" {
			<-time.After(hold)
		}
		w.Header().Set("Content-Type", "application/json")
		if code := failed[last]; code != 0 {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"error":{"message":%q,"type":"test","code":null}}`, last)
			return
		}
		fmt.Fprintf(w, `{"id":"chatcmpl-%d","object":"chat.completion","created":1767261600,"model":"gpt-4.1-2025-04-14","choices":[{"index":0,`+
			`"finish_reason":"tool_calls","message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_9","type":"function",`+
			`"function":{"name":"pay_invoice","arguments":"{\"invoice\":\"INV-7\"}"}}]}}],`+
			`"usage":{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}}`, answers.Add(1))
	})
	mux.HandleFunc("/mcp", serveMCP)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// missing is the invoice that the MCP server's tool does not find.
const missing = "INV-404"

// serveMCP is an MCP server with one tool, over HTTP with answers in JSON.
func serveMCP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var request struct {
		ID     any
		Method string
		Params struct {
			Name            string
			ProtocolVersion string
			Arguments       struct{ Invoice string }
		}
	}
	if err != nil || json.Unmarshal(body, &request) != nil {
		w.WriteHeader(http.StatusMethodNotAllowed) // a GET, for a stream of events that there is not
		return
	}
	results := map[string]string{
		"initialize": fmt.Sprintf(`{"protocolVersion":%q,"capabilities":{"tools":{}},"serverInfo":{"name":"erp","version":"1"}}`, request.Params.ProtocolVersion),
		"tools/list": `{"tools":[{"name":"pay_invoice","description":"Pays","inputSchema":{"type":"object","properties":{"invoice":{"type":"string"}}}}]}`,
		"tools/call": fmt.Sprintf(`{"content":[{"type":"text","text":"seen"}],"isError":%t}`, request.Params.Arguments.Invoice == missing),
		"ping":       `{}`,
	}
	result, ok := results[request.Method]
	if !ok {
		w.WriteHeader(http.StatusAccepted) // a notification
		return
	}
	id, err := json.Marshal(request.ID)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, id, result)
}
