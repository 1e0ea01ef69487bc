//go:build jvm

package conformance

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Goal: whatever Apache Kafka answers, brokerd answers. Method: the same script
// of requests, edge cases and errors is played to a node of each over raw TCP;
// the answers are compared field by field. What differs must stand in the table
// of differences, with its reason, and what stands there must differ.
//
// The script is played once for each version: the first time every request is
// asked in the newest version that both serve, then in the one before, and so
// on until the oldest of all has been asked.
func TestOracle(t *testing.T) {
	o := &oracle{
		t: t, seen: make(map[observation][]string), kept: make(map[*difference]int), hopeless: make(map[string]bool),
		sides: []*side{newSide("Kafka", startKafka(t, t.TempDir())), newSide("brokerd", startBrokerd(t, t.TempDir()))},
	}
	served := o.versions()
	passes := int16(1)
	for _, v := range served {
		passes = max(passes, v.max-v.min+1)
	}
	if *oraclePasses > 0 {
		passes = min(passes, int16(*oraclePasses))
	}
	for o.pass = range passes {
		for _, s := range o.sides {
			s.reset(o.pass)
		}
		for _, play := range script {
			play(o)
		}
	}
	o.judge(served)
}

var oraclePasses = flag.Int("oracle-passes", 0, "play the script so many times only, from the newest versions on; that each version was asked is not judged then")

// script is every part that is played, in order.
var script = []func(*oracle){
	framesScript, topicsScript, metadataScript, produceScript, idempotenceScript, fetchScript, fetchSessionScript,
	offsetsScript, groupScript, commitScript, configScript, clusterScript, securityScript,
}

// side is one of the two brokers, and what the script has learned about it.
type side struct {
	name    string
	address string
	dir     string // of its logs
	wire    *wire
	pass    int16
	topics  map[string][16]byte // ids
	members map[string]string   // a member's id by its name in the script
	numbers map[string]int64    // sessions, producers
	aliases map[string]string   // how a value that each broker chooses is shown
}

func newSide(name string, s *single) *side {
	return &side{name: name, address: s.address, dir: filepath.Join(s.dir, "data")}
}

func (s *side) reset(pass int16) {
	s.pass = pass
	s.topics, s.members = make(map[string][16]byte), make(map[string]string)
	s.numbers, s.aliases = make(map[string]int64), make(map[string]string)
	_, port, _ := strings.Cut(s.address, ":")
	s.aliases[port], s.aliases[s.dir] = "<port>", "<directory>"
}

// name is a resource's name in this pass, of which the comparison sees the base only.
func (s *side) nameOf(base string) string { return base + s.suffix() }
func (s *side) suffix() string            { return fmt.Sprintf("-pass%02d", s.pass) }

func (s *side) id(topic string) [16]byte {
	if id, ok := s.topics[topic]; ok {
		return id
	}
	return [16]byte{0: 0xab, 6: 0x40, 15: 1} // nobody's
}

// exchange asks on the side's connection, and on a new one after it has been closed.
func (s *side) exchange(req kmsg.Request) (kmsg.Response, error) {
	if s.wire == nil {
		var err error
		if s.wire, err = dial(s.address); err != nil {
			return nil, err
		}
	}
	resp, err := s.wire.exchange(req)
	if err != nil {
		s.wire.close()
		s.wire = nil
	}
	return resp, err
}

type versionRange struct{ min, max int16 }

// oracle compares.
type oracle struct {
	t        *testing.T
	pass     int16
	sides    []*side
	ranges   map[int16]versionRange
	asked    map[int16]map[int16]bool
	compared int
	fields   int
	seen     map[observation][]string // in which versions
	kept     map[*difference]int
	hopeless map[string]bool // requests that differ however long one waits
}

// observation is a field that was found to differ.
type observation struct{ request, field, kafka, ours string }

// versions is what both serve.
func (o *oracle) versions() map[int16]versionRange {
	o.asked = make(map[int16]map[int16]bool)
	var both [2]map[int16]versionRange
	for i, s := range o.sides {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = 4, "oracle", "1"
		resp, err := s.exchange(req)
		if err != nil {
			o.t.Fatalf("%s: ApiVersions: %v", s.name, err)
		}
		both[i] = make(map[int16]versionRange)
		for _, k := range resp.(*kmsg.ApiVersionsResponse).ApiKeys {
			both[i][k.ApiKey] = versionRange{k.MinVersion, k.MaxVersion}
		}
	}
	o.ranges = make(map[int16]versionRange)
	for key, ours := range both[1] {
		if theirs, ok := both[0][key]; ok {
			o.ranges[key] = versionRange{max(ours.min, theirs.min), min(ours.max, theirs.max)}
		}
	}
	const produce = 0
	r := o.ranges[produce]
	r.min = 3 // 0 to 2 are advertised by both, and refused (KAFKA-18659)
	o.ranges[produce] = r
	return o.ranges
}

