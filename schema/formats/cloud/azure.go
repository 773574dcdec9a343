package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Azure returns the format of Azure Monitor's diagnostic records, as they arrive in an Event Hub: calls through API
// Management, calls of Azure OpenAI, sign-ins of Entra, audit events of AKS, and the activity log with all other resource
// logs.
func Azure() formats.Format {
	return formats.Format{
		Name:    "azure_diagnostics",
		Aliases: []string{"azure"},
		Datasets: []string{
			"azure.activity", "azure.apim_gateway", "azure.application_gateway", "azure.defender", "azure.entra_signin", "azure.front_door",
			"azure.graph_activity", "azure.openai",
		},
		Families: []string{formats.FamilyAudit},
		Apart: map[string][]string{
			"azure.apim_gateway":        {formats.FamilyGateway, formats.FamilyLLM},
			"azure.application_gateway": {formats.FamilyGateway},
			"azure.front_door":          {formats.FamilyGateway},
			"azure.openai":              {formats.FamilyLLM},
		},
		Signatures: []formats.Signature{
			{Keys: []string{"category", "resourceId", "operationName"}},
			{Keys: []string{"category", "tenantId", "operationName", "properties"}},
			{Keys: []string{"category", "resourceId", "properties"}},   // Front Door, which names the operation in the category
			{Keys: []string{"ActivityName", "ResourceId", "AuthType"}}, // Event Hubs
			{Keys: []string{"category", "properties", "operationName"}, Path: []string{"category"}, Text: "kube-audit"},
			{Keys: []string{"category", "properties", "operationName"}, Path: []string{"category"}, Text: "kube-audit-admin"},
		},
		Scope:     formats.ScopePlatform,
		NewReader: newAzure,
	}
}

// azure reads the values common to all records of Azure. Each dataset has a type of its own for the others.
type azure struct {
	time, timeStamp       int // time, timeStamp
	duration              int // durationMs
	resource, location    int // resourceId, location
	operation, category   int // operationName, category
	tenant, correlation   int // tenantId, correlationId
	address, addressUpper int // callerIpAddress, callerIPAddress
	outcome               azureOutcome
	gateway               *azureGateway
	openAI                *azureOpenAI
	signIn                *azureSignIn
	activity              *azureActivity
	graph                 *azureGraph
	web                   *azureWeb
	hubs                  *azureHubs
	defender              *azureDefender
	kubernetes            *kubernetes
}

func newAzure(p *formats.Paths) formats.Reader {
	return &azure{
		time: p.Add("time"), timeStamp: p.Add("timeStamp"), duration: p.Add("durationMs"),
		resource: p.Add("resourceId"), location: p.Add("location"),
		operation: p.Add("operationName"), category: p.Add("category"),
		tenant: p.Add("tenantId"), correlation: p.Add("correlationId"),
		address: p.Add("callerIpAddress"), addressUpper: p.Add("callerIPAddress"),
		outcome:    newAzureOutcome(p),
		gateway:    newAzureGateway(p),
		openAI:     newAzureOpenAI(p),
		signIn:     newAzureSignIn(p),
		activity:   newAzureActivity(p),
		graph:      newAzureGraph(p),
		web:        newAzureWeb(p),
		hubs:       newAzureHubs(p),
		defender:   newAzureDefender(p),
		kubernetes: &kubernetes{event: newBlock(p, []string{"properties", "log"}, kubernetesPaths)},
	}
}

func (a *azure) Read(el *formats.Element) {
	category, resource := el.Text(el.At(a.category)), el.Text(el.At(a.resource))
	switch web := webDataset(category); {
	case isGraphLog(category):
		a.graph.read(el, a, resource)
	case web != "":
		a.web.read(el, a, web, category, resource)
	case strings.HasPrefix(category, defenderTable):
		a.defender.read(el, a, category, resource)
	case resource == "" && el.At(a.hubs.activity).Present():
		a.hubs.read(el, a)
	case strings.HasPrefix(category, "kube-audit"):
		a.kubernetes.event.open(el)
		a.kubernetes.read(el, el.At(a.time))
	case strings.HasPrefix(category, "Gateway") && hasProvider(resource, "Microsoft.ApiManagement"):
		if a.start(el, "azure.apim_gateway", resource) {
			a.gateway.read(el, a, category)
		}
	case isModelLog(category) && hasProvider(resource, "Microsoft.CognitiveServices"):
		if a.start(el, "azure.openai", resource) {
			a.openAI.read(el, a, category)
		}
	case strings.HasSuffix(category, "SignInLogs"):
		if a.signIn.properties.open(el); a.start(el, "azure.entra_signin", resource, a.signIn.properties.at(el, signInTime)) {
			a.signIn.read(el, a)
		}
	default:
		if a.start(el, "azure.activity", resource) {
			a.activity.read(el, a)
		}
	}
}

// isModelLog reports whether a category is one that resources of Azure OpenAI log.
func isModelLog(category string) bool {
	switch category {
	case "RequestResponse", "Audit", "Trace", "AzureOpenAIRequestUsage":
		return true
	}
	return false
}

