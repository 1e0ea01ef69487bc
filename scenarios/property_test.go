package scenarios

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
	"github.com/seed-604ea8f1/windtunnel/sim/client/clientconfig"
)

// Goal: no Kafka property is accepted and ignored. Method: each field that the
// tables of properties set must be read somewhere outside the tables, by those whose
// property it is: clients have some of the same name as brokers.
func TestEveryPropertyIsRead(t *testing.T) {
	brokers := fieldsRead(t, "../broker", "../cmd/brokerd")
	clients := fieldsRead(t, "../sim", "runner")
	for of, read := range map[reflect.Type]map[string]bool{
		reflect.TypeFor[config.Topic](): brokers, reflect.TypeFor[config.Broker](): brokers, reflect.TypeFor[clientconfig.Common](): clients,
		reflect.TypeFor[clientconfig.Producer](): clients, reflect.TypeFor[clientconfig.Consumer](): clients,
	} {
		for i := range of.NumField() {
			if f := of.Field(i); !f.Anonymous && !read[f.Name] {
				t.Errorf("%s.%s is set by a property and read by nobody: give it its effect, or make the property an error", of, f.Name)
			}
		}
	}
}

// fieldsRead are the names behind a dot in the code below some folders.
func fieldsRead(t *testing.T, roots ...string) map[string]bool {
	t.Helper()
	read := map[string]bool{}
	selector := regexp.MustCompile(`\.([A-Z][A-Za-z0-9]+)\b`)
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			ours := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go")
			tables := slices.Contains([]string{"config", "clientconfig"}, filepath.Base(filepath.Dir(path)))
			if err != nil || !ours || tables {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range selector.FindAllSubmatch(text, -1) {
				read[string(match[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return read
}
