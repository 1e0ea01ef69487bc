package show

import (
	"fmt"
	"reflect"
	"strings"
)

// FieldDoc is one key of a view's JSON.
type FieldDoc struct {
	Path string // such as topics[].name
	Type string
	Doc  string
}

// Reference lists the keys of a view's JSON in their order.
func Reference(view reflect.Type) []FieldDoc {
	var out []FieldDoc
	appendFields(&out, "", view)
	return out
}

func appendFields(out *[]FieldDoc, prefix string, t reflect.Type) {
	for _, field := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if key == "" || key == "-" || field.Anonymous {
			continue
		}
		inner, name := describeType(field.Type)
		path := prefix + key
		*out = append(*out, FieldDoc{Path: path, Type: name, Doc: field.Tag.Get("doc")})
		if inner == nil {
			continue
		}
		if strings.HasPrefix(name, "list") {
			path += "[]"
		}
		appendFields(out, path+".", inner)
	}
}

// describeType names a type as JSON knows it, and gives the struct in it.
func describeType(t reflect.Type) (inner reflect.Type, name string) {
	switch t.Kind() {
	case reflect.Pointer:
		inner, name = describeType(t.Elem())
		return inner, name + " or null"
	case reflect.Slice:
		inner, name = describeType(t.Elem())
		return inner, "list of " + name
	case reflect.Map:
		_, name = describeType(t.Elem())
		return nil, "object of " + name
	case reflect.Struct:
		return t, "object"
	case reflect.String:
		return nil, "string"
	case reflect.Bool:
		return nil, "boolean"
	case reflect.Float64:
		return nil, "number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return nil, "integer"
	}
	panic(fmt.Sprintf("show: no JSON name for %s", t))
}
