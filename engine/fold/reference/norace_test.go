//go:build !race

package reference_test

// underRace reports whether the race detector is on.
const underRace = false
