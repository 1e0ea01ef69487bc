package scenarios

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a scenario file. They are far above what a person writes, and small
// because the YAML library is quadratic in the number of keys.
const (
	fileBytesMax = 64 << 10
	lineBytesMax = 4096
	depthMax     = 24
	nodesMax     = 10_000
)

// nodeKind is what a node of the tree is.
type nodeKind uint8

const (
	nodeScalar nodeKind = iota
	nodeMapping
	nodeSequence
	nodeNull
)

var nodeKindNames = [...]string{"a single value", "a mapping", "a list", "nothing"}

// node is one YAML node with its place. Scalars stay text: what a value means
// depends on the key, never on how it looks.
type node struct {
	kind   nodeKind
	line   int
	column int
	text   string
	keys   []*node // mapping
	values []*node // mapping and sequence
}

// source is one file while it is being loaded.
type source struct {
	file  string
	lines []string
	count int
}

func (s *source) fail(line, column int, message, got, suggestion string) *Error {
	e := &Error{File: s.file, Line: max(1, line), Column: max(1, column), Message: message, Got: got, Suggestion: suggestion}
	if e.Line <= len(s.lines) {
		e.Source = s.lines[e.Line-1]
	}
	return e
}

// lineEnds makes the line ends of every system the same.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// parse reads bytes into a tree. The YAML library is kept from anything that
// could make it slow or make its recursion deep.
func (s *source) parse(data []byte) (root *node, problem *Error) {
	if len(data) > fileBytesMax {
		return nil, s.fail(1, 1, fmt.Sprintf("the file is too large: %d bytes, at most %d", len(data), fileBytesMax), "", "")
	}
	text := strings.TrimPrefix(lineEnds.Replace(string(data)), "\uFEFF")
	s.lines = strings.Split(text, "\n")
	if problem := s.scan(text); problem != nil {
		return nil, problem
	}
	defer func() {
		// The library is not ours: a panic in it is a mistake in the file, as
		// far as the user is concerned.
		if r := recover(); r != nil {
			root, problem = nil, s.fail(1, 1, "the file cannot be read as YAML", "", "")
		}
	}()
	file, err := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		var at yaml.Error
		if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
			place := at.GetToken().Position
			return nil, s.fail(place.Line, place.Column, "not valid YAML: "+at.GetMessage(), "", "")
		}
		return nil, s.fail(1, 1, "the file cannot be read as YAML", "", "")
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		place := file.Docs[1].Body.GetToken().Position
		return nil, s.fail(place.Line, 1, "a scenario file holds one document", "", "")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, s.fail(1, 1, "the file is empty", "", "")
	}
	return s.build(file.Docs[0].Body, 0)
}

// scan refuses what is cheap to see in the text and costly to parse.
func (s *source) scan(text string) *Error {
	for at, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[at:]); size == 1 {
			return s.failIn(text, at, "not UTF-8 text; save the file as UTF-8")
		}
	}
	if at := strings.IndexByte(text, 0); at >= 0 {
		return s.failIn(text, at, "a NUL byte in the file; save it as plain text in UTF-8")
	}
	depth := 0
	for i, line := range s.lines {
		if len(line) > lineBytesMax {
			return s.fail(i+1, 1, fmt.Sprintf("the line is too long: %d bytes, at most %d", len(line), lineBytesMax), "", "")
		}
		if comment := strings.Index(line, " #"); comment >= 0 {
			line = line[:comment]
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for column, r := range line {
			switch r {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > depthMax || r == '-' && column > 4*depthMax && strings.Trim(line[:column], "- ?:") == "" {
				return s.fail(i+1, column+1, fmt.Sprintf("nested more than %d deep", depthMax), "", "")
			}
		}
	}
	return nil
}

// failIn is an error at a place of the whole text.
func (s *source) failIn(text string, at int, message string) *Error {
	line := 1 + strings.Count(text[:at], "\n")
	return s.fail(line, 1+utf8.RuneCountInString(text[1+strings.LastIndexByte(text[:at], '\n'):at]), message, "", "")
}

func (s *source) build(from ast.Node, depth int) (*node, *Error) {
	place := positionOf(from)
	n := &node{line: place.Line, column: place.Column}
	if s.count++; s.count > nodesMax {
		return nil, s.fail(n.line, n.column, fmt.Sprintf("more than %d values in the file", nodesMax), "", "")
	}
	if depth > depthMax {
		return nil, s.fail(n.line, n.column, fmt.Sprintf("nested more than %d deep", depthMax), "", "")
	}
	switch from := from.(type) {
	case *ast.MappingNode:
		n.kind = nodeMapping
		for _, pair := range from.Values {
			if err := s.buildPair(n, pair, depth); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		n.kind = nodeMapping
		if err := s.buildPair(n, from, depth); err != nil {
			return nil, err
		}
	case *ast.SequenceNode:
		n.kind = nodeSequence
		for _, value := range from.Values {
			item, err := s.build(value, depth+1)
			if err != nil {
				return nil, err
			}
			n.values = append(n.values, item)
		}
	case *ast.NullNode:
		n.kind = nodeNull
	case *ast.LiteralNode:
		n.text = from.Value.Value
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.DirectiveNode:
		return nil, s.fail(n.line, n.column, "anchors, aliases, tags and directives are not used in scenario files", from.GetToken().Value, "")
	default:
		if from == nil || from.GetToken() == nil {
			return nil, s.fail(n.line, n.column, "the file cannot be read as YAML", "", "")
		}
		n.text = from.GetToken().Value
	}
	return n, nil
}

func (s *source) buildPair(n *node, pair *ast.MappingValueNode, depth int) *Error {
	key, err := s.build(pair.Key, depth+1)
	if err != nil {
		return err
	}
	if _, complex := pair.Key.(*ast.MappingKeyNode); complex || key.kind != nodeScalar {
		return s.fail(key.line, key.column, "a key is a single word", "", "")
	}
	value, err := s.build(pair.Value, depth+1)
	if err != nil {
		return err
	}
	if len(n.keys) == 0 {
		n.line, n.column = key.line, key.column
	}
	for _, earlier := range n.keys {
		if earlier.text == key.text {
			return s.fail(key.line, key.column, fmt.Sprintf("the key is already on line %d", earlier.line), key.text, "")
		}
	}
	n.keys, n.values = append(n.keys, key), append(n.values, value)
	return nil
}

// positionOf finds a place for a node; the library keeps none for some.
func positionOf(from ast.Node) token.Position {
	if from == nil || from.GetToken() == nil || from.GetToken().Position == nil {
		return token.Position{Line: 1, Column: 1}
	}
	return *from.GetToken().Position
}
