package inventory

import (
	"net/netip"

	"github.com/aidr-engine/aidr/schema"
)

// Observation is the part of an event that the inventory keeps. Its texts are views of the event.
type Observation struct {
	Tenant        string
	Time          schema.Instant // at which the event ended
	Class, Action string
	Totals        schema.Totals // of one event
	Uses          [schema.NumUses]string
}

// UsesOf returns the kinds of values that an entity of a kind has, in ascending order. The caller does not change them.
func UsesOf(kind Kind) []schema.UseKind { return usesOf[kind] }

var usesOf = [numKinds][]schema.UseKind{
	Agent: {
		schema.UseName, schema.UseSource, schema.UseDeclared, schema.UseWorkflow, schema.UseFramework, schema.UseDataset,
		schema.UseCredential, schema.UseCredentialType, schema.UseUser, schema.UseOnBehalfOf, schema.UseClientApp, schema.UseTool,
		schema.UseServer, schema.UseModel, schema.UseProvider, schema.UseDestination, schema.UseRoute, schema.UseCloudAction,
		schema.UseResourceType, schema.UseAccount, schema.UseNetwork,
	},
	Credential: {
		schema.UseDataset, schema.UseAgent, schema.UseCredentialType, schema.UseUser, schema.UseOnBehalfOf, schema.UseClientApp,
		schema.UseTool, schema.UseServer, schema.UseModel, schema.UseDestination, schema.UseRoute, schema.UseCloudAction,
		schema.UseResourceType, schema.UseAccount, schema.UseNetwork,
	},
	Tool:   {schema.UseDataset, schema.UseAgent, schema.UseCredential, schema.UseServer},
	Server: {schema.UseDataset, schema.UseAgent, schema.UseCredential, schema.UseTool, schema.UseDestination},
	Model:  {schema.UseDataset, schema.UseAgent, schema.UseCredential, schema.UseProvider},
}

// NameOf returns the kind of value that is the name of an entity of a kind.
func NameOf(kind Kind) schema.UseKind { return nameOf[kind] }

var nameOf = [numKinds]schema.UseKind{
	Agent: schema.UseAgent, Credential: schema.UseCredential, Tool: schema.UseTool, Server: schema.UseServer, Model: schema.UseModel,
}

// IsBehaviour reports whether a new value of a kind is new behaviour of an entity, for NewestUse.
func IsBehaviour(k schema.UseKind) bool {
	return k != schema.UseName && k != schema.UseSource && k != schema.UseFramework && k != schema.UseProvider
}

// fields are those that an Observation is made of.
var fields = [...]schema.Field{
	schema.EventDataset, schema.EventClass, schema.EventAction, schema.EventOutcome, schema.Disposition,
	schema.AIAgentUID, schema.AIAgentUIDSource, schema.AIAgentDeclaredUID, schema.AIAgentName, schema.AIAgentType, schema.AIAgentWorkflow,
	schema.UserID, schema.UserType, schema.OnBehalfOfID, schema.CredentialUID, schema.CredentialType, schema.ClientAppID, schema.ClientAppName,
	schema.SourceIP, schema.SourceDomain, schema.ServiceTargetName, schema.ResourceType, schema.CloudProvider, schema.CloudAccountID,
	schema.URLDomain, schema.HTTPRoute, schema.GenAIProviderName, schema.GenAIRequestModel, schema.GenAIResponseModel,
	schema.GenAIUsageInputTokens, schema.GenAIUsageOutputTokens, schema.GenAIUsageCost,
	schema.GenAIToolName, schema.GenAIToolCalled, schema.GenAIToolReturned, schema.MCPServerName,
}

// numbers are the fields of which an Observation has sums. Events that differ in these only are counted together.
var numbers = [...]schema.Field{
	schema.EventOutcome, schema.Disposition, schema.GenAIUsageInputTokens, schema.GenAIUsageOutputTokens, schema.GenAIUsageCost,
}

// Fields returns the fields that decoding has to extract for the inventory.
func Fields() schema.FieldSet { return schema.Fields(fields[:]...) }

