package rules

import "time"

// Memory returns how far back the rule's State looks: what a State that began anew does not know. For new_value it is
// the time that it learns.
func (r *Rule) Memory() time.Duration {
	switch r.Kind {
	case KindThreshold:
		return r.Threshold.Within
	case KindDistinct:
		return r.Distinct.Within
	case KindNewValue:
		return r.NewValue.Learn
	case KindSequence:
		return r.Sequence.Within
	}
	return 0
}
