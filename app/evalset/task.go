package evalset

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
)

// Task is a row of [Tasks]: a kind of items and what is expected of their answers.
type Task struct {
	Name  string
	Title string
	Bars  []Bar
	make  func(m *maker) func(n int) []Item
}

// Bar is a figure of a task and what it should reach. 0: it is reported only.
type Bar struct {
	Metric string  // name of a [Mark]
	Title  string  // for people
	Least  float64 // share right, 0 to 1; decibels for "rebuild"
}

// right is the only bar of most tasks.
func right(least float64) []Bar { return []Bar{{"right", "right", least}} }

// Tasks are all tasks, in the order of the table.
var Tasks = []Task{
	{"draw", "text to picture", []Bar{{"objects", "objects", 0.90}, {"layout", "layouts", 0.90}, {"background", "backgrounds", 0.98}},
		func(m *maker) func(int) []Item { return m.draw }},
	{"draw-one", "text to picture, one big sticker (all trained)", []Bar{{"objects", "objects", 0}, {"layout", "layouts", 0}, {"background", "backgrounds", 0}},
		func(m *maker) func(int) []Item { return m.drawOne }},
	{"describe", "describe", []Bar{{"objects", "objects named", 0.92}, {"right", "whole sentence", 0}},
		func(m *maker) func(int) []Item { return m.describe }},
	{"questions", "picture questions", right(0.95), func(m *maker) func(int) []Item { return m.questions(false) }},
	{"questions-new", "picture questions, held-out phrasings", right(0), func(m *maker) func(int) []Item { return m.questions(true) }},
	{"counting", "counting in pictures", right(0.90), func(m *maker) func(int) []Item { return m.counting }},
	{"replace", "inpaint: replace X by Y", []Bar{{"right", "right", 0.88}, {"kept", "cells outside kept", 1}}, func(m *maker) func(int) []Item { return m.replace }},
	{"remove", "inpaint: remove X", []Bar{{"right", "right", 0.90}, {"kept", "cells outside kept", 1}}, func(m *maker) func(int) []Item { return m.remove }},
	{"refill", "inpaint: refill a hidden half", []Bar{{"right", "right", 0.85}, {"kept", "cells outside kept", 1}}, func(m *maker) func(int) []Item { return m.refill }},
	{"sums-2-think", "two digits, thinking first", right(0.97), func(m *maker) func(int) []Item { return m.sums(2, true) }},
	{"sums-3-think", "three digits, thinking first", right(0.90), func(m *maker) func(int) []Item { return m.sums(3, true) }},
	{"sums-2", "two digits, direct", right(0), func(m *maker) func(int) []Item { return m.sums(2, false) }},
	{"sums-3", "three digits, direct", right(0), func(m *maker) func(int) []Item { return m.sums(3, false) }},
	{"problems", "word problems, thinking first", right(0), func(m *maker) func(int) []Item { return m.problems }},
	{"facts", "facts, trained phrasings", right(0.92), func(m *maker) func(int) []Item { return m.facts(false) }},
	{"facts-new", "facts, held-out phrasings", right(0.85), func(m *maker) func(int) []Item { return m.facts(true) }},
	{"talk", "small talk, held-out prompts first", right(0), func(m *maker) func(int) []Item { return m.talk }},
	{"stories", "two-line stories", right(0), func(m *maker) func(int) []Item { return m.stories }},
	{"lists", "three of a kind", right(0), func(m *maker) func(int) []Item { return m.lists }},
	{"joint", "caption and picture completed together", []Bar{{"agree", "they agree", 0.85}, {"right", "as it was", 0}, {"kept", "the rest kept", 1}},
		func(m *maker) func(int) []Item { return m.joint }},
	{"rebuild", "pictures encoded and decoded", []Bar{{"sticker", "dB on the sticker", 28}, {"picture", "dB on the picture", 0}},
		func(m *maker) func(int) []Item { return m.rebuild }},
}

// Find lists the tasks of names; all for none.
func Find(names []string) ([]Task, error) {
	if len(names) == 0 {
		return Tasks, nil
	}
	var out []Task
	for _, n := range names {
		i := slices.IndexFunc(Tasks, func(t Task) bool { return t.Name == n })
		if i < 0 {
			return nil, fmt.Errorf("task %q is none of %s", n, strings.Join(Names(), ", "))
		}
		out = append(out, Tasks[i])
	}
	return out, nil
}

// Names are the names of all tasks.
func Names() (out []string) {
	for _, t := range Tasks {
		out = append(out, t.Name)
	}
	return out
}

// Items makes up to n items of a task in world w. The same seed makes the same items; a task whose patterns the world
// lacks has none.
func (t Task) Items(w *World, n int, seed uint64) []Item {
	h := fnv.New64a()
	h.Write([]byte(t.Name))
	m := &maker{w: w, r: rand.New(rand.NewPCG(seed, h.Sum64()))}
	return numbered(t.Name, t.make(m)(n))
}
