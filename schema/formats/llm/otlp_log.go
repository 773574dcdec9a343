package llm

import (
	"strings"

	"github.com/aidr-engine/aidr/schema"
	"github.com/aidr-engine/aidr/schema/formats"
)

// readLog reads a log record, which is an event of the GenAI conventions or of a coding agent. Others give no event.
func (o *otlp) readLog(el *formats.Element) {
	event := el.FirstText(el.At(o.eventName), o.attrs.at(attrEventName), el.At(o.bodyText))
	agent := o.codingAgent(el, event)
	input, output, exchange := formats.Node{}, formats.Node{}, false
	if agent.dataset == "" && !strings.HasPrefix(event, "gen_ai.") {
		if input, output, exchange = o.conversation(el); !exchange {
			el.Skip(formats.SkipNotActivity)
			o.carry(el)
			return
		}
	}
	if agent.dataset != "" {
		el.SetDataset(agent.dataset)
	}
	if !o.begin(el, el.At(o.time), el.At(o.observed)) {
		return
	}
	o.attrs.setText(el, schema.EventID, attrRecordUID)
	if agent.dataset != "" {
		o.identifyCoder(el, agent)
		if strings.HasPrefix(event, "gen_ai.") {
			o.spanOutcome(el)
			o.genAIEvent(el, event, false)
			return
		}
		o.code(el, strings.TrimPrefix(event, agent.prefix))
		return
	}
	o.spanOutcome(el)
	o.identify(el, 0, "")
	o.workflow(el, "")
	if exchange {
		o.readConversation(el, input, output)
		return
	}
	o.genAIEvent(el, event, true)
}

// genAIEvent reads an event of the GenAI conventions. The tokens of a coding agent are in another event of its own, so
// they are not counted.
func (o *otlp) genAIEvent(el *formats.Element, event string, counted bool) {
	switch event {
	case "gen_ai.client.inference.operation.details":
		op := o.operation(el)
		if op == "" {
			op = "chat"
		}
		// A span repeats the tokens, so they are counted here only if the record belongs to no span.
		o.model(el, op, counted && !el.Event.Has(schema.SpanID))
	case "gen_ai.choice":
		o.messageEvent(el, "choice", assistant)
	case "gen_ai.tool.message":
		o.messageEvent(el, formats.ActionToolResult, tool)
	case "gen_ai.user.message":
		o.messageEvent(el, "user_message", user)
	case "gen_ai.system.message", "gen_ai.assistant.message":
		el.Skip(formats.SkipRepeated) // of earlier messages; each choice was an event of its own
	default:
		for _, prefix := range [...]string{"gen_ai.security.", "gen_ai.guardrail.", "gen_ai.run_guardrail"} {
			if strings.HasPrefix(event, prefix) {
				o.act(el, operationGuardrail, false)
				return
			}
		}
		el.SetClass(formats.ClassLLM, event)
		el.Emit()
	}
}

// messageEvent reads one message, which older conventions log as a record of its own. Each request logs its whole
// history again, and a single record does not show whether its message is new.
func (o *otlp) messageEvent(el *formats.Element, action string, sender role) {
	body := el.At(o.body)
	message := o.attrs.plainBody(el, body)
	c := o.chat
	c.Reset()
	el.SetClass(formats.ClassLLM, action)
	o.attrs.setText(el, schema.GenAIRequestModel, attrRequestModel)
	if provider := el.Text(o.attrs.at(attrProvider)); provider != "" {
		el.SetText(schema.GenAIProviderName, providerName(provider))
	}
	switch sender {
	case assistant:
		c.readChoice(el, message)
		if len(c.answer)+len(c.Calls) == 0 {
			c.readAnswer(el, message)
		}
	case tool:
		c.selectMessage(el, message)
		c.call.Select(el, message)
		id := el.FirstText(c.call.At(callID), c.message.At(messageCallID))
		content := c.message.At(messageContent)
		el.SetTool(action, formats.Returned)
		el.SetText(schema.GenAIToolCallID, id)
		el.CopyText(schema.GenAIToolName, c.message.At(messageName))
		el.CopyUnwrapped(schema.GenAIToolCallResult, content)
		el.Emit()
		return
	default:
		c.selectMessage(el, message)
		c.texts(el, c.content(), &c.prompt)
	}
	c.Fill(el)
	c.Emit(el)
}
