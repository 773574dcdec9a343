package decision

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/aidr-engine/aidr/schema"
)

// maxGuardrail is the largest request of a guardrail in bytes. It carries the texts and images of a prompt, which are
// skipped.
const maxGuardrail = 64 << 20

// guardrailRequest is the part of a request of LiteLLM's generic guardrail API that names the call. Texts and images are not
// read: decisions do not depend on content.
type guardrailRequest struct {
	Data struct {
		KeyHash string `json:"user_api_key_hash"`
	} `json:"request_data"`
	TraceID   string `json:"litellm_trace_id"`
	ToolCalls []struct {
		Function struct {
			Name      string `json:"name"`
			Arguments string `json:"arguments"`
		} `json:"function"`
	} `json:"tool_calls"`
}

// guardrailAnswer is LiteLLM's form of an answer.
type guardrailAnswer struct {
	Action string `json:"action"` // NONE or BLOCKED
	Reason string `json:"blocked_reason,omitempty"`
}

// guardrail serves LiteLLM's generic guardrail API. The principal is the virtual key, which LiteLLM has verified: its hash is the
// agent's uid in LiteLLM's logs as well. A response with tool calls is judged call by call.
func (s *Server) guardrail(w http.ResponseWriter, r *http.Request, p *Point, t Table) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGuardrail))
	var g guardrailRequest
	if err != nil || json.Unmarshal(body, &g) != nil {
		s.metrics.answered(p.Name, "invalid")
		fail(w, http.StatusBadRequest, "the body is not a request of the generic guardrail API")
		return
	}
	q := schema.Question{Credential: g.Data.KeyHash, Agent: g.Data.KeyHash, Session: g.TraceID}
	answer := s.guard(p, t, q)
	for i := 0; answer.Action == "NONE" && i < len(g.ToolCalls); i++ {
		f := &g.ToolCalls[i].Function
		if f.Name == "" {
			continue
		}
		q.Tool, q.Arguments = f.Name, hashArguments([]byte(f.Arguments))
		answer = s.guard(p, t, q)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

// guard answers one question in LiteLLM's form. A request without a key names nobody: LiteLLM's own master key has no hash
// here, and is not contained.
func (s *Server) guard(p *Point, t Table, q schema.Question) guardrailAnswer {
	if q.Credential == "" && q.Session == "" {
		s.metrics.answered(p.Name, "invalid")
		return guardrailAnswer{Action: "NONE"}
	}
	d, err := s.ask(p, t, q)
	if err != nil {
		return guardrailAnswer{Action: "BLOCKED", Reason: "AIDR cannot judge the call: " + err.Error()}
	}
	if p.passes(&d) {
		return guardrailAnswer{Action: "NONE"}
	}
	return guardrailAnswer{Action: "BLOCKED", Reason: refusal(&d)}
}
