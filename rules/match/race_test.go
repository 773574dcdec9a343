//go:build race

package match

// underRace reports whether the race detector is on. sync.Pool, which regexp uses, then drops its elements at random.
const underRace = true