// ask asks both in the version of this pass and compares.
func (o *oracle) ask(name string, build func(s *side) kmsg.Request) []kmsg.Response {
	r := o.ranges[build(o.sides[0]).Key()]
	return o.askAt(max(r.min, r.max-o.pass), name, build)
}

// patience is how long a look may take until both agree: a broker acts upon
// metadata when it hears of it.
const patience = 10 * time.Second

// look asks for a state, and again while there is an unknown difference.
func (o *oracle) look(name string, build func(s *side) kmsg.Request) []kmsg.Response {
	r := o.ranges[build(o.sides[0]).Key()]
	version := max(r.min, r.max-o.pass)
	_ = eventually(patience, func() error { // what stays different is reported below
		_, request, found := o.compare(version, name, build)
		if !o.hopeless[request] && slices.ContainsFunc(found, func(f observation) bool { return accepted(request, f) == nil }) {
			return errors.New("there is an unknown difference")
		}
		return nil
	})
	return o.askAt(version, name, build)
}

// await asks each until its answer is as it must be, whatever the time-outs of both:
// what another connection has been sent need not have arrived yet, at either of them.
func (o *oracle) await(build func(s *side) kmsg.Request, arrived func(kmsg.Response) bool) {
	for _, s := range o.sides {
		_ = eventually(patience, func() error { // what stays different is reported by what is asked next
			if resp, err := s.exchange(build(s)); err != nil || !arrived(resp) {
				return errors.New("not yet")
			}
			return nil
		})
	}
}

// askAt asks in a version of its own.
func (o *oracle) askAt(version int16, name string, build func(s *side) kmsg.Request) []kmsg.Response {
	responses, request, found := o.compare(version, name, build)
	key := build(o.sides[0]).Key()
	if o.asked[key] == nil {
		o.asked[key] = make(map[int16]bool)
	}
	o.asked[key][version] = true
	o.note(request, fmt.Sprint("v", version), found)
	return responses
}

// note keeps differences.
func (o *oracle) note(request, where string, found []observation) {
	o.compared++
	for _, f := range found {
		f.request = request
		if d := accepted(request, f); d != nil {
			o.kept[d]++
		} else {
			o.seen[f] = append(o.seen[f], where)
			o.hopeless[request] = true
		}
	}
}

func (o *oracle) compare(version int16, name string, build func(s *side) kmsg.Request) ([]kmsg.Response, string, []observation) {
	responses := make([]kmsg.Response, 2)
	var answers [2]map[string]string
	var key int16
	for i, s := range o.sides {
		req := build(s)
		key = req.Key()
		req.SetVersion(version)
		resp, err := s.exchange(req)
		answers[i] = make(map[string]string)
		if err != nil {
			answers[i]["Outcome"] = err.Error()
			continue
		}
		responses[i] = resp
		s.flatten(answers[i], "", reflect.ValueOf(resp).Elem())
	}
	o.fields += len(answers[0])
	return responses, kmsg.NameForKey(key) + ": " + name, diff(answers[0], answers[1])
}

const absent, present = "<absent>", "<present>"

// diff lists the fields that two answers do not share. Of an element that only
// one has, only the name is listed.
func diff(theirs, ours map[string]string) []observation {
	var found []observation
	fields := maps.Clone(theirs)
	maps.Copy(fields, ours)
	theirElements, ourElements := elements(theirs), elements(ours)
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		their, isTheirs := theirs[field]
		our, isOurs := ours[field]
		f := observation{"", field, their, our}
		switch {
		case field == "Outcome": // why there is no answer to compare
		case !isTheirs:
			f = observation{"", missing(field, theirElements), absent, present}
		case !isOurs:
			f = observation{"", missing(field, ourElements), present, absent}
		}
		if their != our && !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	return found
}

// elements are the paths of all elements of arrays.
func elements(answer map[string]string) map[string]bool {
	all := make(map[string]bool)
	for field := range answer {
		for i := range len(field) {
			if field[i] == ']' {
				all[field[:i+1]] = true
			}
		}
	}
	return all
}

// missing is the outermost element of a field's path that an answer does not have.
func missing(field string, has map[string]bool) string {
	for i := range len(field) {
		if field[i] == ']' && !has[field[:i+1]] {
			return field[:i+1]
		}
	}
	return field
}

