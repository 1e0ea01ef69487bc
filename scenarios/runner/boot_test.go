package runner

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/seed-604ea8f1/windtunnel/reports"
	"github.com/seed-604ea8f1/windtunnel/scenarios"
)

func TestDev(t *testing.T) {
	name := os.Getenv("SCENARIO")
	if name == "" {
		name = "smoke"
	}
	data, err := os.ReadFile("../" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenarios.Load(data, name+".yaml")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Seed: 1}
	if os.Getenv("SEED") != "" {
		fmt.Sscan(os.Getenv("SEED"), &o.Seed)
	}
	if f := os.Getenv("TRACE"); f != "" {
		w, _ := os.Create(f)
		defer w.Close()
		o.TraceTo = w
	}
	start := time.Now()
	out, err := Run(s, o)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(reports.Text(out.Result, false))
	fmt.Println("wall", time.Since(start), out.Result.Events)
}
