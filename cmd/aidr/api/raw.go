package api

import (
	"fmt"
	"net/http"

	"github.com/aidr-engine/aidr/engine/store"
	"github.com/aidr-engine/aidr/schema"
)

// RawRecord is the record that an event of a finding's evidence came from, as far as its source still keeps it.
type RawRecord struct {
	Kept    bool   `json:"kept"`
	Missing string `json:"missing,omitempty"` // why there is no record, or no text of it
	Source  string `json:"source,omitempty"`
	Bytes   int    `json:"bytes,omitempty"` // size of the record
	// Text is the record with its secrets replaced; "" if the configuration hides fields, or the caller sees one tenant only, as the
	// record may hold what belongs to others.
	Text string `json:"text,omitempty"`
	Cut  bool   `json:"cut,omitempty"` // Text is the beginning only
	// Event is the event in the format aidr with all of its fields, redacted as in findings.
	Event string `json:"event,omitempty"`
}

// rawRequest is the body of a request for a raw record.
type rawRequest struct {
	Event int `json:"event"` // number of the event in the evidence, from 0
}

// raw sends the record of an event of a finding's evidence. It is audited, as it shows more than the finding.
func (h *handler) raw(w http.ResponseWriter, r *http.Request) {
	var b rawRequest
	id, err := schema.ParseID(r.PathValue("id"))
	if err == nil {
		err = decodeBody(w, r, &b)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	f, ok, err := h.store.Finding(id)
	switch {
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	case !ok || !sees(r, f.Tenant):
		refuse(w, http.StatusNotFound, fmt.Errorf("finding %s is not in the local store", id))
	case b.Event < 0 || b.Event >= len(f.Evidence):
		refuse(w, http.StatusBadRequest, fmt.Errorf("event: %d: the evidence has %d events", b.Event, len(f.Evidence)))
	case h.rt.Raw == nil:
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
	default:
		caller := callerOf(r.Context())
		rec, err := h.rt.Raw(r.Context(), &f.Evidence[b.Event], caller.Tenant == "")
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, err)
			return
		}
		entry := store.AuditEntry{
			Time: schema.InstantOf(h.now()), Who: caller.Name, Token: caller.Token, Class: schema.AuditAccess, Action: "raw.read", Rule: f.RuleID, Tenant: f.Tenant,
			Object: id.String(), After: asJSON(struct {
				Event    int       `json:"event"`
				Identity schema.ID `json:"identity"`
				Kept     bool      `json:"kept"`
			}{b.Event, f.Evidence[b.Event].Identity, rec.Kept}),
		}
		if err := h.store.Apply(&store.Change{Audit: []store.AuditEntry{entry}}); err != nil { // nobody reads it without an entry
			refuse(w, http.StatusInternalServerError, fmt.Errorf("the audit cannot be written, and without it no record is shown: %w", err))
			return
		}
		reply(w, rec)
	}
}
