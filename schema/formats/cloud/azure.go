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
		Name:     "azure_diagnostics",
		Aliases:  []string{"azure"},
		Datasets: []string{"azure.activity", "azure.apim_gateway", "azure.entra_signin", "azure.openai"},
		Tells: []formats.Tell{
			{Keys: []string{"category", "resourceId", "operationName"}},
			{Keys: []string{"category", "properties", "operationName"}, Path: []string{"category"}, Text: "kube-audit"},
			{Keys: []string{"category", "properties", "operationName"}, Path: []string{"category"}, Text: "kube-audit-admin"},
		},
		Open: newAzure,
	}
}

// azure reads the values common to all records of Azure. Each dataset has a type of its own for the others.
type azure struct {
	time, duration        int // time, durationMs
	resource, location    int // resourceId, location
	operation, category   int // operationName, category
	tenant, correlation   int // tenantId, correlationId
	address, addressUpper int // callerIpAddress, callerIPAddress
	outcome               azureOutcome
	gateway               *azureGateway
	openAI                *azureOpenAI
	signIn                *azureSignIn
	activity              *azureActivity
	kubernetes            *kubernetes
}

func newAzure(p *formats.Paths) formats.Reader {
	return &azure{
		time: p.Add("time"), duration: p.Add("durationMs"),
		resource: p.Add("resourceId"), location: p.Add("location"),
		operation: p.Add("operationName"), category: p.Add("category"),
		tenant: p.Add("tenantId"), correlation: p.Add("correlationId"),
		address: p.Add("callerIpAddress"), addressUpper: p.Add("callerIPAddress"),
		outcome:    newAzureOutcome(p),
		gateway:    newAzureGateway(p),
		openAI:     newAzureOpenAI(p),
		signIn:     newAzureSignIn(p),
		activity:   newAzureActivity(p),
		kubernetes: &kubernetes{event: newBlock(p, []string{"properties", "log"}, kubernetesPaths)},
	}
}

func (a *azure) Read(r *formats.Record) {
	category, resource := r.Text(r.At(a.category)), r.Text(r.At(a.resource))
	switch {
	case strings.HasPrefix(category, "kube-audit"):
		a.kubernetes.event.open(r)
		a.kubernetes.read(r, r.At(a.time))
	case strings.HasPrefix(category, "Gateway") && hasProvider(resource, "Microsoft.ApiManagement"):
		if a.start(r, "azure.apim_gateway", resource) {
			a.gateway.read(r, a, category)
		}
	case isModelLog(category) && hasProvider(resource, "Microsoft.CognitiveServices"):
		if a.start(r, "azure.openai", resource) {
			a.openAI.read(r, a, category)
		}
	case strings.HasSuffix(category, "SignInLogs"):
		if a.start(r, "azure.entra_signin", resource) {
			a.signIn.read(r, a)
		}
	default:
		if a.start(r, "azure.activity", resource) {
			a.activity.read(r, a)
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
func (a *azure) start(r *formats.Record, dataset, resource string) bool {
	r.Begin(dataset)
	if !r.Start(r.At(a.time)) {
		return false
	}
	r.SetDuration(r.At(a.duration), nsPerMilli)
	r.SetText(schema.TraceID, r.At(a.correlation))
	r.SetText(schema.OrganizationID, r.At(a.tenant))
	r.Put(schema.CloudProvider, "azure")
	r.Put(schema.CloudAccountID, segmentAfter(resource, "subscriptions"))
	r.Put(schema.ResourceID, resource)
	r.Put(schema.ResourceType, providerOf(resource))
	r.Put(schema.ResourceName, lastPart(resource, '/'))
	return true
}

// source sets the caller's address from the record's own keys, else from others. Some logs mask the address.
func (a *azure) source(r *formats.Record, others ...formats.Node) {
	if !setAddress(r, r.At(a.address), r.At(a.addressUpper)) {
		setAddress(r, others...)
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
func (o *azureOutcome) read(r *formats.Record) {
	result, signature := r.Text(r.At(o.result)), r.Text(r.At(o.signature))
	refused := isRefusal(signature) || isRefusal(result) || isRefusal(r.Text(r.At(o.propertiesStatus)))
	switch status := o.httpStatus(r); {
	case refused:
		r.Block()
	case status != 0:
		r.SetStatus(status)
		r.Event.SetInt(schema.HTTPResponseStatusCode, status)
	default:
		o.word(r, result)
	}
	if r.Event.Text(schema.EventOutcome) != formats.Failure {
		return
	}
	r.SetText(schema.ErrorType, r.At(o.statusText))
	for _, text := range [...]string{signature, result} {
		if text != "" && text != "None" && !r.Event.Has(schema.ErrorType) {
			r.Put(schema.ErrorType, text)
		}
	}
}

// httpStatus returns the first value that is an HTTP status, or 0.
func (o *azureOutcome) httpStatus(r *formats.Record) int64 {
	for _, place := range [...]int{o.status, o.signature, o.propertiesHTTP, o.propertiesStatus} {
		n := r.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			return status
		}
	}
	return 0
}

// word sets the outcome from the words that the activity log and others have instead of a status.
func (o *azureOutcome) word(r *formats.Record, result string) {
	metric := r.Text(r.At(o.metric))
	switch {
	case hasPrefixFold(result, "succe"), hasPrefixFold(result, "accept"), result == "0", strings.EqualFold(result, "ok"), metric == "Success":
		r.SetOutcome(formats.Success)
	case strings.Contains(metric, "Authorization"):
		r.Block()
	case hasPrefixFold(result, "fail"), strings.Contains(metric, "Error"):
		r.SetOutcome(formats.Failure)
	default: // Start, Active, In progress
		r.SetOutcome(formats.Unknown)
	}
}

// isRefusal reports whether a result, a word or a number, means that authorization was refused.
func isRefusal(text string) bool {
	return text == "401" || text == "403" || formats.Denied(text) ||
		strings.Contains(text, "Unauthorized") || strings.Contains(text, "AuthorizationFailed")
}

// hasPrefixFold is strings.HasPrefix in any case of letters.
func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
