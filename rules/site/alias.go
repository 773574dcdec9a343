package site

import "slices"

// AliasesOf returns the other uids of an agent in the records of all sources, sorted. Ids that the agent declares are not
// among them: alone they name nobody.
func (a *Agents) AliasesOf(uid string) (aliases []string) {
	for other, of := range a.byAlias {
		if of == uid && !slices.Contains(aliases, other.uid) {
			aliases = append(aliases, other.uid)
		}
	}
	slices.Sort(aliases)
	return aliases
}

// Len returns the number of registered agents.
func (a *Agents) Len() int { return len(a.byUID) }
