// Package real carries out a scenario against real brokerd processes on this
// machine: the same load with franz-go, the faults that a machine can apply, the
// same checkers. It exists so that the simulator can be compared with what it
// simulates; wherever the two disagree, the simulator learns.
//
// What a machine cannot do is said and makes the run inconclusive: a power loss
// is a kill, since the kernel's page cache survives it; clocks are not moved;
// disks are not damaged. Time passes as it does, so that long quiet times are
// cut short (Shorten).
package real
