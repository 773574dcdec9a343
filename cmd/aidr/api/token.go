package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aidr-engine/aidr/cmd/aidr/access"
	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// maxControlBody is the maximum size of the body of a change, in bytes.
const maxControlBody = 32 << 10

// decodeBody decodes the JSON of a request. Unknown keys are errors, because a misspelled one must not widen a change.
func decodeBody(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the body is not the JSON that is expected: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("the body has more than one JSON value")
	}
	return nil
}

// TokenRequest is the body of a request for a token.
type TokenRequest struct {
	Name   string   `json:"name"`
	Scopes []string `json:"scopes"` // scopes and roles
	Tenant string   `json:"tenant,omitempty"`
	For    string   `json:"for,omitempty"` // such as 90d; "": until it is revoked
}

// NewToken is the response to a TokenRequest, the only place in which the secret ever appears.
type NewToken struct {
	access.Token
	Secret string `json:"secret"`
}

// Who describes the caller of a request.
type Who struct {
	Name    string         `json:"name"`
	Scopes  []access.Scope `json:"scopes"`
	Tenant  string         `json:"tenant,omitempty"`
	Expires schema.Instant `json:"expires,omitzero"`
}

func (h *handler) whoami(w http.ResponseWriter, r *http.Request) {
	c := callerOf(r.Context())
	reply(w, Who{c.Name, c.Scopes, c.Tenant, c.Expires})
}

func (h *handler) listTokens(w http.ResponseWriter, r *http.Request) {
	tokens, err := h.openTokens()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	enc := lines(w)
	for _, t := range tokens.List(callerOf(r.Context())) {
		if enc.Encode(t) != nil {
			return
		}
	}
}

func (h *handler) createToken(w http.ResponseWriter, r *http.Request) {
	var b TokenRequest
	tokens, err := h.openTokens()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	spec := access.TokenSpec{}
	if err = decodeBody(w, r, &b); err == nil {
		spec.Name, spec.Tenant = b.Name, b.Tenant
		spec.Scopes, err = access.ParseScopes(b.Scopes)
	}
	if err == nil && b.For != "" {
		var ok bool
		if spec.For, ok = doc.ParseDuration(b.For); !ok || spec.For <= 0 {
			err = fmt.Errorf("for: %q is not a duration such as 12h or 90d", schema.Truncate(b.For, 64))
		}
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	secret, token, err := tokens.Create(spec, callerOf(r.Context()))
	switch {
	case errors.Is(err, access.ErrEscalation):
		refuse(w, http.StatusForbidden, err)
	case err != nil:
		refuse(w, http.StatusBadRequest, err)
	default:
		reply(w, NewToken{token, secret})
	}
}

func (h *handler) revokeToken(w http.ResponseWriter, r *http.Request) {
	var b reasonBody
	tokens, err := h.openTokens()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	if err := decodeBody(w, r, &b); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	token, err := tokens.Revoke(r.PathValue("id"), callerOf(r.Context()), schema.Truncate(b.Reason, schema.MaxReason))
	switch {
	case errors.Is(err, access.ErrNoToken):
		refuse(w, http.StatusNotFound, err)
	case err != nil:
		refuse(w, http.StatusInternalServerError, err)
	default:
		reply(w, token)
	}
}
