package api

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// EraseRequest asks for the deletion of what the state directory holds about a subject. Exactly one of Agent and TextHash is set.
type EraseRequest struct {
	Tenant   string `json:"tenant,omitempty"`
	Agent    string `json:"agent,omitempty"`
	TextHash string `json:"text_sha256,omitempty"`
	Reason   string `json:"reason"`
	DryRun   bool   `json:"dry_run,omitempty"` // only count
}

// auditErase is the action of the audit.
const auditErase = "erase"

var hashForm = regexp.MustCompile("^[0-9a-f]{64}$")

// Check returns what is wrong with the request.
func (e *EraseRequest) Check() error {
	switch {
	case (e.Agent == "") == (e.TextHash == ""):
		return errors.New("name the subject: either an agent, or the SHA-256 of a text")
	case e.TextHash != "" && !hashForm.MatchString(e.TextHash):
		return errors.New("the hash of a text is 64 lower-case hex digits: sha256sum of the text without a line end")
	case !e.DryRun && strings.TrimSpace(e.Reason) == "":
		return errors.New("a reason is missing: it is kept in the audit")
	case len(e.Reason) > maxReason:
		return fmt.Errorf("the reason is longer than %d bytes: shorten it", maxReason)
	}
	return errors.Join(schema.CheckTargetText("agent", e.Agent), schema.CheckTargetText("tenant", e.Tenant))
}

// erase deletes the findings and dead letters of a subject.
func (h *handler) erase(w http.ResponseWriter, r *http.Request) {
	var e EraseRequest
	err := decodeBody(w, r, &e)
	if err == nil {
		err = e.Check()
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	var audit *store.AuditEntry
	if !e.DryRun {
		who := callerOf(r.Context())
		audit = &store.AuditEntry{
			Time: schema.InstantOf(time.Now()), Who: who.Name, Action: auditErase, Class: schema.AuditState, Reason: e.Reason, Tenant: e.Tenant, Object: e.Agent,
		}
		if e.TextHash != "" {
			audit.Object = "text sha256 " + e.TextHash
		}
	}
	out, err := h.store.Erase(store.Erasure{Tenant: e.Tenant, Agent: e.Agent, TextHash: e.TextHash}, audit)
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, out)
}
