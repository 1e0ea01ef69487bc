package reports

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
)

//go:embed assets/page.html
var pageTemplate string

//go:embed assets/page.css
var pageCSS string

//go:embed assets/page.js
var pageJS string

//go:embed assets/uPlot.iife.min.js
var uplotJS string

// Every page is a copy of uPlot, so that every page carries its licence.
//
//go:embed assets/uPlot.LICENSE
var uplotLicence string

//go:embed assets/uPlot.min.css
var uplotCSS string

// uplotVersion is the version of the embedded uPlot, which is MIT licensed.
const uplotVersion = "1.6.32"

// The page shows the worst and the first of long lists; result.json has the rest.
const (
	pageAnomaliesMax      = 200
	pageFaultsMax         = 200
	pageUnavailabilityMax = 48
	pagePartitionsMax     = 96
	pageTableRowsMax      = 72
)

var page = template.Must(template.New("page").Parse(pageTemplate))

// HTML is one self-contained page: it loads nothing, so that it works from a
// file and without a network, and everything in it that came from outside is
// escaped.
func HTML(r *Result) ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, newPageView(r)); err != nil {
		return nil, fmt.Errorf("render the page of %s seed %d: %w", r.Scenario, r.Seed, err)
	}
	return b.Bytes(), nil
}

// pageView is what the template needs, with all figures already spelled.
type pageView struct {
	R              *Result
	Icon, Verdict  string
	Seed           string
	Lede           string
	Tiles          []tile
	ClaimsHeld     string
	Claims         []markedRow
	Thresholds     []thresholdRow
	Faults         []faultRow
	FaultsMore     int
	Latency        []latencyRow
	Anomalies      []anomalyRow
	AnomaliesMore  int
	AnomaliesTotal string
	ThresholdsHeld string
	Gaps           []gapRow
	GapsMore       string
	Stalls         []tile
	Partitions     []latencyRow
	PartitionsMore int
	Facts          []tile
	Picture        *picture
	Matrix         *matrix
	SeriesEvery    string
	SeriesRows     []seriesRow
	Data           chartData

	CSS, UplotCSS template.CSS
	JS, UplotJS   template.JS
	UplotVersion  string
}

// tile is a figure with its name; Bad colours it.
type tile struct {
	Name, Value, Note string
	Bad               bool
}

type markedRow struct{ Class, Sign, Word, Name, Why string }

type thresholdRow struct {
	Class, Sign, Word string
	Threshold
}

type faultRow struct {
	Number                     int
	Name, Target, Detail, When string
	Lasted                     string
}

type latencyRow struct {
	Kind, Phase string
	Cells       []string
}

type anomalyRow struct{ Kind, Text, Facts, JSON string }

// newAnomalyRow is a finding as a sentence, what is known about it, and the same for
// tools.
func newAnomalyRow(a *Anomaly) anomalyRow {
	row := anomalyRow{Kind: a.Kind, Text: strings.TrimSpace(strings.TrimPrefix(a.sentence(), a.Kind))}
	claim, event, picture := "", "", ""
	if a.Claim != "" {
		claim = "contradicts " + a.Claim
	}
	if a.Event > 0 {
		event = "at " + clockText(a.AtSeconds) + ", event " + count(int64(a.Event))
	}
	if a.Picture != "" {
		picture = "picture: " + a.Picture
	}
	row.Facts = join(claim, event, picture)
	text, err := json.MarshalIndent(a, "", "  ")
	if err != nil {
		text = []byte(err.Error()) // a time that JSON cannot hold
	}
	row.JSON = string(text)
	return row
}

type gapRow struct {
	Partition string
	Bars      []gapBar
}

type gapBar struct{ Kind, Length, At, Percent string }

type seriesRow struct{ Cells []string }

func newPageView(r *Result) *pageView {
	v := &pageView{
		R: r, Verdict: strings.ToUpper(string(r.Verdict)), Seed: seedText(r.Seed),
		CSS: template.CSS(pageCSS), UplotCSS: template.CSS(uplotCSS),
		JS: template.JS(pageJS), UplotJS: template.JS("/*\n" + uplotLicence + "*/\n" + uplotJS), UplotVersion: uplotVersion,
	}
	switch r.Verdict {
	case Pass:
		v.Icon = markHeld.sign
	case Fail:
		v.Icon = markFailed.sign
	default:
		v.Icon = markUndecided.sign
	}
	speed := speedText(r.VirtualSeconds, r.CPUSeconds)
	if speed != "" {
		speed += " real time"
	}
	v.Lede = join(secondsText(r.VirtualSeconds)+" of virtual time", plural(int64(r.Events), "event", "events"),
		secondsText(r.CPUSeconds)+" CPU", speed, BytesText(r.PeakRSSBytes)+" peak memory")
	v.judgements(r)
	v.faults(r)
	v.tiles(r)
	v.latency(r)
	v.gaps(r)
	v.partitions(r)
	v.Picture = newPicture(r)
	v.Matrix = newMatrix(r.ZoneTraffic)
	v.Data = newChartData(r)
	v.series(r.Series)
	return v
}

