package main

import (
	"encoding/gob"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

type Point struct{ X, Y int }

type Celsius float64

type Blob struct{ Data []byte }

type Tree struct {
	Value       string
	Left, Right *Tree
}

// Box holds anything.
type Box struct{ V any }

// Rich has a field of each kind that both codecs know.
type Rich struct {
	B     bool
	I     int
	I8    int8
	I64   int64
	U     uint
	U8    uint8
	U64   uint64
	F     float64
	F32   float32
	S     string
	Bytes []byte
	Ints  []int
	Arr   [3]int32
	M     map[string]int
	Deep  map[string][]Point
	In    Point
	P     *Point
	Subs  []*Tree
	T     time.Time
	Any   any
	Tag   string `json:"a_tag"`
}

// named are the types that an interface value may hold, by the name that goes over the wire.
var named = map[string]any{
	"peer.Point": Point{}, "peer.Tree": &Tree{}, "peer.Celsius": Celsius(0),
	"peer.Time": time.Time{}, "peer.Points": []Point(nil),
	"peer.Anys": []any(nil), "peer.AnyMap": map[string]any(nil),
}

func init() {
	for name, value := range named {
		gob.RegisterName(name, value)
	}
}

// kinds are the types of arguments and results, by the names that commands use: those of Echo's
// methods in small letters, and some more.
var kinds = map[string]reflect.Type{
	"args":     reflect.TypeFor[Args](),
	"quotient": reflect.TypeFor[Quotient](),
	"more":     reflect.TypeFor[struct{ A, B, C int }](),
}

// methods are the argument's and the result's type of every method of our own.
var methods = map[string][2]reflect.Type{}

func init() {
	for _, service := range []any{Arith{}, Echo{}} {
		of := reflect.TypeOf(service)
		for index := range of.NumMethod() {
			method := of.Method(index)
			argument, result := method.Type.In(1), method.Type.In(2).Elem()
			methods[of.Name()+"."+method.Name] = [2]reflect.Type{argument, result}
			if argument == result || argument == reflect.PointerTo(result) {
				kinds[strings.ToLower(method.Name)] = result
			}
		}
	}
}

// kindOf is the type that is called name, or, where it is "", the one of the method.
func kindOf(name, method string, which int) (reflect.Type, error) {
	if name == "" {
		return methods[method][which], nil
	}
	if kind := kinds[name]; kind != nil {
		return kind, nil
	}
	return nil, fmt.Errorf("no kind %q", name)
}

// interfaced is how commands and events show what an interface value holds of a named type.
type interfaced struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

// argument is a pointer to a value of a type, from a command's JSON: complex numbers are [re, im],
// floats may be "NaN", "+Inf" and "-Inf", what an interface value holds is plain, or
// {"name": …, "value": …}.
func argument(kind reflect.Type, text json.RawMessage) (any, error) {
	if kind == nil {
		kind = reflect.TypeFor[any]()
	}
	for kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	value := reflect.New(kind)
	if len(text) == 0 {
		return value.Interface(), nil
	}
	switch target := value.Interface().(type) {
	case *complex128:
		parts := [2]float64{}
		err := json.Unmarshal(text, &parts)
		*target = complex(parts[0], parts[1])
		return target, err
	case *complex64:
		parts := [2]float32{}
		err := json.Unmarshal(text, &parts)
		*target = complex(parts[0], parts[1])
		return target, err
	case *float64:
		word := ""
		if json.Unmarshal(text, &word) != nil {
			break // a number
		}
		number, err := strconv.ParseFloat(word, 64)
		*target = number
		return target, err
	case *any:
		held, err := heldIn(text)
		*target = held
		return target, err
	case *Box:
		fields := struct{ V json.RawMessage }{}
		err := json.Unmarshal(text, &fields)
		if err == nil && fields.V != nil {
			target.V, err = heldIn(fields.V)
		}
		return target, err
	}
	return value.Interface(), json.Unmarshal(text, value.Interface())
}

func heldIn(text json.RawMessage) (any, error) {
	pair := interfaced{}
	if err := json.Unmarshal(text, &pair); err == nil && pair.Name != "" {
		example, known := named[pair.Name]
		if !known {
			return nil, fmt.Errorf("no type is named %q", pair.Name)
		}
		value := reflect.New(reflect.TypeOf(example))
		err := json.Unmarshal(pair.Value, value.Interface())
		return value.Elem().Interface(), err
	}
	var plain any
	err := json.Unmarshal(text, &plain)
	return plain, err
}

// shown is a value as events show it: what argument reads.
func shown(value any) any {
	switch value := value.(type) {
	case *complex128:
		return []any{shownFloat(real(*value)), shownFloat(imag(*value))}
	case *complex64:
		return []any{shownFloat(float64(real(*value))), shownFloat(float64(imag(*value)))}
	case *float64:
		return shownFloat(*value)
	case *float32:
		if wide := float64(*value); math.IsInf(wide, 0) || math.IsNaN(wide) {
			return shownFloat(wide)
		}
		return *value
	case *any:
		return shownHeld(*value)
	case *Box:
		return map[string]any{"V": shownHeld(value.V)}
	}
	return value
}

// shownFloat is a number, or the text "NaN", "+Inf" or "-Inf".
func shownFloat(value float64) any {
	if math.IsInf(value, 0) || math.IsNaN(value) {
		return fmt.Sprint(value)
	}
	return value
}

func shownHeld(value any) any {
	for name, example := range named {
		if reflect.TypeOf(example) == reflect.TypeOf(value) && value != nil {
			return map[string]any{"name": name, "value": value}
		}
	}
	return value
}
