//go:build race

package reference_test

// underRace says that the race detector is on: sync.Pool then drops what it holds at random, and all is slower.
const underRace = true
