// Package gateway contains the formats of API gateways' access logs, including their logs of calls of models and tools.
package gateway

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Kong returns the format of Kong Gateway's log serializer, which http-log, file-log, kafka-log and the other logging
// plugins use, with the blocks of its AI plugins.
func Kong() formats.Format {
	return formats.Format{
		Name:     "kong_http_log",
		Aliases:  []string{"kong"},
		Datasets: []string{"kong.http_log"},
		Families: []string{formats.FamilyGateway, formats.FamilyLLM},
		Signatures: []formats.Signature{
			{Keys: []string{"started_at", "latencies", "request"}},
		},
		NewReader: newKong,
	}
}

type kong struct {
	started                         int // started_at
	latency, proxyLatency           int // latencies: request, proxy
	upstreamStatus, clientIP        int // upstream_status, client_ip
	requestID, requestSize          int // request: id, size
	method, uri, url                int // request: method, uri, url
	status, responseSize            int // response: status, size
	serviceName, serviceHost        int // service: name, host
	routePaths, routeName           int // route: paths, name
	consumerID, customID, username  int // consumer: id, custom_id, username
	credentialID                    int // authenticated_entity.id
	host, userAgent, forwarded      int // request.headers: host, user-agent, x-forwarded-for
	headerName, traceparent         int // request.headers: x-consumer-username, traceparent
	agentID                         int // request.headers.x-agent-id
	authorization                   int // request.headers.authorization
	apiKey, xAPIKey, bareAPIKey     int // request.headers: apikey, x-api-key, api-key
	traceW3C, traceB3, traceDatadog int // trace_id: w3c, b3, datadog
	ai                              int // ai
	models                          *models
	mcp                             *toolServer
	a2a                             *agentCalls
}

func newKong(p *formats.Paths) formats.Reader {
	header := func(name string) int { return p.Add("request", "headers", name) }
	return &kong{
		started: p.Add("started_at"),
		latency: p.Add("latencies", "request"), proxyLatency: p.Add("latencies", "proxy"),
		upstreamStatus: p.Add("upstream_status"), clientIP: p.Add("client_ip"),
		requestID: p.Add("request", "id"), requestSize: p.Add("request", "size"),
		method: p.Add("request", "method"), uri: p.Add("request", "uri"), url: p.Add("request", "url"),
		status: p.Add("response", "status"), responseSize: p.Add("response", "size"),
		serviceName: p.Add("service", "name"), serviceHost: p.Add("service", "host"),
		routePaths: p.Add("route", "paths"), routeName: p.Add("route", "name"),
		consumerID: p.Add("consumer", "id"), customID: p.Add("consumer", "custom_id"), username: p.Add("consumer", "username"),
		credentialID: p.Add("authenticated_entity", "id"),
		host:         header("host"), userAgent: header("user-agent"), forwarded: header("x-forwarded-for"),
		headerName: header("x-consumer-username"), traceparent: header("traceparent"), agentID: header("x-agent-id"),
		authorization: header("authorization"),
		apiKey:        header("apikey"), xAPIKey: header("x-api-key"), bareAPIKey: header("api-key"),
		traceW3C: p.Add("trace_id", "w3c"), traceB3: p.Add("trace_id", "b3"), traceDatadog: p.Add("trace_id", "datadog"),
		ai:     p.AddIndexed("ai"),
		models: newModels(p),
		mcp:    newToolServer(p),
		a2a:    newAgentCalls(p),
	}
}

func (k *kong) Read(el *formats.Element) {
	el.SetDataset("kong.http_log")
	if !el.SetTime(el.At(k.started)) {
		return
	}
	el.CopyDuration(el.At(k.latency), nsPerMilli)
	k.request(el)
	k.identify(el)
	k.credential(el)
	status := k.outcome(el)
	if k.mcp.read(el) || k.a2a.read(el) {
		return
	}
	if k.models.read(el, el.At(k.ai), el.Text(el.At(k.uri)), k.refused(el, status)) {
		return
	}
	el.SetAPICall(el.Text(el.At(k.method)))
	el.Emit()
}

// header returns a header's value. If the header was sent several times, Kong logs a list, and the first value counts.
func header(el *formats.Element, place int) formats.Node {
	if n := el.At(place); n.Kind != scan.Array {
		return n
	}
	return el.FirstItem(el.At(place))
}

