package scenarios

import (
	"os"
	"testing"
)

func TestOne(t *testing.T) {
	data, _ := os.ReadFile("zone-failure.yaml")
	s, err := Load(data, "zone-failure.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", s)
}