// Observe sets o to the observation of an event that has a time.
func Observe(e *schema.Event, o *Observation) {
	end, _ := e.End()
	*o = Observation{Tenant: e.Tenant, Time: end, Class: e.Text(schema.EventClass), Action: e.Text(schema.EventAction)}
	observeTotals(e, &o.Totals)
	for kind := range o.Uses {
		if f, ok := useField(e, schema.UseKind(kind)); ok {
			o.Uses[kind] = e.Text(f)
		}
	}
}

func observeTotals(e *schema.Event, t *schema.Totals) {
	t.Events = 1
	switch e.Text(schema.EventOutcome) {
	case "success":
		t.Success = 1
	case "failure":
		t.Failure = 1
	}
	if e.Text(schema.Disposition) == "blocked" {
		t.Blocked = 1
	}
	t.InputTokens = max(0, e.Int(schema.GenAIUsageInputTokens))
	t.OutputTokens = max(0, e.Int(schema.GenAIUsageOutputTokens))
	t.Cost = schema.CostOf(e.Double(schema.GenAIUsageCost))
}

// useFields are the fields that a kind of value is taken from: the first that the event has.
var useFields = [schema.NumUses][]schema.Field{
	schema.UseName: {schema.AIAgentName}, schema.UseSource: {schema.AIAgentUIDSource}, schema.UseDeclared: {schema.AIAgentDeclaredUID},
	schema.UseWorkflow: {schema.AIAgentWorkflow}, schema.UseFramework: {schema.AIAgentType}, schema.UseDataset: {schema.EventDataset},
	schema.UseAgent: {schema.AIAgentUID}, schema.UseCredential: {schema.CredentialUID}, schema.UseCredentialType: {schema.CredentialType},
	schema.UseUser: {schema.UserID}, schema.UseOnBehalfOf: {schema.OnBehalfOfID}, schema.UseClientApp: {schema.ClientAppID, schema.ClientAppName},
	schema.UseTool: {schema.GenAIToolName}, schema.UseServer: {schema.MCPServerName},
	schema.UseModel: {schema.GenAIResponseModel, schema.GenAIRequestModel}, schema.UseProvider: {schema.GenAIProviderName},
	schema.UseDestination: {schema.URLDomain, schema.ServiceTargetName}, schema.UseRoute: {schema.HTTPRoute},
	schema.UseCloudAction: {schema.EventAction}, schema.UseResourceType: {schema.ResourceType}, schema.UseAccount: {schema.CloudAccountID},
	schema.UseNetwork: {schema.SourceIP, schema.SourceDomain},
}

// useField returns the field that holds an event's value of a kind. ok is false if it has none.
func useField(e *schema.Event, kind schema.UseKind) (f schema.Field, ok bool) {
	switch kind {
	case schema.UseUser:
		if e.Text(schema.UserType) == "ai_agent" {
			return 0, false
		}
	case schema.UseTool:
		if !called(e) {
			return 0, false
		}
	case schema.UseCloudAction:
		if class := e.Text(schema.EventClass); class != "audit" && class != "auth" && !e.Has(schema.CloudProvider) {
			return 0, false
		}
	}
	for _, f := range useFields[kind] {
		if e.Has(f) {
			return f, true
		}
	}
	return 0, false
}

// called reports whether an event that names a tool is a call of it, and not only what came back.
func called(e *schema.Event) bool {
	return e.Value(schema.GenAIToolCalled).Bool() || !e.Value(schema.GenAIToolReturned).Bool()
}

// The sizes of the networks that addresses are grouped by: those that one site usually gets.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// NetworkOf returns the network of an address, or the text as it is if it is no address.
func NetworkOf(text string) string { return string(appendNetwork(nil, text)) }

// appendNetwork appends the network of an address, or the text as it is if it is no address.
func appendNetwork(dst []byte, text string) []byte {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return append(dst, text...)
	}
	bits := networkBits4
	if a.Is6() {
		bits = networkBits6
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return append(dst, text...)
	}
	return p.AppendTo(dst)
}
