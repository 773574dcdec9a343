package sigma

import (
	"strings"

	"github.com/aidr-engine/aidr/rules/doc"
	"github.com/aidr-engine/aidr/schema"
)

// source is a log that Sigma rules can be about: the datasets that carry it, and the places of its fields.
type source struct {
	product, service, category string // as in logsource; "" matches any
	datasets                   []string
	// fields are the places of fields whose name in Sigma is not a path of the record, by name in lower case. A field of
	// which several are listed is in one or the other, as the producer ships it.
	fields map[string][]place
	// lists are the paths of the record that hold lists, in lower case without [].
	lists map[string]bool
	// variants returns further paths of a field that fields does not list; nil: its name is the only one.
	variants func(name string) []string
	// strict refuses fields that are not listed.
	strict bool
	known  string // the names to write instead, if strict
	// keywords are the places that a search without a field looks into.
	keywords []place
	refused  string // the reason if the log cannot be translated
}

// sourceOf returns the log of a rule, or nil after recording a problem.
func sourceOf(n *doc.Node, fields *doc.Fields) *source {
	text := func(key string) string {
		x := fields.Get(key)
		if x == nil || x.Kind != doc.Text {
			return ""
		}
		return strings.ToLower(x.String())
	}
	product, service, category := text("product"), text("service"), text("category")
	for i := range sources {
		s := &sources[i]
		if (s.product == "" || s.product == product) && (s.service == "" || s.service == service) && (s.category == "" || s.category == category) {
			if s.refused != "" {
				n.Fail("%s", s.refused)
				return nil
			}
			return s
		}
	}
	var what []string
	for _, k := range []struct{ key, value string }{{"product", product}, {"service", service}, {"category", category}} {
		if k.value != "" {
			what = append(what, k.key+" "+doc.Short(k.value))
		}
	}
	n.Fail("no dataset carries the logs of %s: rules are translated for %s; leave this one out", strings.Join(what, ", "), knownSources)
	return nil
}

const knownSources = "AWS CloudTrail, Azure (activitylogs, auditlogs, signinlogs, riskdetection), GCP audit, Okta, GitHub, Kubernetes audit, " +
	"Microsoft 365 audit, and the categories webserver and proxy"

// raws returns the places of paths of the record.
func raws(paths ...string) (out []place) {
	for _, p := range paths {
		out = append(out, rawPlace(p))
	}
	return out
}

func field(f schema.Field, paths ...string) []place {
	return append([]place{fieldPlace(f)}, raws(paths...)...)
}

// same returns a field that holds the value of a path of the record unchanged, and further paths.
func same(f schema.Field, path string, paths ...string) []place {
	return append([]place{{field: f, path: strings.Split(path, ".")}}, raws(paths...)...)
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[strings.ToLower(n)] = true
	}
	return m
}