// request sets the fields of the HTTP request.
func (k *kong) request(el *formats.Element) {
	host, path := formats.SplitURL(el.Text(el.At(k.url)))
	if host == "" {
		host = formats.Host(el.Text(header(el, k.host)))
	}
	if uri := el.Text(el.At(k.uri)); uri != "" {
		_, path = formats.SplitURL(uri)
	}
	el.SetText(schema.URLDomain, host)
	el.SetText(schema.URLPath, path)
	el.CopyText(schema.HTTPRequestMethod, el.At(k.method))
	el.CopyText(schema.HTTPRequestID, el.At(k.requestID))
	el.CopyInt(schema.HTTPRequestBytes, el.At(k.requestSize))
	el.CopyInt(schema.HTTPResponseBytes, el.At(k.responseSize))
	el.CopyFirstText(schema.HTTPRoute, el.FirstItem(el.At(k.routePaths)), el.At(k.routeName))
	if el.Wanted(schema.AIAgentWorkflow) {
		el.SetWorkflow(el.FirstText(el.At(k.routeName), el.FirstItem(el.At(k.routePaths))))
	}
	el.CopyFirstText(schema.ServiceTargetName, el.At(k.serviceName), el.At(k.serviceHost))
	el.CopyText(schema.UserAgentOriginal, header(el, k.userAgent))
	el.CopyTraceparent(header(el, k.traceparent))
	el.CopyFirstText(schema.TraceID, el.At(k.traceW3C), el.At(k.traceB3), el.At(k.traceDatadog))
	el.SetSourceIP(el.Text(el.At(k.clientIP)), el.Text(header(el, k.forwarded)))
}

// identify sets the fields of the caller: the consumer, else its credential, else an id in a header. The consumer that
// authentication plugins give to all callers without a credential has an id of its own, and is known by its name. Kong's
// authentication sets the header x-consumer-username, but on a route without it the caller's own header passes through.
func (k *kong) identify(el *formats.Element) {
	name := el.Text(el.At(k.username))
	if !formats.Everybody(name) {
		el.SetAgent("consumer.id", el.Text(el.At(k.consumerID)))
		el.SetAgent("consumer.custom_id", el.Text(el.At(k.customID)))
		el.SetAgent("consumer.username", name)
	}
	el.SetAgent("authenticated_entity.id", el.Text(el.At(k.credentialID)))
	k.mcp.identify(el)
	switch {
	case el.Event.Has(schema.AIAgentUID):
		el.DeclareAgent("request.headers.x-agent-id", el.Text(header(el, k.agentID)))
	case !isUnauthenticated(el.At(k.status)):
		el.DeclareAgent("request.headers.x-consumer-username", el.Text(header(el, k.headerName)))
	}
	el.CopyFirstText(schema.AIAgentName, el.At(k.username), el.At(k.customID))
	if !isUnauthenticated(el.At(k.status)) {
		el.CopyText(schema.AIAgentName, header(el, k.headerName))
	}
	el.CopyText(schema.ClientAppID, el.At(k.customID))
	el.SetAgentByAddress(el.Text(header(el, k.userAgent)))
}

// credential sets the fields of the credential: Kong's id of it, else the hash of a key or token in the headers.
func (k *kong) credential(el *formats.Element) {
	token := formats.BearerToken(el.Text(header(el, k.authorization)))
	kind := ""
	if token != "" {
		kind = formats.TokenType(token)
	} else if token = el.FirstText(header(el, k.apiKey), header(el, k.xAPIKey), header(el, k.bareAPIKey)); token != "" {
		kind = "api_key"
	}
	uid := el.Text(el.At(k.credentialID))
	if uid == "" && el.Wanted(schema.CredentialUID) {
		uid = el.HashSecret(token)
	}
	el.SetText(schema.CredentialUID, uid)
	el.SetText(schema.CredentialType, kind)
}

// outcome sets the outcome from the HTTP status and returns the status, or 0.
func (k *kong) outcome(el *formats.Element) (status int64) {
	n := el.At(k.status)
	status, ok := scan.Int(n.Src, n.Span)
	if !ok {
		el.SetOutcome(formats.Unknown)
		return 0
	}
	el.SetHTTPStatus(status)
	el.CopyInt(schema.HTTPResponseStatusCode, n)
	return status
}

// refused reports whether Kong itself answered 400 without calling an upstream, as its prompt guards do.
func (k *kong) refused(el *formats.Element, status int64) bool {
	proxy := el.At(k.proxyLatency)
	ms, ok := scan.Int(proxy.Src, proxy.Span)
	return status == 400 && ok && ms < 0 && el.Text(el.At(k.upstreamStatus)) == ""
}

// isProxy reports whether a member of the ai block is the block of the plugin that calls the model.
func isProxy(name string) bool {
	return name == "proxy" || name == "ai-proxy" || name == "ai-proxy-advanced"
}

// isPlugin reports whether a member of the ai block may be the block of a plugin that calls a model. Before Kong 3.11 the
// key of the block is a name that the operator chose, so any key qualifies but those of other blocks.
func isPlugin(name string) bool {
	switch name {
	case "mcp", "a2a", "audit", "sanitizer", "compressor", "payload":
		return false
	}
	return true
}
