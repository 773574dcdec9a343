// Package sigma translates Sigma rules into the rule language.
package sigma
