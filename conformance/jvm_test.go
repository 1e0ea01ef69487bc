//go:build jvm

package conformance

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	tools       = "org.apache.kafka.tools."
	toolTimeout = 2 * time.Minute
)

// classpath is what Maven resolves jvm/pom.xml to.
var classpath = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "classpath")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "classpath")
	maven := exec.Command("mvn", "-q", "-B", "-f", "jvm/pom.xml", "dependency:build-classpath", "-Dmdep.outputFile="+file)
	maven.Stdout, maven.Stderr = os.Stderr, os.Stderr
	if err := maven.Run(); err != nil {
		return "", err
	}
	text, err := os.ReadFile(file)
	return string(text), err
})

// java is a main class of Apache Kafka, ready to be started. Its log, which has
// no configuration here, is not output.
func java(ctx context.Context, t *testing.T, class string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := classpath()
	if err != nil {
		t.Fatalf("resolve the class path of jvm/pom.xml with Maven: %v", err)
	}
	arguments := []string{"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", path, class}
	return exec.CommandContext(ctx, "java", append(arguments, args...)...)
}

// tool runs one of Apache Kafka's own tools to its end and returns its output.
func tool(t *testing.T, input, class string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	cmd := java(ctx, t, tools+class, args...)
	var out, complaints bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &complaints
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", class, strings.Join(args, " "), err, &out, &complaints)
	}
	return out.String()
}

// tool runs a tool with the cluster's address.
func (c *cluster) tool(t *testing.T, input, class string, args ...string) string {
	t.Helper()
	return tool(t, input, class, append([]string{"--bootstrap-server", strings.Join(c.bootstrap, ",")}, args...)...)
}
