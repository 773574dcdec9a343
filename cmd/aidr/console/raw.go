package console

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
)

// rawBody is the content of the page of a raw record.
type rawBody struct {
	api.RawRecord
	Finding string
	Event   int // from 1
}

// raw shows the record of an event of a finding's evidence. It is a POST, because reading it is an entry of the audit.
func (q *request) raw() error {
	if err := q.r.ParseForm(); err != nil {
		return badRequest{err}
	}
	n, err := strconv.Atoi(q.r.PostForm.Get("event"))
	if err != nil {
		return badRequest{fmt.Errorf("event: %w", err)}
	}
	b := rawBody{Finding: q.r.PathValue("id"), Event: n + 1}
	if err := q.post("/v1/findings/"+url.PathEscape(b.Finding)+"/raw", map[string]int{"event": n}, &b.RawRecord); err != nil {
		return q.queryError(err)
	}
	return q.show(page{
		Name: "raw", Nav: "findings", Title: "Raw record", Body: b,
		Help: &help{
			From:    "The source of the event, read again at the position that the evidence has. Secrets are replaced as in findings. That you read it is in the audit.",
			Command: []string{"aidr audit ls --action raw.read"},
			SQL:     "SELECT * FROM aidr.v_audit WHERE action = 'raw.read' ORDER BY time DESC LIMIT 20",
		},
	})
}
