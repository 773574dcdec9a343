package config

import _ "embed"

// Example is a commented configuration to begin with: what `aidr config init` writes.
//
//go:embed example.yaml
var Example string
