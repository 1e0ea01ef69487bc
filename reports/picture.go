package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Geometry of the cluster's picture, in its own units.
const (
	pictureColumn     = 190
	pictureGap        = 20
	pictureHead       = 34
	pictureNode       = 50
	pictureClient     = 30
	pictureNodeGap    = 8
	pictureArcDepth   = 30
	pictureArcStart   = 64
	pictureArcApart   = 32
	pictureClientsMax = 6 // of a zone; more are drawn as one box
	pictureArcsMax    = 6 // zones; more make the arcs unreadable
)

// picture is the cluster as seen by zones: a column each, nodes as boxes, and
// arcs for the bytes between two zones.
type picture struct {
	Width, Height int
	Columns       []pictureColumnView
	Arcs          []pictureArc
	Alt           string
}

type pictureColumnView struct {
	X, Width, Height int
	Name             string
	Nodes            []pictureNodeView
}

type pictureNodeView struct {
	X, Y, Width, Height int
	Role, Name, Facts   string
	Boots               string // by which faults it was hit, and how often it was started; empty if once
	Title               string
	TextX, TextY        int
	FactsY, BootsY      int
	RightX              int
}

type pictureArc struct {
	Path           string
	Stroke         string
	Label, Title   string
	LabelX, LabelY int
}

// roleOrder is from the top of a column downwards.
var roleOrder = map[string]int{"broker": 0, "controller": 1, "client": 2, "producer": 2, "consumer": 2}

// isClient tells clients from the cluster's own nodes.
func isClient(role string) bool { return role != "broker" && role != "controller" }

func newPicture(r *Result) *picture {
	if len(r.Nodes) == 0 {
		return nil
	}
	var zones []string
	for _, n := range r.Nodes {
		if !slices.Contains(zones, n.Zone) {
			zones = append(zones, n.Zone)
		}
	}
	slices.Sort(zones)
	p := &picture{Width: len(zones)*(pictureColumn+pictureGap) - pictureGap}
	tallest := 0
	for i, zone := range zones {
		var nodes []Node
		for _, n := range r.Nodes {
			if n.Zone == zone {
				nodes = append(nodes, n)
			}
		}
		slices.SortStableFunc(nodes, func(a, b Node) int { return cmp.Compare(roleOrder[a.Role], roleOrder[b.Role]) })
		column := newPictureColumn(i*(pictureColumn+pictureGap), zone, nodes, r.Faults)
		tallest = max(tallest, column.Height)
		p.Columns = append(p.Columns, column)
	}
	for i := range p.Columns {
		p.Columns[i].Height = tallest
	}
	p.Height = tallest
	if len(zones) <= pictureArcsMax {
		p.arcs(r.ZoneTraffic, zones)
	}
	p.Alt = fmt.Sprintf("%s in %s", plural(int64(len(r.Nodes)), "node", "nodes"), plural(int64(len(zones)), "zone", "zones"))
	return p
}

func newPictureColumn(x int, zone string, nodes []Node, faults []Fault) pictureColumnView {
	c := pictureColumnView{X: x, Width: pictureColumn, Name: "zone " + zone}
	if zone == "" {
		c.Name = "no zone"
	}
	clients := 0
	for _, n := range nodes {
		if isClient(n.Role) {
			clients++
		}
	}
	y := pictureHead
	for _, n := range nodes {
		if isClient(n.Role) && clients > pictureClientsMax {
			continue
		}
		v := newPictureNode(x, y, n, hits(n.Name, faults))
		c.Nodes = append(c.Nodes, v)
		y += v.Height + pictureNodeGap
	}
	if clients > pictureClientsMax {
		v := newPictureNode(x, y, Node{Name: count(int64(clients)) + " clients", Role: "client", Boots: 1}, "")
		c.Nodes = append(c.Nodes, v)
		y += v.Height + pictureNodeGap
	}
	c.Height = y + 2
	return c
}

// hitsMax is how many faults of a node are named beside it.
const hitsMax = 3

// hits are the numbers of the faults that hit a node.
func hits(name string, faults []Fault) string {
	var numbers []string
	for i := range faults {
		if slices.Contains(faults[i].Nodes, name) {
			numbers = append(numbers, strconv.Itoa(i+1))
		}
	}
	if len(numbers) > hitsMax {
		numbers = append(numbers[:hitsMax-1], "…")
	}
	return strings.Join(numbers, ",")
}

