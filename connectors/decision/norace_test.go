//go:build !race

package decision

// underRace reports whether the race detector is on.
const underRace = false
