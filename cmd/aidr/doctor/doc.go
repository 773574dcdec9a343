// Package doctor finds out why aidr does not work: it checks a configuration, everything that the configuration names, and the machine,
// and changes nothing outside a file that it makes in the state directory and removes.
//
// Each Check is one line with a result and, unless that is ok, with what to do. A Bundle holds the checks and what the running process
// reports, without secrets, so that it can be attached to a ticket.
package doctor
