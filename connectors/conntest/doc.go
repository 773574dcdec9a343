// Package conntest holds what connectors are tested with: the contract of a Source and of a Sink as suites that every
// one of them passes, a Reader that remembers, and Kafka brokers, real and in process.
package conntest
