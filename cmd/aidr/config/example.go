package config

import (
	_ "embed"
	"strings"
	"time"
)

// Example is a commented configuration.
//
//go:embed example.yaml
var Example string

// First returns Example as `aidr config init` writes it on a day, which it names as that of the first start.
func First(day time.Time) string {
	return strings.Replace(Example, "first_start: 2026-12-01", "first_start: "+day.UTC().Format(time.DateOnly), 1)
}

// Keys is the page with every key of the configuration that `aidr config keys` prints. TestKeys generates it.
//
//go:embed KEYS.md
var Keys string
