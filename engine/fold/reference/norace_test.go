//go:build !race

package reference_test

// underRace says that the race detector is on.
const underRace = false