// class is how the style sheet calls a mark.
func (m mark) class() string {
	switch m {
	case markHeld:
		return "good"
	case markFailed:
		return "bad"
	case markUndecided:
		return "unsure"
	}
	return "off"
}

func (v *pageView) judgements(r *Result) {
	made, held := r.claimTally()
	v.ClaimsHeld = fmt.Sprintf("%d of %d held", held, made)
	for _, m := range []mark{markFailed, markUndecided, markHeld, markNotMade} {
		for i := range r.Claims {
			if c := &r.Claims[i]; r.claimMark(c) == m {
				v.Claims = append(v.Claims, markedRow{m.class(), m.sign, m.word, c.Name, c.Why})
			}
		}
	}
	v.ThresholdsHeld = fmt.Sprintf("%d of %d held", r.thresholdTally(), len(r.Thresholds))
	for _, h := range r.Thresholds {
		m := r.thresholdMark(&h)
		row := thresholdRow{m.class(), m.sign, m.word, h}
		if m == markFailed {
			row.Word = "missed"
		}
		v.Thresholds = append(v.Thresholds, row)
	}
	for i := range r.Anomalies[:min(len(r.Anomalies), pageAnomaliesMax)] {
		v.Anomalies = append(v.Anomalies, newAnomalyRow(&r.Anomalies[i]))
	}
	v.AnomaliesTotal = count(int64(max(r.AnomaliesTotal, len(r.Anomalies))))
	v.AnomaliesMore = max(r.AnomaliesTotal-len(v.Anomalies), 0)
}

func (v *pageView) faults(r *Result) {
	for i, f := range r.Faults[:min(len(r.Faults), pageFaultsMax)] {
		row := faultRow{Number: i + 1, Name: f.Name, Target: f.Target, Detail: f.Detail, When: clockText(f.FromSeconds), Lasted: "an instant"}
		if f.ToSeconds > f.FromSeconds {
			row.When += " – " + clockText(f.ToSeconds)
			row.Lasted = secondsText(f.ToSeconds - f.FromSeconds)
		}
		v.Faults = append(v.Faults, row)
	}
	v.FaultsMore = len(r.Faults) - len(v.Faults)
}

func (v *pageView) tiles(r *Result) {
	n := &r.Records
	lost := tile{"lost", count(n.Lost), "acknowledged, and gone", n.Lost > 0}
	switch p := r.PermittedLoss; {
	case r.lossPermitted():
		lost = tile{"lost, as permitted", count(n.Lost), "and exactly as predicted", false}
	case p != nil && n.Lost == 0 && p.Predicted == 0:
		lost.Note = "though the configuration permits it"
	case p != nil:
		lost.Note, lost.Bad = "but predicted "+count(p.Predicted), true
	}
	v.Tiles = []tile{
		{"records acked", shortCount(n.Acked), "of " + count(n.Offered) + " offered", false},
		lost,
		r.unlessClaimed("no_broker_duplicates", tile{"duplicated", count(n.Duplicated), "at two offsets of a log", n.Duplicated > 0}),
		r.unlessClaimed("no_reorder", tile{"reordered", count(n.Reordered), "against their producer", n.Reordered > 0}),
	}
	if u, ok := r.worst(); ok {
		v.Tiles = append(v.Tiles, tile{"longest outage", secondsText(u.length), "no produce on " + u.partition + " from " + clockText(u.from), false})
	} else {
		v.Tiles = append(v.Tiles, tile{"longest outage", "none", "of any partition", false})
	}
	p := &r.Latency.Produce
	outside := tile{"produce p99", millisText(p.Whole.P99) + " ms", "over the whole run", false}
	switch {
	case p.Whole.Count == 0:
		outside.Value, outside.Note = "–", "nothing was acknowledged"
	case p.During.Count > 0:
		outside = tile{"produce p99", millisText(max(p.Before.P99, p.After.P99)) + " ms", millisText(p.During.P99) + " ms during faults", false}
	}
	v.Tiles = append(v.Tiles, outside,
		tile{"RTO", eventually(r.RTOSeconds), "fault to all served again", r.RTOSeconds < 0},
		tile{"lag recovery", eventually(r.LagRecoverySeconds), "peak " + count(r.PeakLagRecords) + " records", r.LagRecoverySeconds < 0})
	v.Facts = []tile{
		{Name: "leader elections", Value: count(int64(r.Elections))},
		{Name: "controller elections", Value: count(int64(r.ControllerElections))},
		{Name: "ISR shrinks", Value: count(int64(r.ISRShrinks))},
		{Name: "ISR expands", Value: count(int64(r.ISRExpands))},
		{Name: "rebalances", Value: count(int64(r.Rebalances))},
		{Name: "produce retries", Value: count(r.ProduceRetries)},
		{Name: "errors to applications", Value: count(r.ProduceErrors)},
		{Name: "delivered", Value: count(n.Delivered)},
		{Name: "redelivered", Value: count(n.Redelivered)},
		{Name: "unknown outcome", Value: count(n.Unknown)},
		{Name: "failed, not appended", Value: count(n.Failed)},
		{Name: "unverified", Value: count(n.Unverified), Bad: n.Unverified > 0},
		{Name: "compacted away", Value: count(n.Compacted)},
		{Name: "RPO", Value: fmt.Sprintf("%s records, %s, %s", count(r.RPO.Records), BytesText(r.RPO.Bytes), secondsText(r.RPO.Seconds)), Bad: r.RPO.Records > 0 && !r.lossPermitted()},
		{Name: "trace hash", Value: r.TraceHash},
	}
}