// sources are the logs, the first that fits a rule counts.
var sources = []source{
	{
		product: "aws", service: "cloudtrail", datasets: []string{"aws.cloudtrail"},
		fields: map[string][]place{
			"eventsource": same(schema.ServiceTargetName, "eventSource"),
			"awsregion":   same(schema.CloudRegion, "awsRegion"),
			"errorcode":   same(schema.ErrorType, "errorCode"),
			"useragent":   same(schema.UserAgentOriginal, "userAgent"),
			"eventid":     same(schema.EventID, "eventID"),
			"eventtime":   field(schema.Time),
		},
		lists: set("resources", "requestParameters.containerDefinitions", "requestParameters.ipPermissions.items", "requestParameters.tagSet.items",
			"requestParameters.instancesSet.items", "responseElements.instancesSet.items"),
		keywords: raws("eventSource", "eventName", "userIdentity", "userAgent", "sourceIPAddress", "errorCode", "errorMessage", "requestParameters",
			"responseElements", "additionalEventData", "serviceEventDetails", "resources", "eventType", "awsRegion"),
	},
	{product: "azure", service: "pim", refused: "no dataset carries the alerts of Privileged Identity Management, which Azure sends by mail only: leave the rule out"},
	{
		product: "azure", service: "activitylogs", datasets: []string{"azure.activity"}, variants: azureVariants,
		fields: map[string][]place{
			"operationname":      same(schema.EventAction, "operationName"),
			"operationnamevalue": same(schema.EventAction, "operationName"),
			"operation":          same(schema.EventAction, "operationName"),
			"category":           raws("category", "Category", "CategoryValue"),
			"categoryvalue":      raws("category", "Category", "CategoryValue"),
			"resourceid":         raws("resourceId", "ResourceId", "_ResourceId"),
			"time":               field(schema.Time),
		},
		keywords: append([]place{fieldPlace(schema.EventAction)}, raws("resourceId", "ResourceId", "category", "CategoryValue", "properties", "Properties",
			"identity", "Claims", "resultType", "resultDescription")...),
	},
	{
		product: "azure", service: "auditlogs", datasets: []string{"azure.activity"}, variants: azureVariants,
		fields: map[string][]place{
			"operationname":       same(schema.EventAction, "operationName", "properties.activityDisplayName"),
			"activitydisplayname": same(schema.EventAction, "operationName", "properties.activityDisplayName", "ActivityDisplayName"),
			"properties.message":  same(schema.EventAction, "operationName", "properties.message", "properties.activityDisplayName"),
			"category":            raws("properties.category", "Category", "category"),
			"status":              raws("properties.result", "Result", "resultType"),
			"properties.result":   raws("properties.result", "Result"),
			"targetresources":     raws("properties.targetResources", "TargetResources"),
			"time":                field(schema.Time),
		},
		lists: set("properties.targetResources", "targetResources", "properties.targetResources.modifiedProperties", "targetResources.modifiedProperties",
			"properties.additionalDetails", "additionalDetails"),
		keywords: append([]place{fieldPlace(schema.EventAction)}, raws("properties", "TargetResources", "InitiatedBy", "AdditionalDetails", "identity")...),
	},
	{
		product: "azure", service: "signinlogs", datasets: []string{"azure.entra_signin"}, variants: azureVariants,
		fields: map[string][]place{
			"resulttype":        raws("resultType", "ResultType", "properties.status.errorCode"),
			"resultdescription": raws("resultDescription", "ResultDescription", "properties.status.failureReason"),
			"useragent":         same(schema.UserAgentOriginal, "properties.userAgent"),
			"username":          raws("properties.userPrincipalName", "UserPrincipalName"),
			"clientapp":         raws("properties.clientAppUsed", "ClientAppUsed"),
			"time":              field(schema.Time),
		},
		lists:    set("properties.networkLocationDetails", "networkLocationDetails", "properties.authenticationDetails", "authenticationDetails"),
		keywords: raws("properties", "resultType", "ResultType", "resultDescription", "ResultDescription", "operationName", "identity"),
	},
	{
		product: "azure", service: "riskdetection", datasets: []string{"azure.activity"}, variants: azureVariants,
		fields:   map[string][]place{"time": field(schema.Time)},
		keywords: raws("properties", "operationName", "category"),
	},
	{
		product: "gcp", service: "gcp.audit", datasets: []string{"gcp.audit"}, variants: gcpVariants,
		fields: map[string][]place{
			"gcp.audit.method_name":            same(schema.EventAction, "protoPayload.methodName"),
			"gcp.audit.service_name":           same(schema.ServiceTargetName, "protoPayload.serviceName"),
			"gcp.audit.resource_name":          raws("protoPayload.resourceName"),
			"data.protopayload.methodname":     same(schema.EventAction, "protoPayload.methodName"),
			"protopayload.methodname":          same(schema.EventAction, "protoPayload.methodName"),
			"data.protopayload.servicename":    same(schema.ServiceTargetName, "protoPayload.serviceName"),
			"protopayload.servicename":         same(schema.ServiceTargetName, "protoPayload.serviceName"),
			"data.protopayload.logname":        raws("logName"),
			"data.protopayload.resource.type":  raws("resource.type"),
			"timestamp":                        field(schema.Time),
			"gcp.audit.authentication_info":    raws("protoPayload.authenticationInfo"),
			"gcp.audit.authorization_info":     raws("protoPayload.authorizationInfo"),
			"gcp.audit.request_metadata":       raws("protoPayload.requestMetadata"),
			"gcp.audit.status.code":            raws("protoPayload.status.code"),
			"gcp.audit.status.message":         raws("protoPayload.status.message"),
			"gcp.audit.principal_email":        raws("protoPayload.authenticationInfo.principalEmail"),
			"data.protopayload.principalemail": raws("protoPayload.authenticationInfo.principalEmail"),
		},
		lists: set("protoPayload.authorizationInfo", "protoPayload.serviceData.policyDelta.bindingDeltas", "protoPayload.request.policy.bindings"),
		keywords: raws("protoPayload.methodName", "protoPayload.serviceName", "protoPayload.resourceName", "protoPayload.authenticationInfo",
			"protoPayload.authorizationInfo", "protoPayload.request", "protoPayload.response", "protoPayload.requestMetadata", "protoPayload.serviceData",
			"protoPayload.metadata", "protoPayload.status", "resource", "logName", "labels"),
	},
	{product: "gcp", service: "google_workspace.admin", datasets: []string{"gcp.audit"}, strict: true, known: workspaceNames, fields: workspaceFields, keywords: workspaceKeywords},
	{product: "gcp", service: "google_workspace.login", datasets: []string{"gcp.audit"}, strict: true, known: workspaceNames, fields: workspaceFields, keywords: workspaceKeywords},
	{
		product: "okta", datasets: []string{"okta.system"},
		fields: map[string][]place{
			"eventtype": same(schema.EventAction, "eventType"), "eventtype_name": same(schema.EventAction, "eventType"),
			"uuid": same(schema.EventID, "uuid"), "published": field(schema.Time), "displaymessage": raws("displayMessage"),
		},
		lists: set("target", "request.ipChain"),
		keywords: raws("eventType", "displayMessage", "legacyEventType", "actor", "client", "target", "outcome", "debugContext", "authenticationContext",
			"securityContext", "request", "transaction"),
	},
	{
		product: "github", service: "audit", datasets: []string{"github.audit"},
		fields:   map[string][]place{"action": same(schema.EventAction, "action"), "_document_id": same(schema.EventID, "_document_id")},
		keywords: raws("action", "actor", "org", "repo", "user", "team", "data", "name", "event", "visibility", "permission", "user_agent", "business", "config"),
	},
	{
		product: "kubernetes", datasets: []string{"kubernetes.audit"},
		fields: map[string][]place{
			"apigroup": raws("objectRef.apiGroup"), "namespace": raws("objectRef.namespace"), "resource": raws("objectRef.resource"),
			"subresource": raws("objectRef.subresource"), "username": raws("user.username"),
			"hostpath":     raws("requestObject.spec.volumes[].hostPath.path"),
			"capabilities": raws("requestObject.spec.containers[].securityContext.capabilities.add"),
			"auditid":      same(schema.EventID, "auditID"),
		},
		lists: set("requestObject.spec.containers", "requestObject.spec.initContainers", "requestObject.spec.volumes", "requestObject.subjects",
			"requestObject.rules", "requestObject.spec.template.spec.containers", "requestObject.spec.template.spec.volumes"),
		keywords: raws("verb", "requestURI", "user", "impersonatedUser", "sourceIPs", "userAgent", "objectRef", "responseStatus", "requestObject",
			"responseObject", "annotations"),
	},
	{product: "m365", service: "threat_management", refused: m365Alerts},
	{product: "m365", service: "threat_detection", refused: m365Alerts},
	{
		product: "m365", datasets: []string{"m365.audit"},
		fields: map[string][]place{
			"operation": same(schema.EventAction, "Operation"), "eventname": same(schema.EventAction, "Operation"),
			"workload": same(schema.ServiceTargetName, "Workload"), "eventsource": same(schema.ServiceTargetName, "Workload"),
			"id": same(schema.EventID, "Id"), "creationtime": field(schema.Time),
			"operationproperties": raws("OperationProperties"), "status": raws("ResultStatus"),
		},
		lists: set("Parameters", "ExtendedProperties", "ModifiedProperties", "OperationProperties", "DeviceProperties", "Actor", "Target"),
		keywords: raws("Operation", "Workload", "ObjectId", "UserId", "Parameters", "ExtendedProperties", "ModifiedProperties", "OperationProperties",
			"AppAccessContext", "ClientIP", "UserAgent", "Item", "Folder", "AffectedItems", "ResultStatus", "Target", "Actor", "SourceFileName"),
	},
	{category: "proxy", datasets: []string{"@gateway"}, strict: true, known: webNames, fields: webFields, keywords: webKeywords},
	{category: "webserver", datasets: []string{"@gateway"}, strict: true, known: webNames, fields: webFields, keywords: webKeywords},
	{product: "nginx", datasets: []string{"nginx.access"}, strict: true, known: webNames, fields: webFields, keywords: webKeywords},
	{service: "nginx", datasets: []string{"nginx.access"}, strict: true, known: webNames, fields: webFields, keywords: webKeywords},
}

