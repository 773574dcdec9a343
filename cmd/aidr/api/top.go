package api

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/aidr-engine/aidr/engine"
)

// The orders of /v1/rules/top.
const (
	TopCPU        = "cpu"
	TopCandidates = "candidates"
	TopHits       = "hits"
	TopErrors     = "errors"
	TopState      = "state"
)

// TopOrders returns the orders of /v1/rules/top.
func TopOrders() []string { return []string{TopCPU, TopCandidates, TopHits, TopErrors, TopState} }

// topRules sends the ledger with the rules that cost the most. In the query, by names the order, and limit the number of
// rules; 0 means all. Only the order state reads the store for the sizes of State, which takes long if there is much.
func (h *handler) topRules(w http.ResponseWriter, r *http.Request) {
	if h.rt.Ledger == nil {
		refuse(w, http.StatusServiceUnavailable, ErrNoProcess)
		return
	}
	if err := oneOf(r, "by", TopOrders()...); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	most := 0
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if most, err = strconv.Atoi(text); err != nil || most < 0 {
			refuse(w, http.StatusBadRequest, fmt.Errorf("limit: %q is not a number of rules", text))
			return
		}
	}
	l, err := h.rt.Ledger()
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	by := cmp.Or(r.URL.Query().Get("by"), TopCPU)
	if by == TopState {
		if err := h.addState(l); err != nil {
			refuse(w, http.StatusInternalServerError, err)
			return
		}
	}
	slices.SortStableFunc(l.Rules, func(a, b engine.RuleCost) int { return compareCosts(by, &b, &a) })
	if most > 0 && most < len(l.Rules) {
		l.Rules = l.Rules[:most]
	}
	reply(w, l)
}

// addState adds the sizes of State to the ledger.
func (h *handler) addState(l *engine.Ledger) error {
	all, err := engine.StoredState(h.store)
	if err != nil {
		return err
	}
	bytes := make(map[string]int64, len(all))
	for _, s := range all {
		bytes[s.Rule] = s.Bytes
	}
	for i := range l.Rules {
		l.Rules[i].StateBytes = bytes[l.Rules[i].Rule]
	}
	return nil
}

func compareCosts(by string, a, b *engine.RuleCost) int {
	switch by {
	case TopCandidates:
		return cmp.Compare(a.Candidates, b.Candidates)
	case TopHits:
		return cmp.Compare(a.Hits, b.Hits)
	case TopErrors:
		return cmp.Compare(a.Errors, b.Errors)
	case TopState:
		return cmp.Compare(a.StateBytes, b.StateBytes)
	}
	return cmp.Compare(a.CPU(), b.CPU())
}
