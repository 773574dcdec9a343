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
		Tells: []formats.Tell{
			{Keys: []string{"started_at", "latencies", "request"}},
		},
		Open: newKong,
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
		headerName: header("x-consumer-username"), traceparent: header("traceparent"),
		authorization: header("authorization"),
		apiKey:        header("apikey"), xAPIKey: header("x-api-key"), bareAPIKey: header("api-key"),
		traceW3C: p.Add("trace_id", "w3c"), traceB3: p.Add("trace_id", "b3"), traceDatadog: p.Add("trace_id", "datadog"),
		ai:     p.Open("ai"),
		models: newModels(p),
		mcp:    newToolServer(p),
		a2a:    newAgentCalls(p),
	}
}

func (k *kong) Read(r *formats.Record) {
	r.Begin("kong.http_log")
	if !r.Start(r.At(k.started)) {
		return
	}
	r.SetDuration(r.At(k.latency), nsPerMilli)
	k.request(r)
	k.identify(r)
	k.credential(r)
	status := k.outcome(r)
	if k.mcp.read(r) || k.a2a.read(r) {
		return
	}
	if k.models.read(r, r.At(k.ai), r.Text(r.At(k.uri)), k.refused(r, status)) {
		return
	}
	r.SetCall(r.Text(r.At(k.method)))
	r.Emit()
}

// header returns a header's value. If the header was sent several times, Kong logs a list, and the first value counts.
func header(r *formats.Record, place int) formats.Node {
	if n := r.At(place); n.Kind != scan.Array {
		return n
	}
	return r.First(r.At(place))
}

// request sets the fields of the HTTP request.
func (k *kong) request(r *formats.Record) {
	host, path := formats.SplitURL(r.Text(r.At(k.url)))
	if host == "" {
		host = formats.Host(r.Text(header(r, k.host)))
	}
	if uri := r.Text(r.At(k.uri)); uri != "" {
		_, path = formats.SplitURL(uri)
	}
	r.Put(schema.URLDomain, host)
	r.Put(schema.URLPath, path)
	r.SetText(schema.HTTPRequestMethod, r.At(k.method))
	r.SetText(schema.HTTPRequestID, r.At(k.requestID))
	r.SetInt(schema.HTTPRequestBytes, r.At(k.requestSize))
	r.SetInt(schema.HTTPResponseBytes, r.At(k.responseSize))
	r.SetFirst(schema.HTTPRoute, r.First(r.At(k.routePaths)), r.At(k.routeName))
	r.SetFirst(schema.ServiceTargetName, r.At(k.serviceName), r.At(k.serviceHost))
	r.SetText(schema.UserAgentOriginal, header(r, k.userAgent))
	r.SetTraceparent(header(r, k.traceparent))
	r.SetFirst(schema.TraceID, r.At(k.traceW3C), r.At(k.traceB3), r.At(k.traceDatadog))
	r.SetSource(r.Text(r.At(k.clientIP)), r.Text(header(r, k.forwarded)))
}

// identify sets the fields of the caller: the consumer, else its credential, else the header that Kong's authentication
// sets.
func (k *kong) identify(r *formats.Record) {
	r.Agent("consumer.id", r.Text(r.At(k.consumerID)))
	r.Agent("consumer.custom_id", r.Text(r.At(k.customID)))
	r.Agent("consumer.username", r.Text(r.At(k.username)))
	r.Agent("authenticated_entity.id", r.Text(r.At(k.credentialID)))
	r.Agent("request.headers.x-consumer-username", r.Text(header(r, k.headerName)))
	r.SetFirst(schema.AIAgentName, r.At(k.username), r.At(k.customID), header(r, k.headerName))
	r.SetText(schema.ClientAppID, r.At(k.customID))
	k.mcp.identify(r)
	r.AgentByAddress(r.Text(header(r, k.userAgent)))
}

// credential sets the fields of the credential: Kong's id of it, else the hash of a key or token in the headers.
func (k *kong) credential(r *formats.Record) {
	token := formats.Bearer(r.Text(header(r, k.authorization)))
	kind := ""
	if token != "" {
		kind = formats.TokenType(token)
	} else if token = r.FirstText(header(r, k.apiKey), header(r, k.xAPIKey), header(r, k.bareAPIKey)); token != "" {
		kind = "api_key"
	}
	uid := r.Text(r.At(k.credentialID))
	if uid == "" && r.Wants(schema.CredentialUID) {
		uid = r.Secret(token)
	}
	r.Put(schema.CredentialUID, uid)
	r.Put(schema.CredentialType, kind)
}

// outcome sets the outcome from the HTTP status and returns the status, or 0.
func (k *kong) outcome(r *formats.Record) (status int64) {
	n := r.At(k.status)
	status, ok := scan.Int(n.Src, n.Span)
	if !ok {
		r.SetOutcome(formats.Unknown)
		return 0
	}
	r.SetStatus(status)
	r.SetInt(schema.HTTPResponseStatusCode, n)
	return status
}

// refused reports whether Kong itself answered 400 without calling an upstream, as its prompt guards do.
func (k *kong) refused(r *formats.Record, status int64) bool {
	proxy := r.At(k.proxyLatency)
	ms, ok := scan.Int(proxy.Src, proxy.Span)
	return status == 400 && ok && ms < 0 && r.Text(r.At(k.upstreamStatus)) == ""
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