func newPictureNode(x, y int, n Node, hit string) pictureNodeView {
	const inset = 10
	v := pictureNodeView{X: x + inset, Y: y, Width: pictureColumn - 2*inset, Height: pictureNode, Role: "client",
		TextX: x + 2*inset + 4, TextY: y + 20, RightX: x + pictureColumn - 2*inset}
	switch n.Role {
	case "broker":
		v.Role, v.Facts = n.Role, fmt.Sprintf("%s · %s", plural(int64(n.Leaders), "leader", "leaders"), plural(int64(n.Replicas), "replica", "replicas"))
	case "controller":
		v.Role, v.Facts = n.Role, n.Role
	default:
		v.Height = pictureClient
	}
	if hit != "" {
		v.Boots = "⚡" + hit
	}
	if n.Boots > 1 {
		v.Boots += fmt.Sprintf(" ↻%d", n.Boots)
	}
	v.Boots = strings.TrimSpace(v.Boots)
	v.Name = ellipsis(n.Name, 19-textWidth(v.Boots))
	v.FactsY, v.BootsY = y+38, v.TextY
	facts := v.Facts
	if v.Role == "client" {
		facts = n.Role
	}
	if facts == n.Role {
		facts = ""
	}
	if hit != "" {
		hit = "hit by fault " + hit
	}
	v.Title = join(n.Name, n.Role, facts, hit, plural(int64(n.Boots), "start", "starts"))
	return v
}

// arcs draws each pair of zones once, as wide as its share of the bytes.
func (p *picture) arcs(traffic []ZoneTraffic, zones []string) {
	type pair struct{ a, b int }
	bytes := make(map[pair]int64)
	largest := int64(0)
	for _, z := range traffic {
		a, b := slices.Index(zones, z.From), slices.Index(zones, z.To)
		if a < 0 || b < 0 || a == b {
			continue
		}
		k := pair{min(a, b), max(a, b)}
		bytes[k] += z.Bytes
		largest = max(largest, bytes[k])
	}
	if largest == 0 {
		return
	}
	deepest := 0
	for a := range zones {
		for b := a + 1; b < len(zones); b++ {
			n := bytes[pair{a, b}]
			if n <= 0 {
				continue
			}
			centre := func(i int) int { return i*(pictureColumn+pictureGap) + pictureColumn/2 }
			depth := pictureArcDepth * (b - a)
			deepest = max(deepest, depth)
			// The longer an arc, the further out it starts, so that none cross.
			apart := pictureArcStart - pictureArcApart*(b-a)
			x1, x2, y := centre(a)+apart, centre(b)-apart, p.Height+4
			middle := (x1 + x2) / 2
			p.Arcs = append(p.Arcs, pictureArc{
				Path:   fmt.Sprintf("M%d %d Q%d %d %d %d", x1, y, middle, y+2*depth, x2, y),
				Stroke: fmt.Sprintf("%.1f", 1.5+6.5*math.Sqrt(float64(n)/float64(largest))),
				Label:  BytesText(n), LabelX: middle, LabelY: y + depth + 18,
				Title: fmt.Sprintf("%s between zones %s and %s", BytesText(n), zones[a], zones[b]),
			})
		}
	}
	p.Height += deepest + 32
}

// matrix is the traffic of each zone to each.
type matrix struct {
	Zones []string
	Rows  []matrixRow
	Facts string
}

type matrixRow struct {
	From  string
	Cells []matrixCell
}

type matrixCell struct {
	Text  string
	Share string // of the largest cell, in percent
	Same  bool
}

// zoneBytes adds up what was sent, and what of it crossed zones.
func zoneBytes(traffic []ZoneTraffic) (total, across int64) {
	for _, z := range traffic {
		total += z.Bytes
		if z.From != z.To {
			across += z.Bytes
		}
	}
	return total, across
}

func newMatrix(traffic []ZoneTraffic) *matrix {
	m := new(matrix)
	total, across := zoneBytes(traffic)
	largest := int64(0)
	for _, z := range traffic {
		for _, name := range []string{z.From, z.To} {
			if !slices.Contains(m.Zones, name) {
				m.Zones = append(m.Zones, name)
			}
		}
		largest = max(largest, z.Bytes)
	}
	if total <= 0 {
		return nil
	}
	slices.Sort(m.Zones)
	m.Facts = fmt.Sprintf("%s sent, %.0f%% of it across zones", BytesText(total), 100*float64(across)/float64(total))
	for _, from := range m.Zones {
		row := matrixRow{From: from}
		for _, to := range m.Zones {
			var n int64
			for _, z := range traffic {
				if z.From == from && z.To == to {
					n += z.Bytes
				}
			}
			row.Cells = append(row.Cells, matrixCell{BytesText(n), fmt.Sprintf("%.0f", 60*float64(n)/float64(largest)), from == to})
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}