// start sets the fields common to all records, and reports whether the record has a time and so can give an event.
// The time may be under other keys than the usual one.
func (a *azure) start(el *formats.Element, dataset, resource string, others ...formats.Node) bool {
	el.SetDataset(dataset)
	if !el.SetTimeFrom(el.At(a.time)) && !el.SetTime(others...) {
		return false
	}
	el.CopyDuration(el.At(a.duration), nsPerMilli)
	el.CopyText(schema.TraceID, el.At(a.correlation))
	el.CopyText(schema.OrganizationID, el.At(a.tenant))
	el.SetText(schema.CloudProvider, "azure")
	el.SetText(schema.CloudAccountID, segmentAfter(resource, "subscriptions"))
	el.SetText(schema.ResourceID, resource)
	el.SetText(schema.ResourceType, providerOf(resource))
	el.SetText(schema.ResourceName, lastPart(resource, '/'))
	return true
}

// source sets the caller's address from the record's own keys, else from others. Some logs mask the address.
func (a *azure) source(el *formats.Element, others ...formats.Node) {
	if !setAddress(el, el.At(a.address), el.At(a.addressUpper)) {
		setAddress(el, others...)
	}
}

// segmentAfter returns the segment of a resource's id that follows the segment called name, in any case of letters. For
// "subscriptions" that is the id of the subscription.
func segmentAfter(resource, name string) string {
	for resource != "" {
		part, rest, _ := strings.Cut(resource, "/")
		if strings.EqualFold(part, name) {
			id, _, _ := strings.Cut(rest, "/")
			return id
		}
		resource = rest
	}
	return ""
}

// providerOf returns the provider and the type in a resource's id, such as Microsoft.Storage/storageAccounts. If the id has
// several providers, the last is the resource's own.
func providerOf(resource string) string {
	const segment = "/providers/"
	for at := len(resource) - len(segment); at >= 0; at-- {
		if !strings.EqualFold(resource[at:at+len(segment)], segment) {
			continue
		}
		kind := resource[at+len(segment):]
		if slash := strings.IndexByte(kind, '/'); slash >= 0 {
			if next := strings.IndexByte(kind[slash+1:], '/'); next >= 0 {
				return kind[:slash+1+next]
			}
		}
		return kind
	}
	return ""
}

// hasProvider reports whether a resource belongs to a provider, in any case of letters.
func hasProvider(resource, provider string) bool {
	kind := providerOf(resource)
	return len(kind) >= len(provider) && strings.EqualFold(kind[:len(provider)], provider)
}

// azureOutcome reads the outcome, which each service logs under different keys.
type azureOutcome struct {
	result, signature  int // resultType, resultSignature
	status, statusText int // statusCode, statusText
	propertiesStatus   int // properties.statusCode
	propertiesHTTP     int // properties.httpStatusCode
	metric             int // properties.metricResponseType
}

func newAzureOutcome(p *formats.Paths) azureOutcome {
	return azureOutcome{
		result: p.Add("resultType"), signature: p.Add("resultSignature"),
		status: p.Add("statusCode"), statusText: p.Add("statusText"),
		propertiesStatus: p.Add("properties", "statusCode"),
		propertiesHTTP:   p.Add("properties", "httpStatusCode"),
		metric:           p.Add("properties", "metricResponseType"),
	}
}

// read sets the outcome: blocked if a result or status means a refusal, else by the HTTP status if there is one, else by the
// word in resultType.
func (o *azureOutcome) read(el *formats.Element) {
	result, signature := el.Text(el.At(o.result)), el.Text(el.At(o.signature))
	refused := isRefusal(signature) || isRefusal(result) || isRefusal(el.Text(el.At(o.propertiesStatus)))
	switch status := o.httpStatus(el); {
	case refused:
		el.SetBlocked()
		if status != 0 {
			el.SetInt(schema.HTTPResponseStatusCode, status)
		}
	case status != 0:
		el.SetHTTPStatus(status)
		el.Event.SetInt(schema.HTTPResponseStatusCode, status)
	default:
		o.word(el, result)
	}
	if el.Event.Text(schema.EventOutcome) != formats.Failure {
		return
	}
	el.CopyText(schema.ErrorType, el.At(o.statusText))
	for _, text := range [...]string{signature, result} {
		if text != "" && text != "None" && !el.Event.Has(schema.ErrorType) {
			el.SetText(schema.ErrorType, text)
		}
	}
}

// httpStatus returns the first value that is an HTTP status, or 0.
func (o *azureOutcome) httpStatus(el *formats.Element) int64 {
	for _, place := range [...]int{o.status, o.signature, o.propertiesHTTP, o.propertiesStatus} {
		n := el.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			return status
		}
	}
	return 0
}

// word sets the outcome from the words that the activity log and others have instead of a status.
func (o *azureOutcome) word(el *formats.Element, result string) {
	metric := el.Text(el.At(o.metric))
	switch {
	case hasPrefixFold(result, "succe"), hasPrefixFold(result, "accept"), result == "0", strings.EqualFold(result, "ok"), metric == "Success":
		el.SetOutcome(formats.Success)
	case strings.Contains(metric, "Authorization"):
		el.SetBlocked()
	case hasPrefixFold(result, "fail"), strings.Contains(metric, "Error"):
		el.SetOutcome(formats.Failure)
	default: // Start, Active, In progress
		el.SetOutcome(formats.Unknown)
	}
}

// isRefusal reports whether a result, a word or a number, means that authorization was refused.
func isRefusal(text string) bool {
	return text == "401" || text == "403" || formats.IsDenied(text) ||
		strings.Contains(text, "Unauthorized") || strings.Contains(text, "AuthorizationFailed")
}

// hasPrefixFold is strings.HasPrefix in any case of letters.
func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
