//go:build !race

package predicate

// underRace reports whether the race detector is on.
const underRace = false
