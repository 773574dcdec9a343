//go:build !race

package expr

// underRace reports whether the race detector is on.
const underRace = false
