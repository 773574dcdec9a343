"""An agent with OpenTelemetry's SDK and its instrumentation of OpenAI's client. Arguments: the model's API, the collector."""
import sys

import openai
from opentelemetry import trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

model, collector = sys.argv[1:]
resource = Resource.create({"service.instance.id": "pod-7"})
spans, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector + "/v1/traces")))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=collector + "/v1/logs")))
trace.set_tracer_provider(spans)
set_logger_provider(logs)
OpenAIInstrumentor().instrument()

tracer = trace.get_tracer("agent")
client = openai.OpenAI(base_url=model, api_key="sk-upstream-3c1d9a", max_retries=0)
with tracer.start_as_current_span("invoke_agent billing", attributes={
    "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "billing", "gen_ai.conversation.id": "conv-1"}):
    for text in ["pay it", "busy"]:
        try:
            client.chat.completions.create(model="gpt-4.1", messages=[
                {"role": "system", "content": "You pay."}, {"role": "user", "content": text}])
        except openai.APIStatusError:
            pass
    with tracer.start_as_current_span("execute_tool pay_invoice", attributes={
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "pay_invoice", "gen_ai.tool.call.id": "call_9",
        "gen_ai.tool.call.arguments": '{"invoice": "INV-7"}', "gen_ai.tool.call.result": "paid"}):
        pass
spans.shutdown()
logs.shutdown()
