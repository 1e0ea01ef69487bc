// Package load drives a real streaming system with an open-model load and
// measures what its clients see. It reads OpenMessaging Benchmark workload and
// driver files and writes that benchmark's result JSON, so that figures can be
// compared with published ones.
//
// Latency counts from the intended send: a message that had to wait because the
// system, or the client in front of it, stood still has waited. Every message
// that was acknowledged must be received; a run in which one was not is a
// failed run, however fast it was.
package load
