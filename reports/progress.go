package reports

import (
	"fmt"
	"strings"
)

// ProgressState is what is known while a run goes on.
type ProgressState struct {
	Scenario       string
	Seed           uint64
	Run, Runs      int // this run, from 1, of how many; Runs <= 1 shows neither
	Events         uint64
	VirtualSeconds float64 // so far
	TotalSeconds   float64 // planned; 0 if unknown
	CPUSeconds     float64 // so far
	Acked          int64   // records
}

// Progress is one line of at most 79 columns without a line end, so that it can
// be written over itself: a bar, virtual time of the total, speed in virtual
// seconds per CPU second, events, acknowledged records.
func Progress(p ProgressState) string {
	const cells = 12
	bar := ""
	clock := clockText(p.VirtualSeconds)
	if p.TotalSeconds > 0 {
		filled := min(max(int(p.VirtualSeconds/p.TotalSeconds*cells), 0), cells)
		bar = strings.Repeat("█", filled) + strings.Repeat("░", cells-filled) + " "
		clock += "/" + clockText(p.TotalSeconds)
	}
	run := ""
	if p.Runs > 1 {
		run = fmt.Sprintf("%d/%d ", p.Run, p.Runs)
	}
	facts := "  " + join(speedText(p.VirtualSeconds, p.CPUSeconds), shortCount(int64(p.Events))+" events",
		shortCount(p.Acked)+" acked")
	rest := " " + seedText(p.Seed) + " " + bar + clock + facts
	name := ellipsis(clean(p.Scenario), max(columnsMax-1-textWidth(run)-textWidth(rest), 6))
	return ellipsis(run+name+rest, columnsMax-1)
}
