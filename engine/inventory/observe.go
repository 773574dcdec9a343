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

// usesOf lists the kinds of values that an entity of a kind has.
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

// nameOf is the kind of value that is the name of an entity of a kind.
var nameOf = [numKinds]schema.UseKind{
	Agent: schema.UseAgent, Credential: schema.UseCredential, Tool: schema.UseTool, Server: schema.UseServer, Model: schema.UseModel,
}

// isBehaviour reports whether a new value of a kind is new behaviour of an entity, for NewestUse.
func isBehaviour(k schema.UseKind) bool {
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

// Fields returns the fields that decoding has to extract for the inventory.
func Fields() schema.FieldSet { return schema.Fields(fields[:]...) }

// Observe sets o to the observation of an event that has a time.
func Observe(e *schema.Event, o *Observation) {
	end, _ := e.End()
	*o = Observation{Tenant: e.Tenant, Time: end, Class: e.Text(schema.EventClass), Action: e.Text(schema.EventAction)}
	observeTotals(e, &o.Totals)
	observeUses(e, &o.Uses)
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

func observeUses(e *schema.Event, u *[schema.NumUses]string) {
	u[schema.UseName] = e.Text(schema.AIAgentName)
	u[schema.UseSource] = e.Text(schema.AIAgentUIDSource)
	u[schema.UseDeclared] = e.Text(schema.AIAgentDeclaredUID)
	u[schema.UseWorkflow] = e.Text(schema.AIAgentWorkflow)
	u[schema.UseFramework] = e.Text(schema.AIAgentType)
	u[schema.UseDataset] = e.Text(schema.EventDataset)
	u[schema.UseAgent] = e.Text(schema.AIAgentUID)
	u[schema.UseCredential] = e.Text(schema.CredentialUID)
	u[schema.UseCredentialType] = e.Text(schema.CredentialType)
	if e.Text(schema.UserType) != "ai_agent" {
		u[schema.UseUser] = e.Text(schema.UserID)
	}
	u[schema.UseOnBehalfOf] = e.Text(schema.OnBehalfOfID)
	u[schema.UseClientApp] = first(e, schema.ClientAppID, schema.ClientAppName)
	if called(e) {
		u[schema.UseTool] = e.Text(schema.GenAIToolName)
	}
	u[schema.UseServer] = e.Text(schema.MCPServerName)
	u[schema.UseModel] = first(e, schema.GenAIResponseModel, schema.GenAIRequestModel)
	u[schema.UseProvider] = e.Text(schema.GenAIProviderName)
	u[schema.UseDestination] = first(e, schema.URLDomain, schema.ServiceTargetName)
	u[schema.UseRoute] = e.Text(schema.HTTPRoute)
	if class := e.Text(schema.EventClass); class == "audit" || class == "auth" || e.Has(schema.CloudProvider) {
		u[schema.UseCloudAction] = e.Text(schema.EventAction)
	}
	u[schema.UseResourceType] = e.Text(schema.ResourceType)
	u[schema.UseAccount] = e.Text(schema.CloudAccountID)
	u[schema.UseNetwork] = first(e, schema.SourceIP, schema.SourceDomain)
}

// called reports whether an event that names a tool is a call of it, and not only what came back.
func called(e *schema.Event) bool {
	return e.Value(schema.GenAIToolCalled).Bool() || !e.Value(schema.GenAIToolReturned).Bool()
}

func first(e *schema.Event, a, b schema.Field) string {
	if e.Has(a) {
		return e.Text(a)
	}
	return e.Text(b)
}

// The sizes of the networks that addresses are grouped by: those that one site usually gets.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// networkOf returns the network of an address, or the text as it is if it is no address.
func networkOf(text string) string {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return text
	}
	bits := networkBits4
	if a.Is6() {
		bits = networkBits6
	}
	p, err := a.WithZone("").Prefix(bits)
	if err != nil {
		return text
	}
	return p.String()
}
