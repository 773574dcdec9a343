package console

import (
	"net/url"
	"strings"

	"github.com/aidr-engine/aidr/cmd/aidr/api"
	"github.com/aidr-engine/aidr/schema"
)

// searchBody is the content of the page search.
type searchBody struct {
	Query       string
	Findings    []*schema.Finding
	Agents      []api.AgentLine
	Credentials []api.CredentialLine
	Tools       []api.ToolLine
	Responses   []schema.ResponseRecord
	Nothing     bool
}

// searchLimit is the number of hits of one kind.
const searchLimit = 20

// search finds things by any id: a finding or a response opens at once.
func (q *request) search() error {
	text := strings.TrimSpace(q.value("q"))
	b := searchBody{Query: text}
	if text != "" {
		if _, err := schema.ParseID(text); err == nil {
			if q.get("/v1/findings/"+text, nil, nil) == nil {
				return q.redirect("/findings/" + text)
			}
			if q.get("/v1/responses/"+text, nil, nil) == nil {
				return q.redirect("/responses/" + text)
			}
		}
		b.find(q, text)
	}
	b.Nothing = text != "" && len(b.Findings)+len(b.Agents)+len(b.Credentials)+len(b.Tools) == 0
	return q.show(page{
		Name: "search", Title: "Search", Body: b,
		Help: &help{
			From: "Ids of findings and responses; names and ids of agents, credentials, tools, servers and models in the inventory; sessions, event ids " +
				"and credentials in the evidence of findings of the local store.",
			Command: []string{"aidr agents ls --name " + shellQuoted(text), "aidr findings ls --filter " + shellQuoted("session_id == "+jsonText(Plain(text)))},
			SQL:     "SELECT * FROM aidr.v_finding_events WHERE event_id = " + sqlQuoted(text) + " OR session_id = " + sqlQuoted(text),
		},
	})
}

func (b *searchBody) find(q *request, text string) {
	v := url.Values{"name": {text}, "limit": {"20"}}
	b.Agents, _, _ = list[api.AgentLine](q, "/v1/inventory/agents", v, searchLimit) // what cannot be read is not found
	b.Credentials, _, _ = list[api.CredentialLine](q, "/v1/inventory/credentials", v, searchLimit)
	b.Tools, _, _ = list[api.ToolLine](q, "/v1/inventory/tools", v, searchLimit)
	b.Findings, _, _ = list[*schema.Finding](q, "/v1/findings", url.Values{"about": {text}, "limit": {"20"}}, searchLimit)
}
