//go:build !unix

package cli

// Where there is no getrusage the two figures are not known.
func cpuSeconds() float64 { return 0 }

func peakRSSBytes() int64 { return 0 }
