// Package linearizability decides whether what clients saw of a cluster could
// have come from correct logs and registers. It owns the claims (computed from
// the configuration before a run), the streaming checker that looks at every
// record in bounded memory, the porcupine windows that check sampled partitions
// a second time in another way, and the registers (committed offsets, versioned
// metadata, producer ids, group ownership).
//
// It never imports the broker, the simulator or the reports, never reads a clock
// and never draws a random number: its only clock is the order in which it is
// called, and event numbers are carried for messages.
package linearizability
