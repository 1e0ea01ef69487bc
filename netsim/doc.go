// Package netsim is a deterministic network of hosts: TCP connections as
// processes see them, in virtual time. It owns topology, latency, bandwidth,
// loss, cuts and every connection's state in both kernels. It performs no I/O,
// has no goroutine and keeps no closure: the simulator's loop hands it what
// machines ask for (Dial, Send, Close), asks when it has something to do (Next)
// and takes what has come (Pop). All randomness is one PCG stream; one seed and
// one sequence of calls give one sequence of deliveries. It never looks at a
// clock, never reads more of a frame than its API key, and never touches a
// machine.
//
// # What a process sees
//
// A connection is two FIFOs of frames without gap or copy. It ends for each
// process exactly once: by its own Close, of which it hears nothing, or by one
// EventConnClosed. An end whose frames were lost is told, unless it closes first.
// The two ends have different ConnIDs, which are never used again.
//
// # What is modelled
//
//   - Latency per ordered pair of hosts: constant, uniform, lognormal, measured;
//     with jitter. Each frame draws its own; within a connection a later one never
//     overtakes an earlier one, between connections it does.
//   - Bandwidth: serialisation and queueing, per ordered pair of zones, per host
//     pair, per network interface in and out, per degradation. Whatever shares a
//     rate queues behind each other; when a rate comes or goes, what is queued goes
//     on at those that are left.
//   - Connection set-up: the dialer knows after one round trip, the acceptor half
//     of one later. Refused after one round trip if nobody listens. SYNs into
//     silence are repeated after 1, 3, 7, 15, 31, 63 s; the attempt fails after 127 s.
//   - Loss, as TCP shows it: the frame and all behind it come after a
//     retransmission time-out (200 ms and the round trip, doubling up to 120 s), or
//     a round trip after a later frame was sent (fast retransmit). After Retries2
//     time-outs in vain the sender is reset.
//   - Cuts, one-way, by arbitrary sets, overlapping. What would arrive during a
//     cut is lost, and comes at the first retransmission after the heal. If only
//     the acknowledgements are cut off, data still arrives until the sender's
//     first time-out; after that its window is shut until the heal or the limit.
//   - Half-open connections: after power loss the peers hear nothing; their next
//     packet after the host is up again is answered with RST. An end that gave up
//     leaves the other one half-open. HalfOpen makes black holes.
//   - Process death: what was written is still sent, then FIN; RST if data was on
//     its way to the dead process.
//   - Resets by a middlebox; hold and release of one kind of request on one pair.
//   - Degradations with latency, jitter, loss, bandwidth. Duplicates cost bandwidth
//     and reordering costs latency, which is all that TCP lets through of them.
//
// # What is not
//
//   - Packets: loss is drawn once per frame, whatever its size; no MTU, no headers,
//     no bandwidth for acknowledgements, whose random loss is harmless in TCP.
//   - Congestion control and receive windows: a connection uses what the pipes
//     give, after a retransmission too. A sender is never pushed back; one that
//     sends FramesPerDirectionMax frames which do not arrive is reset.
//   - Half-closed connections (shutdown(2)), keep-alive probes, TIME_WAIT, backlog
//     overflow, TLS. Without keep-alive an idle half-open end stays as it is.
//   - Corruption: TCP's checksum turns it into loss. Corrupt what is stored instead.
//   - Name resolution takes no time while it works, except that an unknown name
//     fails after ResolveDelay; nothing is cached. Addresses do not change: HalfOpen
//     between a host and all others is what a change looks like to its peers.
//   - A paused process: its kernel acknowledges, so frames are popped as usual and
//     the simulator keeps them until the process runs again.
package netsim
