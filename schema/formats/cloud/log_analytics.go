package cloud

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// A workspace of Log Analytics exports the rows of its tables. The columns of a row are those of the diagnostic record from
// which it was made, in Pascal case and all at the top. AppendAzureRow makes a diagnostic record of a row again, so that both
// have one reader.

// tableCategories are the tables that are read, with the category of their rows, or "" if the rows have a column for it. Other
// tables, such as those of the logs of containers and applications, hold what workloads write.
var tableCategories = map[string]string{
	"SigninLogs":                          "SignInLogs",
	"AADNonInteractiveUserSignInLogs":     "NonInteractiveUserSignInLogs",
	"AADServicePrincipalSignInLogs":       "ServicePrincipalSignInLogs",
	"AADManagedIdentitySignInLogs":        "ManagedIdentitySignInLogs",
	"AADGraphActivityLogs":                "AzureADGraphActivityLogs",
	"MicrosoftGraphActivityLogs":          "MicrosoftGraphActivityLogs",
	"AZKVAuditLogs":                       "AuditEvent",
	"ApiManagementGatewayLogs":            "GatewayLogs",
	"ApiManagementGatewayLlmLog":          "GatewayLlmLogs",
	"ApiManagementGatewayMCPLog":          "GatewayMCPLogs",
	"AGWAccessLogs":                       "ApplicationGatewayAccessLog",
	"AGWFirewallLogs":                     "ApplicationGatewayFirewallLog",
	"AzureActivity":                       "Administrative",
	"CloudAppEvents":                      defenderTable + "CloudAppEvents",
	"IdentityLogonEvents":                 defenderTable + "IdentityLogonEvents",
	"AuditLogs":                           "AuditLogs",
	"AADProvisioningLogs":                 "ProvisioningLogs",
	"AADUserRiskEvents":                   "UserRiskEvents",
	"AADServicePrincipalRiskEvents":       "ServicePrincipalRiskEvents",
	"StorageBlobLogs":                     "",
	"StorageFileLogs":                     "",
	"StorageQueueLogs":                    "",
	"StorageTableLogs":                    "",
	"AzureDiagnostics":                    "",
	"ADFSSignInLogs":                      "ADFSSignInLogs",
	"MicrosoftServicePrincipalSignInLogs": "MicrosoftServicePrincipalSignInLogs",
}

// rowKeys are the columns that are keys at the top of a diagnostic record, or claims and requesters in its identity.
var rowKeys = map[string]string{
	"TimeGenerated": "time", "OperationName": "operationName", "OperationNameValue": "operationName", "ResultType": "resultType",
	"ActivityStatusValue": "resultType", "ResultSignature": "resultSignature", "ResultDescription": "resultDescription",
	"DurationMs": "durationMs", "CallerIpAddress": "callerIpAddress", "CallerIPAddress": "callerIpAddress", "CorrelationId": "correlationId",
	"Location": "location", "Level": "level", "AADTenantId": "tenantId", "_ResourceId": "resourceId", "ResourceId": "resourceId",
	"StatusCode": "statusCode", "StatusText": "statusText", "Uri": "uri", "IsRequestSuccess": "isRequestSuccess",
}

// rowObjects are the columns that are objects or lists, which some exports encode in a string.
var rowObjects = map[string]bool{
	"Agent": true, "Status": true, "InitiatedBy": true, "TargetResources": true, "Claims": true, "Authorization": true, "Identity": true,
	"DeviceDetail": true, "RequestMessages": true, "ResponseMessages": true, "BackendRequestHeaders": false,
}

