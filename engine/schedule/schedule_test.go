package schedule

import (
	"math"
	"slices"
	"testing"
)

// TestShapes checks the law of every row: ends, never rising, float32 near float64.
func TestShapes(t *testing.T) {
	for _, s := range All {
		if (s.Masked == nil) != (s.Masked32 == nil) {
			t.Errorf("%s: Masked and Masked32 must both be set or both nil", s.Name)
		}
		if s.Masked == nil {
			continue
		}
		if a, b := s.Masked(0), s.Masked(1); math.Abs(a-1) > 1e-12 || math.Abs(b) > 1e-5 {
			t.Errorf("%s: ends are %g and %g, want 1 and 0", s.Name, a, b)
		}
		last := math.Inf(1)
		for i := range 257 {
			x := float64(i) / 256
			y := s.Masked(x)
			if y > last+1e-12 {
				t.Errorf("%s: rises at %g: %g after %g", s.Name, x, y, last)
			}
			if d := math.Abs(y - float64(s.Masked32(float32(x)))); d > 3e-6 {
				t.Errorf("%s: float32 differs by %g at %g", s.Name, d, x)
			}
			last = y
		}
	}
}

// TestQuotas checks the law of every row for all small counts: sum, no negative, and no wasted pass.
func TestQuotas(t *testing.T) {
	for _, s := range All {
		for masked := range 70 {
			for steps := 1; steps <= 70; steps++ {
				sum := 0
				q := s.AppendQuotas(nil, masked, steps)
				if len(q) != steps && (s.Counts == nil || len(q) != min(masked, steps)) {
					t.Fatalf("%s: %d quotas for %d steps", s.Name, len(q), steps)
				}
				for i, n := range q {
					if n < 0 || n == 0 && masked >= steps {
						t.Fatalf("%s: masked %d, steps %d: quota %d of step %d", s.Name, masked, steps, n, i)
					}
					sum += n
				}
				if sum != masked {
					t.Fatalf("%s: masked %d, steps %d: quotas add up to %d: %v", s.Name, masked, steps, sum, q)
				}
			}
		}
	}
}

// TestCounts compares with counts printed by the published float32 code.
func TestCounts(t *testing.T) {
	for _, c := range []struct {
		name     string
		n, steps int
		want     []int
	}{
		{"cosine", 1024, 15, []int{1018, 1001, 973, 935, 886, 828, 760, 685, 601, 511, 416, 316, 212, 107, -1}},
		{"cosine", 1024, 12, []int{1015, 989, 946, 886, 812, 724, 623, 511, 391, 265, 133, -1}},
		{"cosine", 16, 6, []int{15, 13, 11, 7, 4, -1}},
		{"linear", 36, 6, []int{30, 23, 18, 11, 6, 0}},
		{"linear", 25, 15, []int{23, 21, 20, 18, 16, 15, 13, 11, 9, 8, 6, 4, 3, 1, 0}},
	} {
		s, err := Find(c.name)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.want {
			if got := s.Left(c.n, i, c.steps); got != want {
				t.Errorf("%s: n %d, step %d of %d: %d left, want %d", c.name, c.n, i, c.steps, got, want)
			}
		}
	}
	u, _ := Find("uniform")
	if q := u.AppendQuotas(nil, 11, 4); q[0] != 3 || q[1] != 3 || q[2] != 3 || q[3] != 2 {
		t.Errorf("uniform: 11 in 4 steps: %v, want [3 3 3 2]", q)
	}
	if _, err := Find("nope"); err == nil {
		t.Error("an unknown name is accepted")
	}
}

// TestChance checks that unmasking with the chance of each step leaves the schedule's share, and Dream's counts.
func TestChance(t *testing.T) {
	for _, s := range All {
		left := 1.0
		for i := range 10 {
			left *= 1 - float64(s.Chance(i, 10))
			want := 1 - float64(i+1)/10
			if s.Masked != nil {
				want = s.Masked(float64(i+1) / 10)
			}
			if math.Abs(left-want) > 1e-5 {
				t.Errorf("%s: %g left after step %d, want %g", s.Name, left, i, want)
			}
		}
	}
	for _, c := range []struct {
		eps           float64
		masked, steps int
		want          []int // masked after each step, by the released code
	}{
		{1e-3, 12, 8, []int{11, 10, 9, 8, 7, 5, 3, 0}},
		{1e-3, 12, 12, []int{12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 0}},
		{0.1, 12, 8, []int{11, 10, 9, 8, 7, 6, 4, 0}},
		{1e-3, 8, 6, []int{7, 6, 5, 4, 3, 0}},
	} {
		s, masked := Timestep(c.eps), c.masked
		for i, want := range c.want {
			if masked -= int(float32(masked) * s.Chance(i, c.steps)); masked != want {
				t.Fatalf("eps %g, %d masked, %d steps: %d after step %d, want %d", c.eps, c.masked, c.steps, masked, i, want)
			}
		}
	}
}

// TestLaViDaCounts compares with counts printed by the published code.
func TestLaViDaCounts(t *testing.T) {
	for _, c := range []struct {
		s        Schedule
		n, steps int
		want     []int
	}{
		{Shifted(3), 32, 8, []int{2, 2, 2, 2, 4, 4, 7, 9}},
		{Shifted(1.0 / 3), 32, 8, []int{10, 6, 5, 3, 3, 2, 2, 1}},
		{Shifted(0.33), 64, 5, []int{28, 15, 10, 7, 4}},
		{LogitNormal(), 64, 8, []int{2, 7, 11, 12, 13, 11, 7, 1}},
		{HalfCosine(), 64, 8, []int{3, 7, 10, 12, 13, 10, 7, 2}},
		{Even(), 7, 5, []int{2, 1, 2, 1, 1}},
		{Shifted(3), 8, 32, []int{1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		if got := c.s.AppendQuotas(nil, c.n, c.steps); !slices.Equal(got, c.want) {
			t.Errorf("%s: %d masks, %d steps: %v, want %v", c.s.Name, c.n, c.steps, got, c.want)
		}
	}
}
