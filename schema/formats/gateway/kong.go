// Package gateway reads the access logs of API gateways, with what they say of models and tools behind them.
package gateway

import (
	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Kong is what the log serializer of Kong Gateway gives to http-log, file-log, kafka-log and the others, with the blocks
// of its AI plugins.
func Kong() formats.Format {
	return formats.Format{
		Name:     "kong_http_log",
		Aliases:  []string{"kong"},
		Datasets: []string{"kong.http_log"},
		Tells: []formats.Tell{
			{Keys: []string{"started_at", "latencies", "request"}},
		},
		Open: openKong,
	}
}

type kong struct {
	started, latency, upstreamStatus, proxyLatency, clientIP                                        int
	requestID, method, uri, url, requestSize, status, responseSize                                  int
	serviceName, serviceHost, routePaths, routeName                                                 int
	consumerID, customID, username, credentialID                                                    int
	host, userAgent, forwarded, headerName, traceparent, authorization, apiKey, xAPIKey, bareAPIKey int
	traceW3C, traceB3, traceDatadog                                                                 int
	ai                                                                                              int
	models                                                                                          *models
	mcp                                                                                             *toolServer
	a2a                                                                                             *agentCalls
}

func openKong(p *formats.Paths) formats.Reader {
	sent := func(name string) int { return p.Add("request", "headers", name) }
	return &kong{
		started: p.Add("started_at"), latency: p.Add("latencies", "request"), proxyLatency: p.Add("latencies", "proxy"),
		upstreamStatus: p.Add("upstream_status"), clientIP: p.Add("client_ip"),
		requestID: p.Add("request", "id"), method: p.Add("request", "method"), uri: p.Add("request", "uri"), url: p.Add("request", "url"),
		requestSize: p.Add("request", "size"), status: p.Add("response", "status"), responseSize: p.Add("response", "size"),
		serviceName: p.Add("service", "name"), serviceHost: p.Add("service", "host"),
		routePaths: p.Add("route", "paths"), routeName: p.Add("route", "name"),
		consumerID: p.Add("consumer", "id"), customID: p.Add("consumer", "custom_id"), username: p.Add("consumer", "username"),
		credentialID: p.Add("authenticated_entity", "id"),
		host:         sent("host"), userAgent: sent("user-agent"), forwarded: sent("x-forwarded-for"), headerName: sent("x-consumer-username"),
		traceparent: sent("traceparent"), authorization: sent("authorization"),
		apiKey: sent("apikey"), xAPIKey: sent("x-api-key"), bareAPIKey: sent("api-key"),
		traceW3C: p.Add("trace_id", "w3c"), traceB3: p.Add("trace_id", "b3"), traceDatadog: p.Add("trace_id", "datadog"),
		ai:     p.Open("ai"),
		models: openModels(p),
		mcp:    openToolServer(p),
		a2a:    openAgentCalls(p),
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

// header returns a header's value; one that was sent several times is a list, of which the first counts.
func header(r *formats.Record, place int) formats.Node {
	if n := r.At(place); n.Kind != scan.Array {
		return n
	}
	return r.First(r.At(place))
}

// request sets what was asked for over HTTP.
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

// identify tells who calls: the consumer, its credential, the header that Kong's authentication sets.
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

// credential sets what the caller showed: Kong's id of it, else the hash of a key or token in the headers.
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

// outcome reads the status.
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

// refused says that Kong itself answered with a client's error, as its prompt guards do: no upstream was asked.
func (k *kong) refused(r *formats.Record, status int64) bool {
	proxy := r.At(k.proxyLatency)
	ms, ok := scan.Int(proxy.Src, proxy.Span)
	return status == 400 && ok && ms < 0 && r.Text(r.At(k.upstreamStatus)) == ""
}

// isProxy says that a member of the ai block is the plugin that calls the model.
func isProxy(name string) bool {
	return name == "proxy" || name == "ai-proxy" || name == "ai-proxy-advanced"
}

// isPlugin says that a member of the ai block can be a plugin that calls a model; before 3.11 its key is the name that
// the operator gave it.
func isPlugin(name string) bool {
	switch name {
	case "mcp", "a2a", "audit", "sanitizer", "compressor", "payload":
		return false
	}
	return true
}
