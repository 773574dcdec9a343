// Package conntest holds the tests that connectors share: the contract of a Source and of a Sink as suites, a Reader that
// records its calls and checks them, and Kafka brokers, both real and in process.
package conntest