// workspaceFields are the places of the fields of Google Workspace, whose events GCP's audit log holds.
var workspaceFields = map[string][]place{
	"eventservice":                          same(schema.ServiceTargetName, "protoPayload.serviceName"),
	"eventname":                             raws("protoPayload.metadata.event[].eventName"),
	"protopayload.servicename":              same(schema.ServiceTargetName, "protoPayload.serviceName"),
	"protopayload.methodname":               same(schema.EventAction, "protoPayload.methodName"),
	"protopayload.metadata.event.eventname": raws("protoPayload.metadata.event[].eventName"),
}

var workspaceKeywords = raws("protoPayload.methodName", "protoPayload.serviceName", "protoPayload.metadata", "protoPayload.authenticationInfo", "protoPayload.resourceName")

const workspaceNames = "eventService, eventName, protoPayload.serviceName, protoPayload.methodName, protoPayload.metadata.event.eventName"

const m365Alerts = "the rule reads alerts of Defender for Cloud Apps, whose fields the audit log of Microsoft 365 does not have: leave the rule out"

// targets are the places of the target of a request, the path with the query, in the gateways' logs.
var targets = append(field(schema.URLPath), place{isRaw: true, path: []string{":path"}},
	rawPlace("request_uri"), rawPlace("uri"), rawPlace("path"), rawPlace("http_uri"), rawPlace("request_url"), rawPlace("request.uri"),
	rawPlace("RequestPath"), rawPlace("ClientRequestURI"), rawPlace("httpRequest.requestUrl"), rawPlace("httpRequest.uri"), rawPlace("httpRequest.args"),
	rawPlace("requestPath"), rawPlace("rawPath"), rawPlace("query_string"), rawPlace("args"))