// unlessClaimed takes the colour from what the configuration does not rule out.
func (r *Result) unlessClaimed(claim string, t tile) tile {
	i := slices.IndexFunc(r.Claims, func(c Claim) bool { return c.Name == claim })
	if t.Bad && i >= 0 && !r.Claims[i].Made {
		t.Bad, t.Note = false, "which the configuration permits"
	}
	return t
}

func (v *pageView) latency(r *Result) {
	for _, kind := range []struct {
		name   string
		phases *Phases
	}{{"produce", &r.Latency.Produce}, {"end to end", &r.Latency.E2E}} {
		for _, q := range kind.phases.named() {
			if q.Count > 0 {
				v.Latency = append(v.Latency, latencyRow{kind.name, q.Name, []string{millisText(q.P50), millisText(q.P95),
					millisText(q.P99), millisText(q.P999), millisText(q.Max), count(q.Count)}})
			}
		}
	}
}

// gaps are the longest outages of each partition, the longest first, as bars on one
// scale; what was never unavailable has none.
func (v *pageView) gaps(r *Result) {
	longest := func(u *Unavailability) float64 { return max(u.LongestSeconds, u.FetchLongestSeconds) }
	list := slices.DeleteFunc(slices.Clone(r.Unavailability), func(u Unavailability) bool { return !(longest(&u) > 0) })
	slices.SortStableFunc(list, func(a, b Unavailability) int {
		return cmp.Or(cmp.Compare(b.LongestSeconds, a.LongestSeconds), cmp.Compare(b.FetchLongestSeconds, a.FetchLongestSeconds))
	})
	scale := 0.0
	for i := range list {
		scale = max(scale, longest(&list[i]))
	}
	bar := func(kind string, length, from float64) gapBar {
		return gapBar{kind, secondsText(length), clockText(from), fmt.Sprintf("%.1f", 100*length/scale)}
	}
	for i := range list {
		u := &list[i]
		if i == pageUnavailabilityMax {
			v.GapsMore = fmt.Sprintf("and %s, with no outage of produce longer than %s", plural(int64(len(list)-i), "partition", "partitions"), secondsText(u.LongestSeconds))
			break
		}
		row := gapRow{Partition: u.Partition}
		if u.LongestSeconds > 0 {
			row.Bars = append(row.Bars, bar("produce", u.LongestSeconds, u.FromSeconds))
		}
		if u.FetchLongestSeconds > 0 {
			row.Bars = append(row.Bars, bar("fetch", u.FetchLongestSeconds, u.FetchFromSeconds))
		}
		v.Gaps = append(v.Gaps, row)
	}
	for _, s := range r.Stalls {
		row := tile{Name: s.What, Value: "never"}
		if s.LongestSeconds > 0 {
			row.Value = "at most " + secondsText(s.LongestSeconds) + ", from " + clockText(s.FromSeconds)
		}
		v.Stalls = append(v.Stalls, row)
	}
}

// partitions is the table of single partitions' latencies, the slowest outside of
// faults first.
func (v *pageView) partitions(r *Result) {
	list := slices.Clone(r.PartitionLatency)
	outside := func(p *PartitionLatency) float64 { return max(p.Before.P99, p.After.P99) }
	slices.SortStableFunc(list, func(a, b PartitionLatency) int { return cmp.Compare(outside(&b), outside(&a)) })
	for _, p := range list[:min(len(list), pagePartitionsMax)] {
		row := latencyRow{p.Kind, p.Partition, nil}
		for _, q := range []*Quantiles{&p.Before, &p.During, &p.After} {
			row.Cells = append(row.Cells, dashIfZero(q.P50), dashIfZero(q.P99), dashIfZero(q.Max))
		}
		v.Partitions = append(v.Partitions, row)
	}
	v.PartitionsMore = len(list) - len(v.Partitions)
}

// series is the table beside the charts, for those who cannot see them.
func (v *pageView) series(points []SeriesPoint) {
	rows, every := thin(points, pageTableRowsMax)
	v.SeriesEvery = plural(every, "second", "seconds")
	for _, p := range rows {
		v.SeriesRows = append(v.SeriesRows, seriesRow{[]string{clockText(float64(p.Second)), count(p.Acked), count(p.Delivered),
			dashIfZero(p.ProduceP50), dashIfZero(p.ProduceP99), dashIfZero(p.ProduceMax), dashIfZero(p.E2EP99),
			count(p.Lag), count(int64(p.UnderReplicated)), count(p.Errors)}})
	}
}

func dashIfZero(ms float64) string {
	if ms <= 0 || math.IsNaN(ms) {
		return "–"
	}
	return millisText(ms)
}
