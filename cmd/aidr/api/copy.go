package api

import (
	"net/http"
	"path/filepath"
)

// Copy is the answer to a request for a copy of the state directory.
type Copy struct {
	Dir string `json:"dir"` // absolute; the client removes it
}

// copyState makes a copy of the store beside it, which the client backs up and removes.
func (h *handler) copyState(w http.ResponseWriter, _ *http.Request) {
	dir, err := h.store.Copy()
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	reply(w, Copy{Dir: dir})
}
