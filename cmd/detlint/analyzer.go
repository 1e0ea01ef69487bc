package main

import (
	"go/ast"
	"go/token"
	"go/types"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer reports whatever could make two runs of the same seed differ.
var Analyzer = &analysis.Analyzer{
	Name: "detlint",
	Doc:  "reports goroutines, channels, clocks, map order, floats, global state and I/O in deterministic code",
	Run:  run,
}

// bannedImports are packages that deterministic code has no use for.
var bannedImports = map[string]string{
	"os": "performs I/O", "os/exec": "performs I/O", "os/signal": "performs I/O", "net": "performs I/O", "net/http": "performs I/O",
	"syscall": "performs I/O", "io/ioutil": "performs I/O", "log": "performs I/O", "log/slog": "performs I/O",
	"sync": "is for several threads", "sync/atomic": "is for several threads", "context": "is for several threads",
	"crypto/rand": "cannot be seeded", "math/rand": "has global state", "runtime": "depends on the process",
	"hash/maphash": "differs from process to process", "unique": "depends on the process",
}

// bannedFuncs are functions that read a clock or global random numbers, or
// range over a map.
var bannedFuncs = map[string]string{
	"time.Now": "reads the machine's clock", "time.Since": "reads the machine's clock", "time.Until": "reads the machine's clock",
	"time.Sleep": "waits", "time.After": "waits", "time.AfterFunc": "waits", "time.Tick": "waits",
	"time.NewTimer": "waits", "time.NewTicker": "waits",
	"maps.Keys": "has map order: sort it with slices.Sorted", "maps.Values": "has map order", "maps.All": "has map order",
	"fmt.Print": "performs I/O", "fmt.Printf": "performs I/O", "fmt.Println": "performs I/O",
}

// waivers name the comment that excuses a line, with a reason behind it.
const (
	waiveMapOrder = "//lint:maporder "
	waiveFloat    = "//lint:float "
	waiveGlobal   = "//lint:global "
)

// realHost is the one package below broker/ that performs what the core asks
// for: goroutines, clocks and I/O are its trade. The core does not import it.
const realHost = "/broker/host"

func run(pass *analysis.Pass) (any, error) {
	if strings.HasSuffix(strings.TrimSuffix(pass.Pkg.Path(), "_test"), realHost) {
		return nil, nil
	}
	for _, file := range pass.Files {
		if strings.HasSuffix(pass.Fset.File(file.Pos()).Name(), "_test.go") {
			continue
		}
		c := &checker{pass: pass, waived: map[int]string{}, sorted: map[ast.Expr]bool{}}
		c.comments(file)
		c.imports(file)
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				c.inInit = fn.Recv == nil && fn.Name.Name == "init"
			}
			ast.Inspect(decl, c.node)
		}
	}
	return nil, nil
}

type checker struct {
	pass   *analysis.Pass
	waived map[int]string    // line -> the waiver's comment
	sorted map[ast.Expr]bool // calls whose order is lost in slices.Sorted
	inInit bool
}

// comments collects the waivers. One stands at the end of its line, or alone on
// the line before.
func (c *checker) comments(file *ast.File) {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			for _, waiver := range []string{waiveMapOrder, waiveFloat, waiveGlobal} {
				reason, ok := strings.CutPrefix(comment.Text, strings.TrimSuffix(waiver, " "))
				if !ok {
					continue
				}
				if strings.TrimSpace(reason) == "" {
					c.pass.Reportf(comment.Pos(), "a waiver needs its reason behind it")
					continue
				}
				line := c.line(comment.Pos())
				c.waived[line] += waiver
				c.waived[line+1] += waiver
			}
		}
	}
}

func (c *checker) line(p token.Pos) int { return c.pass.Fset.Position(p).Line }

func (c *checker) report(n ast.Node, waiver, format string, args ...any) {
	if waiver != "" && strings.Contains(c.waived[c.line(n.Pos())], waiver) {
		return
	}
	c.pass.Reportf(n.Pos(), format, args...)
}

func (c *checker) imports(file *ast.File) {
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if why, banned := bannedImports[path]; banned {
			c.report(spec, "", "import of %s, which %s", path, why)
		}
	}
}

