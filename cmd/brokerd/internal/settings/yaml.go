package settings

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/seed-604ea8f1/windtunnel/broker/config"
)

// depthMax bounds the nesting of a file.
const depthMax = 16

// parseYAML reads a mapping of properties. A name may be written with dots or
// as nested mappings, a list with commas or as a sequence.
func parseYAML(path string, data []byte) ([]Given, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	y := &yamlReader{path: path}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if err := y.mapping(doc.Body, "", 0); err != nil {
			return nil, err
		}
	}
	return y.out, nil
}

type yamlReader struct {
	path string
	out  []Given
}

func (y *yamlReader) place(n ast.Node) string {
	return fmt.Sprintf("%s:%d", y.path, n.GetToken().Position.Line)
}

func (y *yamlReader) mapping(n ast.Node, prefix string, depth int) error {
	if depth > depthMax {
		return fmt.Errorf("%s: nested deeper than %d", y.place(n), depthMax)
	}
	var entries []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		entries = n.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{n}
	case *ast.CommentGroupNode, *ast.NullNode:
	default:
		return fmt.Errorf("%s: want a mapping of properties", y.place(n))
	}
	for _, e := range entries {
		if err := y.entry(e, prefix, depth); err != nil {
			return err
		}
	}
	return nil
}

func (y *yamlReader) entry(e *ast.MappingValueNode, prefix string, depth int) error {
	name := prefix + strings.Trim(e.Key.String(), `"'`)
	switch v := e.Value.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return y.mapping(v, name+".", depth+1)
	case *ast.SequenceNode:
		var list []string
		for _, item := range v.Values {
			text, ok := scalar(item)
			if !ok {
				return fmt.Errorf("%s: an item of %s is no plain value", y.place(item), name)
			}
			list = append(list, text)
		}
		y.add(e, name, strings.Join(list, ","))
	default:
		text, ok := scalar(v)
		if !ok {
			return fmt.Errorf("%s: the value of %s is no plain value", y.place(v), name)
		}
		y.add(e, name, text)
	}
	return nil
}

func (y *yamlReader) add(n ast.Node, name, value string) {
	y.out = append(y.out, Given{config.KV{Name: name, Value: value}, y.place(n)})
}

// scalar returns a value's text as it was written: 1e3 is not 1000 here, as in a
// .properties file.
func scalar(n ast.Node) (string, bool) {
	switch v := n.(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case *ast.NullNode:
		return "", true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	}
	return "", false
}
