package reports

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// chartPointsMax bounds the points of a chart; longer runs are thinned.
const chartPointsMax = 3600

// curveDecadesMax bounds the percentile curves at 99.99999999 %.
const curveDecadesMax = 10

// curveStepsPerDecade is how often a percentile curve is evaluated.
const curveStepsPerDecade = 16

// chartData is what the page's script draws. Absent values are null.
type chartData struct {
	Every     int64     `json:"every"` // seconds a point stands for
	Seconds   []int64   `json:"seconds"`
	Acked     []float64 `json:"acked"` // per second
	Delivered []float64 `json:"delivered"`
	Errors    []float64 `json:"errors"` // nil if there was none
	P50       []maybe   `json:"p50"`
	P99       []maybe   `json:"p99"`
	Max       []maybe   `json:"max"`
	E2E       []maybe   `json:"e2e"`
	Lag       []int64   `json:"lag"`
	Under     []int     `json:"under"`

	Faults []chartFault `json:"faults"`
	Curves []curves     `json:"curves"`
}

// maybe is a figure, or null where nothing was measured.
type maybe float64

func (m maybe) MarshalJSON() ([]byte, error) {
	if v := float64(m); v > 0 && !math.IsInf(v, 0) {
		return strconv.AppendFloat(nil, v, 'g', 6, 64), nil
	}
	return []byte("null"), nil
}

type chartFault struct {
	Number int     `json:"number"`
	Label  string  `json:"label"`
	From   float64 `json:"from"`
	To     float64 `json:"to"`
}

// curves are the percentile curves of one latency over a common scale.
type curves struct {
	Name   string    `json:"name"`
	Scale  []float64 `json:"scale"` // 1/(1-q)
	Phases []curve   `json:"phases"`
}

type curve struct {
	Name   string  `json:"name"`
	Millis []maybe `json:"millis"`
}

func newChartData(r *Result) chartData {
	points, every := thin(r.Series, chartPointsMax)
	d := chartData{Every: every, Faults: []chartFault{}, Curves: []curves{}}
	failed := slices.ContainsFunc(points, func(p SeriesPoint) bool { return p.Errors != 0 })
	for _, p := range points {
		d.Seconds = append(d.Seconds, p.Second)
		d.Acked = append(d.Acked, float64(p.Acked)/float64(every))
		d.Delivered = append(d.Delivered, float64(p.Delivered)/float64(every))
		if failed {
			d.Errors = append(d.Errors, float64(p.Errors)/float64(every))
		}
		d.P50 = append(d.P50, maybe(p.ProduceP50))
		d.P99 = append(d.P99, maybe(p.ProduceP99))
		d.Max = append(d.Max, maybe(p.ProduceMax))
		d.E2E = append(d.E2E, maybe(p.E2EP99))
		d.Lag = append(d.Lag, p.Lag)
		d.Under = append(d.Under, p.UnderReplicated)
	}
	for i, f := range r.Faults[:min(len(r.Faults), pageFaultsMax)] {
		d.Faults = append(d.Faults, chartFault{i + 1, strings.TrimSpace(f.Name + " " + f.Target), f.FromSeconds, f.ToSeconds})
	}
	for _, kind := range []struct{ name, title string }{{"produce", "Produce"}, {"e2e", "End to end"}} {
		if c := newCurves(kind.name, kind.title, r.Histograms); len(c.Phases) > 0 {
			d.Curves = append(d.Curves, c)
		}
	}
	return d
}

// newCurves evaluates the histograms "kind.before" and so on, or "kind" where no
// phases were told apart.
func newCurves(kind, title string, all []NamedHistogram) curves {
	c := curves{Name: title}
	find := func(name string) *NamedHistogram {
		i := slices.IndexFunc(all, func(h NamedHistogram) bool {
			return h.Name == name && h.Hist != nil && h.Hist.TotalCount() > 0
		})
		if i < 0 {
			return nil
		}
		return &all[i]
	}
	var names []string
	var found []*NamedHistogram
	for _, phase := range []string{"before", "during", "after"} {
		if h := find(kind + "." + phase); h != nil {
			names, found = append(names, phase), append(found, h)
		}
	}
	if h := find(kind); len(found) == 0 && h != nil {
		names, found = []string{"whole run"}, []*NamedHistogram{h}
	}
	largest := int64(1)
	for _, h := range found {
		largest = max(largest, h.Hist.TotalCount())
	}
	steps := min(int(math.Ceil(math.Log10(float64(largest))*curveStepsPerDecade)), curveDecadesMax*curveStepsPerDecade)
	for i := range steps + 1 {
		c.Scale = append(c.Scale, math.Pow(10, float64(i)/curveStepsPerDecade))
	}
	for i, h := range found {
		line := curve{Name: names[i]}
		for _, x := range c.Scale {
			// Beyond 1/count the curve would repeat the maximum for ever.
			if x > float64(h.Hist.TotalCount())*math.Pow(10, 1.0/curveStepsPerDecade) {
				line.Millis = append(line.Millis, 0)
				continue
			}
			line.Millis = append(line.Millis, maybe(float64(h.Hist.ValueAtQuantile(100*(1-1/x)))/nanosPerMilli))
		}
		c.Phases = append(c.Phases, line)
	}
	return c
}

// thin merges seconds until at most max points are left and says how many seconds
// one stands for: counts are summed, everything else shows its worst.
func thin(points []SeriesPoint, most int) (out []SeriesPoint, every int64) {
	every = int64((len(points) + most - 1) / most)
	if every <= 1 {
		return points, 1
	}
	for chunk := range slices.Chunk(points, int(every)) {
		merged := chunk[0]
		for _, p := range chunk[1:] {
			merged.Acked += p.Acked
			merged.Delivered += p.Delivered
			merged.Errors += p.Errors
			merged.ProduceP50 = max(merged.ProduceP50, p.ProduceP50)
			merged.ProduceP99 = max(merged.ProduceP99, p.ProduceP99)
			merged.ProduceMax = max(merged.ProduceMax, p.ProduceMax)
			merged.E2EP99 = max(merged.E2EP99, p.E2EP99)
			merged.Lag = max(merged.Lag, p.Lag)
			merged.UnderReplicated = max(merged.UnderReplicated, p.UnderReplicated)
		}
		out = append(out, merged)
	}
	return out, every
}
