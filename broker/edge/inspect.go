package edge

// Inspector does what there is to do for each byte of a frame before its machine
// consumes it: checksums, decompression. What it finds depends on the frame
// alone, so that a host may have it done on any thread and at any time between
// the frame's arrival and the Step that consumes it.
//
// An inspector is used by one thread at a time.
type Inspector interface {
	// Inspect returns what it has found out about a frame that has come by a
	// connection which the peer has opened, nil if that is nothing. It may reuse the
	// memory of a verdict that is needed no more.
	Inspect(frame *Buffer, used Verdict) Verdict
	// InspectAnswer does the same for a connection that the machine has opened.
	InspectAnswer(frame *Buffer, used Verdict) Verdict
}

// Verdict is what an inspector tells its machine, through Event.Verdict. The
// host does not look into it.
type Verdict any

// Inspected is a machine that wants each frame inspected.
type Inspected interface {
	Machine
	// NewInspector returns an inspector that shares nothing with the machine.
	NewInspector() Inspector
}