// labels are the fields by which an element of an array is known: the order of
// most arrays is that of a hash table in Kafka.
var labels = []string{"Topic", "TopicID", "Name", "ResourceName", "ConfigName", "Group", "MemberID", "User", "Dir", "Partition", "PartitionID", "ProducerID", "ApiKey", "NodeID", "Key", "ResourceType"}

// flatten writes each field of an answer under its path, with what a broker
// chooses for itself replaced.
func (s *side) flatten(into map[string]string, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			into[path] = "null"
			return
		}
		s.flatten(into, path, v.Elem())
	case reflect.Struct:
		if v.NumField() == 0 {
			return
		}
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Name == "Version" && path == "" || !field.IsExported() {
				continue
			}
			if field.Name == "UnknownTags" {
				tags := v.Field(i).Addr().Interface().(*kmsg.Tags)
				if tags.Len() > 0 {
					into[join(path, field.Name)] = fmt.Sprint(tags)
				}
				continue
			}
			if (field.Name == "TotalBytes" || field.Name == "UsableBytes") && v.Field(i).Int() > 0 {
				into[join(path, field.Name)] = "<bytes>" // of the volume, which others use too
				continue
			}
			s.flatten(into, join(path, field.Name), v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			s.bytes(into, path, v)
			return
		}
		if v.Kind() == reflect.Slice && v.IsNil() {
			into[path] = "null"
			return
		}
		into[path+"#"] = fmt.Sprint(v.Len())
		times := make(map[string]int)
		for i := range v.Len() {
			label := fmt.Sprint(i)
			if v.Index(i).Kind() == reflect.Struct {
				label = s.label(v.Index(i))
				if times[label]++; times[label] > 1 {
					label += fmt.Sprint(" again", times[label])
				}
			}
			s.flatten(into, path+"["+label+"]", v.Index(i))
		}
	default:
		into[path] = s.alias(fmt.Sprint(v.Interface()))
	}
}

func join(path, field string) string {
	if path == "" {
		return field
	}
	return path + "." + field
}

func (s *side) label(v reflect.Value) string {
	for _, name := range labels {
		field := v.FieldByName(name)
		if !field.IsValid() || field.Kind() == reflect.Pointer && field.IsNil() || name != "Partition" && field.IsZero() {
			continue
		}
		var text = make(map[string]string)
		s.flatten(text, "", field)
		if name == "ResourceName" && text[""] == "" {
			continue
		}
		return text[""]
	}
	return ""
}

func (s *side) bytes(into map[string]string, path string, v reflect.Value) {
	if v.Kind() == reflect.Slice && v.IsNil() {
		into[path] = "null"
		return
	}
	raw := make([]byte, v.Len())
	reflect.Copy(reflect.ValueOf(raw), v)
	if version4 := v.Kind() == reflect.Array && raw[6]>>4 == 4; version4 && s.aliases[hex.EncodeToString(raw)] == "" {
		into[path] = "<new id>"
		return
	}
	into[path] = s.alias(hex.EncodeToString(raw))
}

// alias replaces what each broker chooses by how the script calls it.
func (s *side) alias(value string) string {
	if alias, ok := s.aliases[value]; ok {
		return alias
	}
	value = chosen.ReplaceAllString(strings.ReplaceAll(value, s.suffix(), ""), "-<uuid>")
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && time.Since(time.UnixMilli(n)).Abs() < time.Hour {
		return "<now>"
	}
	return value
}

// chosen is how both end the member ids that they choose.
var chosen = regexp.MustCompile(`-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// judge fails the test for what differs and is not accepted, for what is
// accepted and does not differ, and for what was never asked.
func (o *oracle) judge(served map[int16]versionRange) {
	total := 0
	for _, f := range slices.SortedFunc(maps.Keys(o.seen), func(a, b observation) int {
		return strings.Compare(a.request+a.field+a.kafka, b.request+b.field+b.kafka)
	}) {
		o.t.Errorf("%s %v\n\t%s: Kafka %s, brokerd %s", f.request, o.seen[f], f.field, f.kafka, f.ours)
	}
	o.t.Logf("%d requests in %d passes, %d fields", o.compared, o.pass+1, o.fields)
	for i := range differences {
		d := &differences[i]
		total += o.kept[d]
		if o.kept[d] == 0 {
			o.t.Errorf("differences[%d], %s %s: Kafka and brokerd agree; strike it off", i, d.request, d.field)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(served)) {
		if *oraclePasses > 0 {
			break
		}
		for version := served[key].min; version <= served[key].max; version++ {
			if !o.asked[key][version] {
				o.t.Errorf("%s version %d was never asked", kmsg.NameForKey(key), version)
			}
		}
	}
	o.t.Logf("%d differences are accepted by %d lines of the table", total, len(differences))
}
