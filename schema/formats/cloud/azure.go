package cloud

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
	"github.com/aidr-engine/aidr/schema/scan"
)

// Azure is a record of Azure's diagnostics, as an Event Hub gives it: calls through API Management, calls of Azure
// OpenAI, sign-ins of Entra, audit events of AKS, and the activity log with all other resource logs.
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
		Open: openAzure,
	}
}

// azure reads what all records of Azure have; the rest is each dataset's own.
type azure struct {
	time, resource, operation, category, tenant, location, correlation, duration int
	address, addressUpper, kubeLog                                               int
	outcome                                                                      azureOutcome
	gateway                                                                      *azureGateway
	openAI                                                                       *azureOpenAI
	signIn                                                                       *azureSignIn
	activity                                                                     *azureActivity
	kubernetes                                                                   *kubernetes
}

func openAzure(p *formats.Paths) formats.Reader {
	return &azure{
		time: p.Add("time"), resource: p.Add("resourceId"), operation: p.Add("operationName"), category: p.Add("category"), tenant: p.Add("tenantId"),
		location: p.Add("location"), correlation: p.Add("correlationId"), duration: p.Add("durationMs"),
		address: p.Add("callerIpAddress"), addressUpper: p.Add("callerIPAddress"), kubeLog: p.Add("properties", "log"),
		outcome: openAzureOutcome(p),
		gateway: openAzureGateway(p), openAI: openAzureOpenAI(p), signIn: openAzureSignIn(p), activity: openAzureActivity(p),
		kubernetes: &kubernetes{event: openBlock(p, []string{"properties", "log"}, kubernetesPaths)},
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

// isModelLog says that a category is one of those that Azure OpenAI's resources log.
func isModelLog(category string) bool {
	switch category {
	case "RequestResponse", "Audit", "Trace", "AzureOpenAIRequestUsage":
		return true
	}
	return false
}

// start sets what every record has; false where it gives no event.
func (a *azure) start(r *formats.Record, dataset, resource string) bool {
	r.Begin(dataset)
	if !r.Start(r.At(a.time)) {
		return false
	}
	r.SetDuration(r.At(a.duration), nsPerMilli)
	r.SetText(schema.TraceID, r.At(a.correlation))
	r.SetText(schema.OrganizationID, r.At(a.tenant))
	r.Put(schema.CloudProvider, "azure")
	r.Put(schema.CloudAccountID, segmentBehind(resource, "subscriptions"))
	r.Put(schema.ResourceID, resource)
	r.Put(schema.ResourceType, providerOf(resource))
	r.Put(schema.ResourceName, lastPart(resource, '/'))
	return true
}

// source sets the caller's address from the first value that holds one. Some logs mask it.
func (a *azure) source(r *formats.Record, more ...formats.Node) {
	if !setAddress(r, r.At(a.address), r.At(a.addressUpper)) {
		setAddress(r, more...)
	}
}

// segmentBehind returns the part of a resource's id that follows a part of this name: the id of the subscription.
func segmentBehind(resource, name string) string {
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

// providerOf returns provider and type in a resource's id: Microsoft.Storage/storageAccounts.
func providerOf(resource string) string {
	const behind = "/providers/"
	for at := len(resource) - len(behind); at >= 0; at-- { // the last, which is the resource's own
		if !strings.EqualFold(resource[at:at+len(behind)], behind) {
			continue
		}
		kind := resource[at+len(behind):]
		if slash := strings.IndexByte(kind, '/'); slash >= 0 {
			if next := strings.IndexByte(kind[slash+1:], '/'); next >= 0 {
				return kind[:slash+1+next]
			}
		}
		return kind
	}
	return ""
}

// hasProvider says whose resource it is, in any case of letters.
func hasProvider(resource, provider string) bool {
	kind := providerOf(resource)
	return len(kind) >= len(provider) && strings.EqualFold(kind[:len(provider)], provider)
}

// azureOutcome reads how it went, which each service says elsewhere.
type azureOutcome struct {
	result, signature, status, statusText, propertiesStatus, propertiesHTTP, metric int
}

func openAzureOutcome(p *formats.Paths) azureOutcome {
	return azureOutcome{
		result: p.Add("resultType"), signature: p.Add("resultSignature"), status: p.Add("statusCode"), statusText: p.Add("statusText"),
		propertiesStatus: p.Add("properties", "statusCode"), propertiesHTTP: p.Add("properties", "httpStatusCode"), metric: p.Add("properties", "metricResponseType"),
	}
}

// read sets the outcome by an HTTP status where there is one, else by the result's word.
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

// httpStatus returns the first status that is a number, 0 where none is.
func (o *azureOutcome) httpStatus(r *formats.Record) int64 {
	for _, place := range [...]int{o.status, o.signature, o.propertiesHTTP, o.propertiesStatus} {
		n := r.At(place)
		if status, ok := scan.Int(n.Src, n.Span); ok && status >= 100 && status < 600 {
			return status
		}
	}
	return 0
}

// word reads what the activity log and others say in a word.
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

// isRefusal says that a result's word or number means that authorization was refused.
func isRefusal(text string) bool {
	return text == "401" || text == "403" || formats.Denied(text) || strings.Contains(text, "Unauthorized") || strings.Contains(text, "AuthorizationFailed")
}

func hasPrefixFold(text, prefix string) bool {
	return len(text) >= len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}