// AppendAzureRow appends the diagnostic record of a row of a table. It returns false if the row is of no table.
func AppendAzureRow(dst []byte, el *formats.Element, row formats.Node) ([]byte, bool) {
	table, category, tenant, resource, operation := "", "", "", false, false
	start := len(dst)
	dst = append(dst, '{')
	properties, identity, claims := []byte(`"properties":{`), []byte(`"identity":{`), []byte(`"claim":{`)
	el.Index.Members(row.Src, row.Span, &el.Arena, func(key string, v scan.Span) bool {
		n := formats.Node{Src: row.Src, Span: v}
		switch key {
		case "Type":
			table = el.Text(n)
		case "Category", "CategoryValue":
			category = el.Text(n)
		case "TenantId":
			tenant = el.Text(n)
		}
		if rowObjects[key] {
			n, _ = el.Unwrap(n)
		}
		if top := rowKeys[key]; top != "" {
			resource, operation = resource || top == "resourceId", operation || top == "operationName"
			dst = appendMember(dst, top, n)
		}
		name := withoutType(key)
		if claim, ok := strings.CutPrefix(name, "identity_claim_"); ok {
			claims = appendMember(claims, claim, n)
		} else if key == "Claims" || key == "Identity" {
			identity = appendMember(identity, "claims", n)
		} else {
			properties = appendMember(properties, camel(name), n)
		}
		return true
	})
	known, ok := tableCategories[table]
	if !ok {
		return dst[:start], false
	}
	if known != "" && category != "Policy" {
		category = known
	} else if category == "" {
		category = table
	}
	dst = formats.AppendString(append(dst, `"category":`...), category)
	dst = append(dst, ',')
	if !resource {
		dst = formats.AppendString(append(dst, `"resourceId":`...), firstOf(tenantResource(tenant), "/"))
		dst = append(dst, ',')
	}
	if !operation {
		dst = formats.AppendString(append(dst, `"operationName":`...), table)
		dst = append(dst, ',')
	}
	identity = append(identity, closed(claims)...)
	dst = append(append(dst, closed(identity)...), ',')
	return append(append(dst, closed(properties)...), '}'), true
}

// tenantResource returns the id of the resource that is a tenant's directory, or "".
func tenantResource(tenant string) string {
	if tenant == "" {
		return ""
	}
	return "/tenants/" + tenant + "/providers/Microsoft.aadiam"
}

// appendMember appends a member of an object and a comma.
func appendMember(dst []byte, key string, n formats.Node) []byte {
	dst = formats.AppendString(dst, key)
	return append(append(append(dst, ':'), n.Raw()...), ',')
}

// closed closes an object that may end with a comma.
func closed(object []byte) []byte {
	if last := len(object) - 1; object[last] == ',' {
		object = object[:last]
	}
	return append(object, '}')
}

// withoutType returns the name of a column without the suffix for its type that the columns of AzureDiagnostics have.
func withoutType(name string) string {
	if n := len(name) - 2; n > 0 && name[n] == '_' && strings.IndexByte("sdgbt", name[n+1]) >= 0 {
		return name[:n]
	}
	return name
}

// camel returns a name in Pascal case in camel case: IPAddress becomes ipAddress.
func camel(name string) string {
	n := 0
	for n < len(name) && isUpper(name[n]) {
		n++
	}
	if n > 1 && n < len(name) {
		n-- // the last capital begins the next word
	}
	return strings.ToLower(name[:n]) + name[n:]
}

// AppendGraphRow appends the diagnostic record of a sign-in or an audit event of Entra as Microsoft Graph's pages have it:
// the properties of the record alone. The time is the value of the key that the kind of object has.
func AppendGraphRow(dst []byte, row formats.Node, time formats.Node, category string, operation formats.Node) []byte {
	dst = append(append(dst, `{"time":`...), time.Raw()...)
	dst = formats.AppendString(append(dst, `,"category":`...), category)
	dst = append(dst, `,"operationName":`...)
	if operation.Present() {
		dst = append(dst, operation.Raw()...)
	} else {
		dst = append(dst, `"Sign-in activity"`...)
	}
	dst = append(dst, `,"resourceId":"/providers/Microsoft.aadiam","properties":`...)
	return append(append(dst, row.Raw()...), '}')
}

