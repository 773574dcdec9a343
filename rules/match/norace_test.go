//go:build !race

package match

// underRace reports whether the race detector is on.
const underRace = false