func (c *checker) node(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GoStmt:
		c.report(n, "", "goroutine: deterministic code has one thread")
	case *ast.SelectStmt:
		c.report(n, "", "select chooses at random")
	case *ast.SendStmt:
		c.report(n, "", "channel send")
	case *ast.ChanType:
		c.report(n, "", "channel type")
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			c.report(n, "", "channel receive")
		}
	case *ast.RangeStmt:
		c.mapRange(n)
	case *ast.BinaryExpr:
		c.floatDecision(n)
	case *ast.CallExpr:
		c.sortedKeys(n)
	case *ast.SelectorExpr:
		c.function(n)
	case *ast.AssignStmt:
		for _, left := range n.Lhs {
			c.global(left)
		}
	case *ast.IncDecStmt:
		c.global(n.X)
	}
	return true
}

func (c *checker) mapRange(n *ast.RangeStmt) {
	t := c.pass.TypesInfo.TypeOf(n.X)
	if t == nil {
		return
	}
	if _, ok := t.Underlying().(*types.Map); ok {
		c.report(n, waiveMapOrder, "range over a map has no order: sort the keys, or say why it cannot matter with %s<reason>", waiveMapOrder)
	}
}

// floatDecision reports arithmetic and comparisons on floats: their results may
// differ between compilers and processors.
func (c *checker) floatDecision(n *ast.BinaryExpr) {
	for _, side := range []ast.Expr{n.X, n.Y} {
		tv := c.pass.TypesInfo.Types[side]
		if tv.Value != nil || tv.Type == nil { // constants are exact
			continue
		}
		if b, ok := tv.Type.Underlying().(*types.Basic); ok && b.Info()&types.IsFloat != 0 {
			c.report(n, waiveFloat, "float arithmetic: use integers, or say why it decides nothing with %s<reason>", waiveFloat)
			return
		}
	}
}

// sortedKeys excuses slices.Sorted(maps.Keys(m)): keys are unique, so their
// sorted order is the only one. SortedFunc is not excused, since its comparison
// may call two elements equal.
func (c *checker) sortedKeys(n *ast.CallExpr) {
	if len(n.Args) != 1 || c.callee(n) != "slices.Sorted" {
		return
	}
	if inner, ok := n.Args[0].(*ast.CallExpr); ok && c.callee(inner) == "maps.Keys" {
		c.sorted[inner.Fun] = true
	}
}

// callee names the package-level function that is called.
func (c *checker) callee(n *ast.CallExpr) string {
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	fn, ok := c.pass.TypesInfo.Uses[sel.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil {
		return ""
	}
	return fn.Pkg().Path() + "." + fn.Name()
}

func (c *checker) function(n *ast.SelectorExpr) {
	fn, ok := c.pass.TypesInfo.Uses[n.Sel].(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Signature().Recv() != nil || c.sorted[n] {
		return
	}
	name := fn.Pkg().Path() + "." + fn.Name()
	if why, banned := bannedFuncs[name]; banned {
		c.report(n, waiveMapOrder, "%s %s", name, why)
		return
	}
	if fn.Pkg().Path() == "math/rand/v2" && !strings.HasPrefix(fn.Name(), "New") {
		c.report(n, "", "%s draws from the process's own random numbers: use a seeded generator", name)
	}
}

// global reports writes to package variables outside init: state that outlives
// a node or is shared between two runs in one process.
func (c *checker) global(left ast.Expr) {
	if c.inInit {
		return
	}
	root := left
	for {
		switch e := root.(type) {
		case *ast.IndexExpr:
			root = e.X
			continue
		case *ast.SelectorExpr:
			root = e.X
			continue
		case *ast.StarExpr:
			root = e.X
			continue
		case *ast.ParenExpr:
			root = e.X
			continue
		}
		break
	}
	id, ok := root.(*ast.Ident)
	if !ok {
		return
	}
	v, ok := c.pass.TypesInfo.Uses[id].(*types.Var)
	if ok && v.Parent() == c.pass.Pkg.Scope() {
		c.report(left, waiveGlobal, "write to package variable %s: state belongs to a node or a run", id.Name)
	}
}
