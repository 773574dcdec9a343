// Package decode turns log records into events.
//
// A Decoder takes one record, which is the bytes of a Kafka message, of an HTTP body or of a line in a file, through
// these steps:
//
//  1. It inflates gzip, strips the frame of a schema registry, and converts UTF-16 and OTLP in protobuf. NDJSON and JSON
//     arrays are split into their values, and prefixes such as that of syslog are cut from lines. Lines of access logs
//     become JSON. JSON with faults that leave no doubt is mended, and the good elements of a damaged list are kept.
//  2. For each JSON object, it selects in one pass the values at all paths that any format reads, and detects the
//     format by the keys at the object's top. Values inside the object never take part in detection, because they may
//     be content that an attacker writes.
//  3. If no format fits, it peels an envelope, such as CloudTrail's Records or a Pub/Sub message, and decodes the
//     contents the same way, up to MaxEnvelope levels deep. Text that a workload wrote stays a workload's however deeply
//     it is wrapped: no audit record is recognised in it.
//  4. The format's reader turns the object, which is then called an element, into events and names the agent of each.
//  5. Overrides, aliases and facts about the address are added to each event, and the Handler gets it.
//
// An element that cannot be decoded becomes a dead letter with a reason; the elements beside it are decoded all the
// same. A Decoder keeps no state between records: the result of a record depends on that record alone.
//
// The cost of a record is linear in its size, whichever part of it grows: no text is read again for each part of
// another. The tests in amplify_test.go check that for every part of a record of each format. The cost of one record is
// bounded, too: a record whose cost, in bytes and elements, exceeds formats.MaxCost becomes a dead letter, after the
// events that it gave until then. The cost depends on the record alone, never on time or on the rules.
//
// Elements that are passed over on purpose are reported by dataset and reason, so that nothing is skipped in silence.
//
// The built-in formats are in package formats and the packages below it. A Map describes a further format as data.
package decode