// webFields are the places of the fields of web servers and proxies, which are those of the W3C format.
var webFields = map[string][]place{
	"cs-method":        field(schema.HTTPRequestMethod),
	"cs-host":          field(schema.URLDomain),
	"r-dns":            field(schema.URLDomain),
	"cs-uri-stem":      field(schema.URLPath),
	"sc-status":        field(schema.HTTPResponseStatusCode),
	"c-useragent":      field(schema.UserAgentOriginal),
	"cs-user-agent":    field(schema.UserAgentOriginal),
	"cs(user-agent)":   field(schema.UserAgentOriginal),
	"c-ip":             field(schema.SourceIP),
	"src_ip":           field(schema.SourceIP),
	"cs-bytes":         field(schema.HTTPRequestBytes),
	"sc-bytes":         field(schema.HTTPResponseBytes),
	"cs-username":      field(schema.UserName),
	"c-uri":            targets,
	"cs-uri":           targets,
	"cs-uri-query":     targets,
	"c-uri-query":      targets,
	"cs-referer":       raws("http_referer", "referer", "request.headers.referer", "ClientRequestReferer", "httpRequest.referer", "request_Referer"),
	"cs-referrer":      raws("http_referer", "referer", "request.headers.referer", "ClientRequestReferer", "httpRequest.referer", "request_Referer"),
	"cs-content-type":  raws("request.headers.content-type", "http_content_type", "content_type"),
	"c-uri-extension":  nil,
	"cs-cookie":        nil,
	"cs-uri-extension": nil,
}

