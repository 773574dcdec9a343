package config

import _ "embed"

// Example is the commented configuration that `aidr config init` writes.
//
//go:embed example.yaml
var Example string

// Keys is the page with every key of the configuration that `aidr config keys` prints. TestKeys generates it.
//
//go:embed KEYS.md
var Keys string