// AppendInsightsRow appends the OTLP request of a row of Application Insights: a dependency, which is a call that the
// application made, or a request, which is a call that it answered. It returns false for rows of other tables, and for a row
// without a time.
func AppendInsightsRow(dst []byte, el *formats.Element, row formats.Node) ([]byte, bool) {
	var r insightsRow
	el.Index.Members(row.Src, row.Span, &el.Arena, func(key string, v scan.Span) bool {
		r.set(el, key, formats.Node{Src: row.Src, Span: v})
		return true
	})
	if r.kind == "" || !r.hasTime {
		return dst, false
	}
	dst = append(dst, `{"resourceSpans":[{"resource":{"attributes":[`...)
	dst = appendAttribute(dst, "service.name", r.role)
	dst = append(dst, `]},"scopeSpans":[{"spans":[{"kind":`...)
	dst = append(append(dst, r.kind...), `,"traceId":`...)
	dst = append(formats.AppendString(dst, r.trace), `,"spanId":`...)
	dst = append(formats.AppendString(dst, r.span), `,"parentSpanId":`...)
	dst = append(formats.AppendString(dst, r.parent), `,"name":`...)
	dst = append(formats.AppendString(dst, r.name), `,"startTimeUnixNano":"`...)
	dst = strconv.AppendInt(dst, r.time, 10)
	if r.millis > 0 {
		dst = strconv.AppendInt(append(dst, `","endTimeUnixNano":"`...), r.time+int64(r.millis*nsPerMilli), 10)
	}
	dst = append(dst, `","status":{"code":`...)
	if r.failed {
		dst = append(dst, `2},"attributes":[`...)
	} else {
		dst = append(dst, `0},"attributes":[`...)
	}
	first := true
	if op, _, _ := strings.Cut(r.name, " "); r.genAI && slices.Contains(spanOperations[:], op) {
		dst = appendAttribute(dst, attributeOperation, op)
		first = false
	}
	el.Index.Members(r.properties.Src, r.properties.Span, &el.Arena, func(key string, v scan.Span) bool {
		if text := el.Text(formats.Node{Src: r.properties.Src, Span: v}); text != "" {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendAttribute(dst, key, text)
		}
		return true
	})
	return append(dst, `]}]}]}]}`...), true
}

// attributeOperation is the attribute that names the operation of a span about an agent. If it is missing, the span's name
// begins with the operation, by the GenAI conventions.
const attributeOperation = "gen_ai.operation.name"

var spanOperations = [...]string{"chat", "create_agent", "embeddings", "execute_tool", "generate_content", "invoke_agent", "text_completion"}

// insightsRow holds the columns of a row of Application Insights.
type insightsRow struct {
	role, name, trace, span, parent string
	kind                            string // of the span: 3 for a client, 2 for a server
	properties                      formats.Node
	time                            int64
	millis                          float64
	hasTime, failed                 bool
	genAI                           bool // the span is about an agent, and its attributes do not name the operation
}

// maxMillis bounds a duration, 10 years.
const maxMillis = 10 * 365 * 86400e3

func (r *insightsRow) set(el *formats.Element, key string, n formats.Node) {
	switch key {
	case "Type":
		switch el.Text(n) {
		case "AppDependencies":
			r.kind = "3"
		case "AppRequests":
			r.kind = "2"
		}
	case "TimeGenerated", "time":
		r.time, r.hasTime = scan.Time(n.Src, n.Span)
	case "DurationMs":
		if ms, ok := scan.Double(n.Src, n.Span); ok && ms > 0 && ms < maxMillis {
			r.millis = ms
		}
	case "AppRoleName":
		r.role = el.Text(n)
	case "Name":
		r.name = el.Text(n)
	case "OperationId":
		r.trace = el.Text(n)
	case "Id":
		r.span = el.Text(n)
	case "ParentId":
		r.parent = el.Text(n)
	case "Success":
		r.failed = n.Kind == scan.False || strings.EqualFold(el.Text(n), "false")
	case "Properties":
		r.properties, _ = el.Unwrap(n)
		el.Index.Members(r.properties.Src, r.properties.Span, &el.Arena, func(key string, _ scan.Span) bool {
			r.genAI = key != attributeOperation && (r.genAI || strings.HasPrefix(key, "gen_ai."))
			return key != attributeOperation
		})
	}
}

// appendAttribute appends an attribute of OTLP whose value is a text.
func appendAttribute(dst []byte, key, text string) []byte {
	dst = formats.AppendString(append(dst, `{"key":`...), key)
	dst = formats.AppendString(append(dst, `,"value":{"stringValue":`...), text)
	return append(dst, `}}`...)
}
