package config

import _ "embed"

// Example is the commented configuration that `aidr config init` writes.
//
//go:embed example.yaml
var Example string
