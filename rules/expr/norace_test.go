//go:build !race

package expr

// underRace says that the race detector is on.
const underRace = false
