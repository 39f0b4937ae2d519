package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"reflect"
	"time"
)

type Widths struct {
	I   int
	I8  int8
	I16 int16
	I32 int32
	I64 int64
	U   uint
	U8  uint8
	U16 uint16
	U32 uint32
	U64 uint64
	Up  uintptr
	F32 float32
	F64 float64
	C64 complex64
	C   complex128
	B   bool
	S   string
	Bs  []byte
}

type Point struct{ X, Y int }

type Lists struct {
	Ints    []int
	Small   []int8
	Texts   []string
	Grid    [][]float64
	Blobs   [][]byte
	Three   [3]int32
	Bytes   [4]byte
	Points  []Point
	Empties []struct{}
	Pairs   [2]Point
}

type Maps struct {
	Counts map[string]int
	Names  map[int32]string
	Places map[Point]string
	Deep   map[string]map[string][]byte
	Lists  map[bool][]Point
}

type Tree struct {
	Value string
	Left  *Tree
	Right *Tree
}

type Node struct {
	Name string
	Subs []*Node
	ByID map[int]*Node
}

type Pointers struct {
	I *int
	S *string
	P *Point
	T *time.Time
}

type Times struct {
	At    time.Time
	Maybe *time.Time
	All   []time.Time
	Zero  time.Time
}

type Celsius float64

type Names []string

type Holder struct {
	Before int
	V      any
	All    []any
	ByName map[string]any
	After  int
}

// Secret encodes itself: nothing of it is exported.
type Secret struct{ text string }

func (s Secret) GobEncode() ([]byte, error) { return []byte("<" + s.text + ">"), nil }

func (s *Secret) GobDecode(data []byte) error {
	if !bytes.HasPrefix(data, []byte("<")) || !bytes.HasSuffix(data, []byte(">")) || len(data) < 2 {
		return errors.New("no secret")
	}
	s.text = string(data[1 : len(data)-1])
	return nil
}

// Version marshals itself.
type Version struct{ major, minor byte }

func (v Version) MarshalBinary() ([]byte, error) { return []byte{v.major, v.minor}, nil }

func (v *Version) UnmarshalBinary(data []byte) error {
	if len(data) != 2 {
		return fmt.Errorf("a version of %d bytes", len(data))
	}
	v.major, v.minor = data[0], data[1]
	return nil
}

type Selves struct {
	S  Secret
	V  Version
	P  *Secret
	Ss []Secret
}

type Empty struct{}

// Older has other fields than Point, and one of the same.
type Older struct {
	Y    int
	Z    int
	Gone string
}

var kinds = map[string]reflect.Type{
	"bool":     reflect.TypeFor[bool](),
	"int":      reflect.TypeFor[int](),
	"uint8":    reflect.TypeFor[uint8](),
	"float64":  reflect.TypeFor[float64](),
	"complex":  reflect.TypeFor[complex128](),
	"string":   reflect.TypeFor[string](),
	"bytes":    reflect.TypeFor[[]byte](),
	"ints":     reflect.TypeFor[[]int](),
	"texts":    reflect.TypeFor[[]string](),
	"counts":   reflect.TypeFor[map[string]int](),
	"time":     reflect.TypeFor[time.Time](),
	"secret":   reflect.TypeFor[Secret](),
	"version":  reflect.TypeFor[Version](),
	"any":      reflect.TypeFor[*any](),
	"Widths":   reflect.TypeFor[Widths](),
	"Point":    reflect.TypeFor[Point](),
	"Lists":    reflect.TypeFor[Lists](),
	"Maps":     reflect.TypeFor[Maps](),
	"Tree":     reflect.TypeFor[Tree](),
	"Node":     reflect.TypeFor[Node](),
	"Pointers": reflect.TypeFor[Pointers](),
	"Times":    reflect.TypeFor[Times](),
	"Holder":   reflect.TypeFor[Holder](),
	"Selves":   reflect.TypeFor[Selves](),
	"Empty":    reflect.TypeFor[Empty](),
	"Older":    reflect.TypeFor[Older](),
}

func init() {
	gob.RegisterName("peer.Point", Point{})
	gob.RegisterName("peer.Tree", &Tree{})
	gob.RegisterName("peer.Celsius", Celsius(0))
	gob.RegisterName("peer.Names", Names(nil))
	gob.RegisterName("peer.Time", time.Time{})
	gob.RegisterName("peer.Secret", Secret{})
	gob.RegisterName("peer.Anys", []any(nil))
	gob.RegisterName("peer.AnyMap", map[string]any(nil))
	gob.RegisterName("peer.Holder", Holder{})
	gob.RegisterName("peer.Points", []Point(nil))
}