// webRefused are the reasons of fields of webFields that have no place.
var webRefused = map[string]string{
	"c-uri-extension":  "no field holds the extension of a path: write cs-uri-stem|endswith with the dot",
	"cs-uri-extension": "no field holds the extension of a path: write cs-uri-stem|endswith with the dot",
	"cs-cookie":        "cookies are credentials, which no rule can read: remove the item",
}

var webKeywords = append(field(schema.UserAgentOriginal, "http_referer", "referer", "request.headers.referer", "ClientRequestReferer"), targets...)

// azureVariants returns the paths of a field of Azure's logs: as it is written, with small letters at the starts of keys as in
// diagnostic settings, and below properties.
func azureVariants(name string) []string {
	keys := strings.Split(name, ".")
	small, large := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		if k != "" {
			small[i], large[i] = strings.ToLower(k[:1])+k[1:], strings.ToUpper(k[:1])+k[1:]
		}
	}
	switch strings.ToLower(strings.Join(small, ".")) {
	case "devicedetail.trusttype":
		small[1] = "trustType"
	}
	lower := strings.Join(small, ".")
	out := []string{name}
	add := func(p string) {
		for _, o := range out {
			if o == p {
				return
			}
		}
		out = append(out, p)
	}
	add(lower)
	if small[0] != "properties" {
		add("properties." + lower)
		add(large[0] + strings.TrimPrefix(lower, small[0]))
	}
	return out
}

// gcpVariants returns the path of a field of GCP's audit log, which rules write below data or gcp.audit.
func gcpVariants(name string) []string {
	if rest, ok := strings.CutPrefix(name, "data."); ok {
		return []string{rest}
	}
	if rest, ok := strings.CutPrefix(name, "gcp.audit."); ok {
		keys := strings.Split(rest, ".")
		for i, k := range keys {
			keys[i] = camel(k)
		}
		return []string{"protoPayload." + strings.Join(keys, ".")}
	}
	return []string{name}
}

// camel returns a name with underscores in camel case.
func camel(s string) string {
	parts := strings.Split(s, "_")
	for i := 1; i < len(parts); i++ {
		if parts[i] != "" {
			parts[i] = strings.ToUpper(parts[i][:1]) + parts[i][1:]
		}
	}
	return strings.Join(parts, "")
}

// places returns the places of a field; problem is the reason if it has none.
func (s *source) places(name string) (out []place, problem string) {
	lower := strings.ToLower(name)
	if found, ok := s.fields[lower]; ok {
		if found == nil {
			return nil, webRefused[lower]
		}
		return s.withLists(found, name), ""
	}
	if s.strict {
		return nil, "no field of this log holds it: remove the item, or write one of " + s.known
	}
	paths := []string{name}
	if s.variants != nil {
		paths = s.variants(name)
	}
	for _, p := range paths {
		out = append(out, rawPlace(p))
	}
	return s.withLists(out, name), ""
}

const webNames = "cs-method, cs-host, cs-uri-stem, cs-uri-query, c-uri, sc-status, cs-user-agent, cs-referer, c-ip, cs-bytes, sc-bytes, cs-username"

// withLists marks the keys of paths that hold lists, unless the list is the field itself, whose text is searched as a whole.
func (s *source) withLists(in []place, name string) (out []place) {
	for _, p := range in {
		if p.isRaw {
			p.path = append([]string(nil), p.path...)
			for i := range p.path {
				for _, mark := range [...]string{"{}", "[]"} {
					if k, ok := strings.CutSuffix(p.path[i], mark); ok && k != "" {
						p.path[i] = k + "[]"
					}
				}
				plain := strings.ToLower(strings.ReplaceAll(strings.Join(p.path[:i+1], "."), "[]", ""))
				if i+1 < len(p.path) && s.lists[plain] && !strings.HasSuffix(p.path[i], "[]") {
					p.path[i] += "[]"
				}
			}
		}
		out = append(out, p)
	}
	return out
}
